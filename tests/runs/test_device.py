"""Precision and compilation are chosen for the machine."""

import os
import platform
import subprocess
import sys

import pytest
import tensorflow as tf

from kerasgan.errors import KerasganError
from kerasgan.networks import discriminators
from kerasgan.runs import device, processor

READ = processor.processor.__wrapped__  # which keeps nothing of a former machine


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Pretends a machine: processor flags and GPUs by compute capability."""

    def pretend(flags: str | None = None, gpus: tuple = ()):
        cpuinfo = tmp_path / "cpuinfo"
        if flags is not None:
            cpuinfo.write_text(f"processor : 0\nflags : fpu {flags} sse\n")
        monkeypatch.setattr(processor, "Path", lambda _: cpuinfo)
        monkeypatch.setattr(processor, "processor", READ)
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: list(gpus))
        monkeypatch.setattr(
            tf.config.experimental, "get_device_details", lambda gpu: {"compute_capability": gpu} if gpu else {}
        )

    return pretend


@pytest.mark.parametrize(
    ("flags", "gpus", "policy"),
    [
        ("avx2", (), "float32"),
        ("avx512_bf16", (), "mixed_bfloat16"),
        ("amx_bf16 amx_tile", (), "mixed_bfloat16"),
        (None, (), "float32"),  # no /proc/cpuinfo, as on macOS
        ("amx_bf16", ((7, 5),), "float32"),  # the GPU decides
        ("avx2", ((8, 0),), "mixed_bfloat16"),
        ("avx2", ((9, 0), (7, 0)), "float32"),
        ("avx2", (None,), "float32"),
    ],
)
def test_automatic_precision_follows_the_hardware(machine, flags, gpus, policy):
    machine(flags, gpus)
    assert device.resolve_precision("auto") == policy


def test_a_named_precision_is_kept(machine):
    machine("avx2")
    assert device.resolve_precision("mixed_bfloat16") == "mixed_bfloat16"


def test_xla_on_gpu_only(machine):
    machine("avx2")
    assert not device.uses_xla()
    machine("avx2", ((8, 0),))
    assert device.uses_xla()


def threads_after(code: str) -> list[int]:
    """Threads within and across operations in a fresh process that runs some code first."""
    program = f"import tensorflow as tf; from kerasgan.runs.device import divide_cores\n{code}\ndivide_cores()\n"
    program += "t = tf.config.threading\n"
    program += "print(t.get_intra_op_parallelism_threads(), t.get_inter_op_parallelism_threads())"
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    return [int(word) for word in done.stdout.split()]


@pytest.mark.parametrize(("cores", "within"), [(1, 1), (16, 8)])
def test_each_direction_gets_half_of_the_cores(cores, within):
    assert threads_after(f"import os; os.sched_getaffinity = lambda _: set(range({cores}))") == [within, 2]


def test_threads_of_the_users_own_choice_are_kept():
    assert threads_after("tf.config.threading.set_inter_op_parallelism_threads(5)") == [0, 5]


def test_threads_stay_as_they_are_once_tensorflow_runs():
    assert threads_after("tf.zeros(1)") == [0, 0]


@pytest.mark.parametrize("former", [True, False])
def test_graphs_are_left_as_they_are_until_the_training_ends(former):
    options = tf.config.optimizer
    settings = {"arithmetic_optimization": former, "remapping": not former}
    options.set_experimental_options(settings)
    with pytest.raises(RuntimeError), device.steady_graphs():
        assert settings.keys() <= options.get_experimental_options().keys()
        assert not any(options.get_experimental_options()[name] for name in settings)
        raise RuntimeError
    assert {name: options.get_experimental_options()[name] for name in settings} == settings
    options.set_experimental_options(dict.fromkeys(settings, True))


def test_a_step_of_discriminators_with_leaky_relu_reports_no_error_of_the_remapper(capfd):
    """Whose fusion of convolution, bias and LeakyReLU fails, with five lines on the screen."""
    network = discriminators.patchgan((32, 32, 1), filters=2, downsamplings=1)
    image = tf.ones([1, 32, 32, 1])

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(network(image, training=True)) + tf.reduce_mean(network(-image, training=True))
        return tape.gradient(loss, network.trainable_variables)

    with device.steady_graphs():
        step()
    assert "remapper" not in capfd.readouterr().err


def faults_of_a_second_tensor(code: str = "", **environment: str) -> int:
    """Pages that the system clears for 64 MB which were freed before, in a fresh process that runs some code first."""
    program = f"""import numpy as np
import resource
{code}
np.ones(2**23)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
np.ones(2**23)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    environment = {**os.environ, "NUMPY_MADVISE_HUGEPAGE": "0", **environment}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="an option of the GNU C library")
def test_freed_memory_is_used_again_unless_the_user_has_chosen():
    pages = 2**26 // os.sysconf("SC_PAGE_SIZE")
    assert faults_of_a_second_tensor() > pages / 2
    training = "from kerasgan.cli._console import prepare_training; prepare_training()"
    assert faults_of_a_second_tensor(training) < pages / 20
    assert faults_of_a_second_tensor(training, MALLOC_TOP_PAD_="131072") > pages / 2


@pytest.mark.parametrize(
    ("devices", "batch_size", "used"),
    [
        (None, 1, [0]),
        (None, 4, [0, 1, 2, 3]),
        (None, 6, [0, 1, 2]),
        (2, 4, [0, 1]),
        ((3, 1), 2, [3, 1]),
        ((2,), 1, [2]),
    ],
)
def test_gpus_that_share_a_batch_evenly_are_used_and_the_others_left_free(
    machine, monkeypatch, caplog, devices, batch_size, used
):
    machine("avx2", tuple(range(4)))
    seen = []
    monkeypatch.setattr(tf.config, "set_visible_devices", lambda gpus, kind: seen.extend(gpus))
    monkeypatch.setattr(device, "_mirrored", lambda names: names)
    with caplog.at_level("INFO", "kerasgan"):
        strategy = device.choose_strategy(devices, None, batch_size)
    assert strategy == (tuple(f"GPU:{place}" for place in range(len(used))) if len(used) > 1 else None)
    assert seen == (used if len(used) < 4 else [])
    note = f"Training on {len(used)} of 4 GPUs, which share a batch of {batch_size} evenly; --set data.batch_size="
    assert (note in caplog.text) == (devices is None and len(used) < 4)


def test_devices_that_are_not_there_or_cannot_share_are_refused(machine):
    assert device.choose_strategy(None, None, 3) is None  # a CPU
    with pytest.raises(KerasganError, match=r"2 devices cannot share batches of 3, .*Use --set data.batch_size=4, or"):
        device.choose_strategy(2, None, 3)
    with pytest.raises(KerasganError, match=r"asks for CPU 2, 3, 4 \(counted from 0\), and TensorFlow sees 2 here"):
        device.choose_strategy(5, None, 5)
    machine("avx2", ((8, 0),))
    with pytest.raises(KerasganError, match=r"asks for GPU 1 \(counted from 0\), and TensorFlow sees 1 here\. Name"):
        device.choose_strategy((0, 1), None, 2)
