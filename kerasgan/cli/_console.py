"""What the terminal shows: lines, tables, warnings, and errors in one line."""

from __future__ import annotations

import errno
import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import typer

from kerasgan.errors import KerasganError

NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")
NUMPY_WROTE_LESS = re.compile(r"\d+ requested and \d+ written")
NO_SPACE = {errno.ENOSPC, errno.EDQUOT}


def say(text: str = "") -> None:
    """A line of result, on standard output."""
    typer.echo(text)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows under their heads in aligned columns; the last column is as long as it is."""
    lines = [list(heads), *(list(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads) - 1)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[-1]]).rstrip()
        for line in lines
    )


def prepare_environment() -> None:
    """Chooses the backend and shows kerasgan's log, one line a message; a program may do this, never a library."""
    os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever ~/.keras/keras.json says
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
            "This machine has an NVIDIA driver, but TensorFlow sees no GPU; try: pip install 'tensorflow[and-cuda]'"
        )


@contextmanager
def _held_back() -> Iterator[None]:
    """Keeps what native code writes to standard error, and shows it only where the block fails."""
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
def writing(target: Path) -> Iterator[None]:
    """Turns a full disk, and any error of the file system that names no file, into an error that names `target`."""
    try:
        yield
    except (KerasganError, BrokenPipeError):
        raise
    except Exception as error:
        cause = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) if _tells_of_full_disk(error) else error
        if not isinstance(cause, OSError) or cause.filename is not None:
            raise
        raise KerasganError(f"Cannot write {target}: {_reason(cause)}. {_remedy(cause)}") from error


def _tells_of_full_disk(error: Exception) -> bool:
    """NumPy, HDF5 and TensorFlow pass a full disk on in exceptions of their own, some without its error number."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in NO_SPACE
    return os.strerror(errno.ENOSPC) in str(error) or NUMPY_WROTE_LESS.search(str(error)) is not None


def close_progress_bars() -> None:
    """Ends the line of each bar that an error or Ctrl-C has left open."""
    progress = sys.modules.get("tqdm")
    for bar in list(getattr(getattr(progress, "tqdm", None), "_instances", ())):
        bar.close()


def describe_error(error: Exception) -> str:
    """An error that the user can mend, in words: the file and the reason of an `OSError`, else its own message."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {_reason(error)}. {_remedy(error)}"
    return str(error)


def _reason(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__


def _remedy(error: OSError) -> str:
    if error.errno in NO_SPACE:
        return "Free some space, or name a folder on another disk."
    if isinstance(error, FileNotFoundError):
        return "Check the path."
    return "Name a file or folder that can be read, or an output that can be written."


class _OneLine(logging.Handler):
    """Log records of the package on standard error, above a progress bar where one is shown."""

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        message = " ".join(record.getMessage().split())
        prefix = f"{record.levelname.capitalize()}: " if record.levelno > logging.INFO else ""
        tqdm.write(prefix + message, file=sys.stderr)
