"""The precision, compilation and threads with which the machine trains fastest."""

from __future__ import annotations

import contextlib
import functools
import logging
import platform
from collections.abc import Iterator

import tensorflow as tf

from kerasgan.errors import KerasganError
from kerasgan.execution import cores
from kerasgan.runs import processor
from kerasgan.runs.together import connect
from kerasgan.runs.workers import Workers

BF16_COMPUTE_CAPABILITY = (8, 0)  # Ampere and later
STREAMS = 2  # of a training step: a to b, and b to a

logger = logging.getLogger(__name__)


def choose_strategy(
    devices: int | tuple[int, ...] | None, workers: Workers | None, batch_size: int
) -> tf.distribute.Strategy | None:
    """How a training is spread over devices; None on a single one, where TensorFlow needs no strategy.

    Args:
        devices: How many of this process's devices, or the numbers of GPUs; None: as many GPUs as share a batch evenly,
            of several workers all.
        workers: The processes that train together; None: this one alone.
        batch_size: Images of each domain in a batch, over all devices.

    Raises:
        KerasganError: For devices that are not there, or that cannot share a batch evenly.
    """
    gpus, kind = tf.config.list_physical_devices("GPU"), "GPU"
    there = len(gpus)
    if not gpus:  # TensorFlow must not have looked at its CPUs when workers connect
        kind, there = "CPU", 1 if workers or not devices else len(tf.config.list_logical_devices("CPU"))
    chosen = devices if isinstance(devices, tuple) else tuple(range(devices or 0))
    if not devices and gpus:
        fitting = [count for count in range(1, there + 1) if workers or batch_size % count == 0]
        chosen = tuple(range(fitting[-1]))
    if absent := [str(number) for number in chosen if number >= there]:
        raise KerasganError(
            f"--devices asks for {kind} {', '.join(absent)} (counted from 0), and TensorFlow sees {there} here. Name "
            "others, or leave --devices out."
        )
    if gpus and len(chosen) < there:
        try:
            tf.config.set_visible_devices([gpus[number] for number in chosen], "GPU")  # the others stay free
        except RuntimeError as error:
            if devices:
                raise KerasganError(f"--devices comes too late: {error}. Train before all other work.") from error
        if not devices:
            logger.info(
                "Training on %d of %d GPUs, which share a batch of %d evenly; --set data.batch_size=%d uses all.",
                *(len(chosen), there, batch_size, there * -(-batch_size // there)),
            )
    if workers:
        strategy = connect(workers)
        require_shares(batch_size, strategy.num_replicas_in_sync)
        return strategy
    require_shares(batch_size, len(chosen) or 1)
    return _mirrored(tuple(f"{kind}:{place}" for place in range(len(chosen)))) if len(chosen) > 1 else None


def require_shares(batch_size: int, replicas: int) -> None:
    """Refuses batches that the devices cannot share evenly.

    Raises:
        KerasganError: For such a batch size.

    Example:
        >>> require_shares(4, replicas=2)
    """
    if batch_size % replicas:
        fitting = replicas * -(-batch_size // replicas)
        raise KerasganError(
            f"{replicas} devices cannot share batches of {batch_size}, as each takes equally many images. Use --set "
            f"data.batch_size={fitting}, or fewer devices: --devices 1."
        )


@functools.cache  # a second strategy in the same process would take its exchanges for those of the first
def _mirrored(names: tuple[str, ...]) -> tf.distribute.Strategy:
    return tf.distribute.MirroredStrategy(names)


def resolve_precision(wanted: str) -> str:
    """The dtype policy for a recipe's `precision`; `"auto"` is mixed bfloat16 on hardware that has it.

    Example:
        >>> resolve_precision("float32")
        'float32'
    """
    if wanted != "auto":
        return wanted
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
        has_bfloat16 = all(one.get("compute_capability", (0, 0)) >= BF16_COMPUTE_CAPABILITY for one in details)
    else:
        has_bfloat16 = processor.has_bfloat16()
    return "mixed_bfloat16" if has_bfloat16 else "float32"


def uses_xla() -> bool:
    """True on a GPU, where training steps are compiled with XLA; on a CPU it makes them slower."""
    return bool(tf.config.list_physical_devices("GPU"))


def divide_cores() -> None:
    """Gives each of the two directions of a training step half of the processor's cores.

    Left to itself, TensorFlow spreads every operation over all cores, and those of small images spend much of their
    time on that: on two cores, a step of 128x128, 64 filters and 9 blocks in mixed bfloat16 took 0.46 s, and 0.40 s
    with one core for each direction. It changes nothing on a GPU, after the user has set the numbers of threads with
    `tf.config.threading`, or once TensorFlow has computed something, since the numbers are those of the whole process.
    Sums over other numbers of threads can differ in the last bit.
    """
    threading = tf.config.threading
    chosen = threading.get_intra_op_parallelism_threads() or threading.get_inter_op_parallelism_threads()
    if chosen or tf.config.list_physical_devices("GPU"):
        return
    with contextlib.suppress(RuntimeError):
        threading.set_intra_op_parallelism_threads(max(1, cores() // STREAMS))
        threading.set_inter_op_parallelism_threads(STREAMS)


def peak_memory() -> int | None:
    """The most memory that this process has held so far, in bytes; None where the system does not say it."""
    try:
        import resource
    except ImportError:  # on Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if platform.system() == "Darwin" else most * 1024  # Linux counts in kB


def peak_gpu_memory() -> int | None:
    """The most memory that TensorFlow has used so far of any one GPU, in bytes; None without a GPU."""
    gpus = tf.config.list_logical_devices("GPU")
    return max((tf.config.experimental.get_memory_info(gpu.name)["peak"] for gpu in gpus), default=None)


@contextlib.contextmanager
def steady_graphs() -> Iterator[None]:
    """Keeps TensorFlow from two rewrites of its graphs; the former settings are restored at the end.

    The arithmetic optimiser merges trees of additions, gradients among them, in an order that differs from process to
    process, so that the same steps would not give the same bits. The remapper fuses a convolution with its bias and its
    LeakyReLU although the gradient needs what lies between, fails, and reports it as an error at each training. Both
    of TensorFlow 2.21; a step of 64x64 pixels takes as long without them.
    """
    rewrites, options = ("arithmetic_optimization", "remapping"), tf.config.optimizer
    former = options.get_experimental_options()
    options.set_experimental_options(dict.fromkeys(rewrites, False))
    try:
        yield
    finally:
        options.set_experimental_options({name: former.get(name, True) for name in rewrites})
