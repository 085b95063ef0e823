"""Output on the terminal: lines, tables, warnings, and errors in one line."""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from kerasgan.errors import KerasganError
from kerasgan.files import disk_error, reason_and_remedy
from kerasgan.text import utc, valid_json

if TYPE_CHECKING:
    from kerasgan.evaluation.results import Evaluation

NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")
TENSORFLOW_THREADS = {"TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"}  # a user who sets them has chosen
ALLOCATION = ("MALLOC_", "GLIBC_TUNABLES")  # how names begin by which a user has chosen what the C library keeps
LAST_SECONDS = 5.0  # after SIGTERM or SIGHUP, to remove what is temporary; what is not is whole at any moment


class Stopped(KeyboardInterrupt):
    """SIGTERM or SIGHUP, which end a command as Ctrl-C does: a training stores its state, nothing temporary stays.

    Args:
        number: Of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def stop_at_signals() -> None:
    """Lets the signals by which clusters and terminals end a program raise `Stopped`, unless they are ignored."""
    for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _raise_stopped)


def stopped(error: KeyboardInterrupt, hint: str = "") -> typer.Exit:
    """Says that the command was stopped, and returns the exit that a shell reports for it: 128 + the signal."""
    close_progress_bars()
    typer.echo(f"Stopped. {hint}".rstrip(), err=True)
    return typer.Exit(128 + getattr(error, "number", signal.SIGINT))


def say(text: str = "", err: bool = False) -> None:
    """Prints lines of the result on standard output, or of an error on the other."""
    typer.echo(_printable(text), err=err)


def say_json(content: Any) -> None:
    """Prints data for programs, who read nothing else on standard output; numbers that are not finite become null."""
    typer.echo(valid_json(content))


def say_evaluation(result: Evaluation, definitions: bool, as_json: bool) -> None:
    """Prints what an evaluation has found: its table, or all of it as JSON."""
    if as_json:
        say_json(result.content())
        return
    say(result.table(definitions))
    if not definitions:
        say("\nAll figures, and what each of them is: --definitions, and the table in the folder of the results.")
    say(f"\nPage, table, scores and a picture for each patient: {result.folder}")


def _printable(text: str) -> str:
    """The text with question marks for control characters of file names and tags, which a terminal would obey."""
    return "".join(character if character.isprintable() or character == "\n" else "?" for character in text)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns rows under their heads in aligned columns; the last column is not padded."""
    lines = [list(heads), *(list(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads) - 1)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[-1]]).rstrip()
        for line in lines
    )


def prepare_environment() -> None:
    """Chooses the backend and shows kerasgan's log, one line a message; a program may do this, never a library."""
    os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever ~/.keras/keras.json says
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # else a line for each failed handshake of a stranger
    logger = logging.getLogger("kerasgan")
    if not any(isinstance(handler, _OneLine) for handler in logger.handlers):
        logger.addHandler(_OneLine())
        logger.setLevel(logging.INFO)
        logger.propagate = False


def load_tensorflow() -> None:
    """Imports TensorFlow without the dozen lines that it prints while it starts.

    TensorFlow 2.21 writes them before it looks at TF_CPP_MIN_LOG_LEVEL, so they are held back where they come out. A
    user who sets that variable sees them all.
    """
    shown = "TF_CPP_MIN_LOG_LEVEL" in os.environ or "tensorflow" in sys.modules
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # holds from then on
    with nullcontext() if shown else _held_back():
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")  # the first call tells about missing drivers, too
    if NVIDIA_DRIVER.exists() and not gpus:
        logging.getLogger(__name__).warning(
            "This machine has an NVIDIA driver, but TensorFlow sees no GPU; try, in a new environment: "
            "pip install 'kerasgan[gpu]'"
        )


def prepare_training() -> None:
    """Shares the cores between TensorFlow's thread pools and keeps freed memory, unless the environment has chosen."""
    from kerasgan.runs import device, memory

    if TENSORFLOW_THREADS.isdisjoint(os.environ):
        device.divide_cores()
    if not any(name.startswith(ALLOCATION) for name in os.environ):
        memory.keep_freed_memory()


def require_run(path: Path) -> None:
    """Refuses a folder that is not a run, then loads TensorFlow, which takes seconds."""
    from kerasgan.runs.run import load_run

    load_run(path)
    load_tensorflow()


@contextmanager
def _held_back() -> Iterator[None]:
    """Holds back what native code writes to standard error, and shows it only if the block fails."""
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield
        except BaseException:
            file.seek(0)
            os.write(terminal, file.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


@contextmanager
def resumable(hint: Callable[[], str]) -> Iterator[None]:
    """Says after Ctrl-C or SIGTERM how to go on."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise stopped(error, hint()) from error


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Turns a full disk, and any error of the file system that names no file, into an error that names `target`."""
    try:
        yield
    except (KerasganError, BrokenPipeError):
        raise
    except Exception as error:
        cause = disk_error(error)
        if cause is None or cause.filename is not None:
            raise
        raise KerasganError(f"Cannot write {target}: {reason_and_remedy(cause)}") from error


@contextmanager
def only_named(*names: str) -> Iterator[None]:
    """Shows only what the loggers of these names say, while a manifest keeps what is to be said of each scan."""

    def shown(record: logging.LogRecord) -> bool:
        return record.name.startswith(names)

    handlers = logging.getLogger("kerasgan").handlers
    for handler in handlers:
        handler.addFilter(shown)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(shown)


@contextmanager
def timed() -> Iterator[None]:
    """Begins each line of the log with its time, for a program that runs for days."""
    handlers = [one for one in logging.getLogger("kerasgan").handlers if isinstance(one, _OneLine)]
    for handler in handlers:
        handler.timed = True
    try:
        yield
    finally:
        for handler in handlers:
            handler.timed = False


def read_token(path: Path | None) -> str | None:
    """Returns the token in a file, without the line's end.

    Raises:
        KerasganError: If the file is empty, or holds what a header of a request cannot carry.
    """
    if path is None:
        return None
    token = path.read_bytes().strip()
    if not token:
        raise KerasganError(f"{path} is empty; write the token into it.")
    if any(not 0x21 <= byte <= 0x7E for byte in token):
        raise KerasganError(f"{path} is no token: one line of ASCII letters, digits and signs, without spaces.")
    return token.decode()


def close_progress_bars() -> None:
    """Ends the line of each progress bar that an error or Ctrl-C has left open."""
    progress = sys.modules.get("tqdm")
    for bar in list(getattr(getattr(progress, "tqdm", None), "_instances", ())):
        bar.close()


def describe_error(error: Exception) -> str:
    """Returns an error as words: the file and the reason of an `OSError`, else its own message."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {reason_and_remedy(error)}"
    return str(error)


def _raise_stopped(number: int, _: object) -> None:
    signal.signal(number, signal.SIG_IGN)  # a cluster may send it twice
    # Threads that correct a scan, say, cannot be interrupted, and Python would wait for them.
    deadline = threading.Timer(LAST_SECONDS, os._exit, [128 + number])
    deadline.daemon = True
    deadline.start()
    raise Stopped(number)


class _OneLine(logging.Handler):
    """A handler that writes the package's log to standard error, above a progress bar if one is shown."""

    timed = False

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        message = " ".join(_printable(record.getMessage()).split())
        prefix = f"{record.levelname.capitalize()}: " if record.levelno > logging.INFO else ""
        time = f"{utc(record.created)} " if self.timed else ""
        tqdm.write(time + prefix + message, file=sys.stderr)
