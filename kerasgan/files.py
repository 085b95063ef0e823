"""Files and folders that appear only when they are complete, and records that are read with one error."""

from __future__ import annotations

import errno
import glob
import hashlib
import os
import re
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from kerasgan.errors import KerasganError, RunError
from kerasgan.text import kind, problems

NUMPY_WROTE_LESS = re.compile(r"\d+ requested and \d+ written")
TEMPORARY = re.compile(r"\..*\.(?:(?P<machine>[0-9a-f]{8})-)?(?P<process>\d+)-\w+(?:\.\w+)?")
DAY_SECONDS = 24 * 3600
SYNCED_AT_ONCE = 16
LARGEST_RECORD = 64 * 2**20  # bytes
Record = TypeVar("Record")
NO_SPACE = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name for a file in the folder of `path`, which replaces `path` once it is written to the disk.

    The content is on the disk before the name is, and both are when the block was left, also after a power cut. Several
    processes and threads may write the same file at once: the last one to finish wins.

    Args:
        path: File that is written or replaced; its parents are created.

    Yields:
        The temporary name, with the suffix of `path`. Only a killed process leaves anything of that name, which
        `remove_leftovers` finds.

    Raises:
        KerasganError: For a place that cannot be written or a disk that is full.

    Example:

        with replacing(Path("summary.json")) as temporary:
            temporary.write_text("{}")
    """
    temporary = path.with_name(f".{path.stem}.{_process()}-{threading.get_ident()}{path.suffix}")
    with _writing(path):
        try:
            yield temporary
            sync(temporary)  # or the new name may outlive a power cut, and the content not
            temporary.replace(path)
            sync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Writes to the disk what the system still holds of a file's content or of a folder's names.

    Args:
        path: A file, or a folder, which some systems write by themselves alone.

    Raises:
        OSError: For a file that cannot be written.
    """
    is_folder = path.is_dir()
    try:
        descriptor = os.open(path, os.O_RDONLY if is_folder else os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError:
        if not is_folder:
            raise


def sync_files(folder: Path) -> None:
    """Writes to the disk what the system still holds of the files of a folder, and their names.

    Several at once, as a disk writes them together: 192 images take a tenth of a second in place of half a second.
    """
    with ThreadPoolExecutor(SYNCED_AT_ONCE) as pool:
        list(pool.map(sync, folder.iterdir()))
    sync(folder)


def append_line(path: Path, line: str) -> None:
    """Adds a line to a file, on the disk when this returns: the whole line, or nothing where the disk is full.

    Args:
        path: File that is created where it is missing, by one process at a time.
        line: Text without an end of line.

    Raises:
        KerasganError: For a place that cannot be written or a disk that is full.
    """
    data = f"{line}\n".encode()
    with _writing(path), path.open("ab", buffering=0) as file:
        before = file.tell()
        try:
            if file.write(data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file.fileno())
        except OSError:
            file.truncate(before)
            raise


@contextmanager
def staging_folder(target: Path) -> Iterator[Path]:
    """A temporary folder next to `target`, to write into and then rename; what a killed process left of one is removed.

    Args:
        target: File or folder that is written; its parents are created.

    Yields:
        The temporary folder, on the same file system as `target`.

    Raises:
        KerasganError: For a place that cannot be written or a disk that is full.
    """
    prefix = f".{target.name}.{_process()}-"
    with _writing(target):
        remove_leftovers(target.parent, f".{glob.escape(target.name)}.*")
        with tempfile.TemporaryDirectory(prefix=prefix, dir=target.parent) as folder:
            yield Path(folder)


def require_writable(target: Path) -> None:
    """Refuses, before a long computation, a place where its result cannot be written; nothing is left behind.

    Args:
        target: File or folder that is going to be written.

    Raises:
        KerasganError: For a place that cannot be written or a disk that is full.
    """
    missing = [folder for folder in target.absolute().parents if not folder.exists()]  # the deepest first
    try:
        with staging_folder(target):
            pass
    finally:
        for folder in missing:
            with suppress(OSError):  # another process has written into it
                folder.rmdir()


def remove_leftovers(folder: Path, pattern: str = ".*", alone: bool = False) -> None:
    """Removes what killed processes left half-written, of files by `replacing` and of folders by `staging_folder`.

    Args:
        folder: Where they wrote; may be missing.
        pattern: Of the names, as in `Path.glob`.
        alone: No other process writes there, so that all of it is left over. Otherwise that of living processes stays,
            and so does that of other machines for a day.
    """
    for path in folder.glob(pattern):
        found = TEMPORARY.fullmatch(path.name)
        if found and (alone or not _is_written(path, found["machine"], int(found["process"]))):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


@contextmanager
def alone_in(folder: Path, refusal: KerasganError, lock: str = ".lock") -> Iterator[None]:
    """Holds the lock of a folder during the block, so that no other process works there.

    The system gives up what a killed process held. The file of the lock stays: another process may have it open.

    Args:
        folder: An existing folder.
        refusal: Raised where another process holds the lock: who works there, and what to do.
        lock: Name of its file.

    Raises:
        KerasganError: The refusal.

    Example:

        with alone_in(Path("runs/first"), RunError("runs/first is being trained. Wait for it.")):
            ...
    """
    from filelock import FileLock, Timeout  # here: the command line shows its help without it

    try:
        held = FileLock(folder / lock).acquire(blocking=False)
    except Timeout as error:
        raise refusal from error
    with held:
        yield


def _process() -> str:
    """This process among those of all machines that may share a folder."""
    return f"{hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]}-{os.getpid()}"


def _is_written(path: Path, machine: str | None, process: int) -> bool:
    if os.name == "posix" and machine in (None, _process().partition("-")[0]):  # version 0.1.0 named no machine
        try:
            os.kill(process, 0)  # sends nothing
        except (ProcessLookupError, OverflowError):
            return False
        except PermissionError:  # of another user
            pass
        return True
    with suppress(FileNotFoundError):
        return time.time() - path.stat().st_mtime < DAY_SECONDS
    return False


def file_digest(path: Path) -> str:
    """The SHA-256 digest of a file's content, in hexadecimal; the file is never in memory as a whole.

    Example:
        >>> file_digest(Path("/dev/null"))[:8]
        'e3b0c442'
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def seen_beside(run: Path, path: Path) -> str:
    """A path as seen from the folder that a run lies in; the run and what lies beside it can then be moved together.

    The names of folders above may be those of people, and a run goes from hand to hand.

    Example:
        >>> seen_beside(Path("/runs/second"), Path("/runs/first"))
        'first'
    """
    return Path(os.path.relpath(path.resolve(), run.resolve().parent)).as_posix()


def beside(run: Path, name: str) -> Path:
    """The path that `seen_beside` wrote as `name`.

    Example:
        >>> beside(Path("/runs/second"), "../old/first").as_posix()
        '/old/first'
    """
    return Path(os.path.normpath(run.resolve().parent / name))


def with_name_of_its_own(path: Path) -> Path:
    """The path, in full where it is `.` or `..`, which have no name that another could be made from.

    Example:
        >>> with_name_of_its_own(Path("runs/first")).as_posix(), with_name_of_its_own(Path(".")) == Path.cwd()
        ('runs/first', True)
    """
    return path if path.name.strip(".") else path.resolve()


def path_of(value: str | os.PathLike[str], what: str, instead: str = "") -> Path:
    """The path that an argument of a function names.

    Args:
        value: What the caller gave.
        what: Name of the argument, for the message.
        instead: A sentence for the message: what to do with something else.

    Raises:
        TypeError: For anything but a text or a path.

    Example:
        >>> path_of(["a", "b"], "path")
        Traceback (most recent call last):
        TypeError: path must be a path, as text or pathlib.Path; got list.
    """
    if not isinstance(value, str | os.PathLike):
        found = f"{what} must be a path, as text or pathlib.Path; got {kind(value)}."
        raise TypeError(f"{found} {instead}".rstrip())
    return Path(value)


def require_folder_name(path: Path, known: Sequence[str]) -> None:
    """Refuses to make a folder of a name that ends like a file's, which is a misspelt or unknown kind of file.

    Args:
        path: The folder that is going to be written; one that exists is taken under any name.
        known: Suffixes of the files that could be written instead.

    Raises:
        KerasganError: For a name such as `model.onnx`.

    Example:
        >>> require_folder_name(Path("serving-1.2"), [".tflite"])
        >>> require_folder_name(Path("model.tfl"), [".tflite"])
        Traceback (most recent call last):
        kerasgan.errors.KerasganError: model.tfl ends in .tfl, which is not written. Name a file that ends in ...
    """
    if re.fullmatch(r"\.[A-Za-z]\w*", path.suffix) and not path.is_dir():
        raise KerasganError(
            f"{path} ends in {path.suffix}, which is not written. Name a file that ends in {' or '.join(known)}, or a "
            f"folder without a suffix, such as {path.with_suffix('')}."
        )


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield
    except KerasganError:
        raise  # its message says what is wrong
    except Exception as error:
        cause = disk_error(error)
        if cause is None:
            raise
        raise KerasganError(f"Cannot write {target}: {reason_and_remedy(cause)}") from error


def read_record(
    path: Path, parse: Callable[[str], Record], remedy: str, error: type[KerasganError] = RunError
) -> Record:
    """Reads a text file that may be missing, damaged or a stranger's; whatever is wrong with it becomes one error.

    Args:
        path: A JSON or CSV file of a few megabytes at most.
        parse: Makes the result from the text; raises ValueError, as pydantic does, for a field out of its bounds.
        remedy: A sentence for the message: what to do about a damaged file.
        error: The class of the error.

    Raises:
        KerasganError: With the file, the field where there is one, and the remedy.

    Example:
        >>> read_record(Path("no-such-run/run.json"), str.strip, "Train again.")
        Traceback (most recent call last):
        kerasgan.errors.RunError: no-such-run/run.json cannot be read: there is no such file. Train again.
    """
    from pydantic import ValidationError  # here: the command line shows its help without it

    try:
        if not path.is_file():  # a pipe would wait for ever
            raise FileNotFoundError(errno.ENOENT, "there is no such file")
        if path.stat().st_size > LARGEST_RECORD:
            raise ValueError(f"it has {path.stat().st_size:,} bytes, expected {LARGEST_RECORD:,} at most")
        return parse(path.read_text(encoding="utf-8"))
    except OSError as found:
        raise error(f"{path} cannot be read: {found.strerror or found}. {remedy}") from found
    except KerasganError as found:  # with a remedy of its own
        raise error(f"{path}: {found}") from found
    except (ValueError, RecursionError) as found:
        reason = problems(found) if isinstance(found, ValidationError) else str(found)
        raise error(f"{path} is damaged: {reason.rstrip('.')}. {remedy}") from found


def disk_error(error: Exception) -> OSError | None:
    """The error of the file system behind an exception, or None for an exception of another kind.

    NumPy, HDF5 and TensorFlow report a full disk in exceptions of their own, some without its error number.

    Example:
        >>> disk_error(ValueError("100 requested and 40 written")).strerror
        'No space left on device'
    """
    if isinstance(error, OSError) and error.errno is not None:
        return error
    if os.strerror(errno.ENOSPC) in str(error) or NUMPY_WROTE_LESS.search(str(error)):
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return error if isinstance(error, OSError) else None


def reason_and_remedy(error: OSError) -> str:
    """Two sentences: the message of the file system, and what to do about it.

    Example:
        >>> reason_and_remedy(FileNotFoundError(errno.ENOENT, "No such file or directory"))
        'No such file or directory. Check the path.'
    """
    reason = error.strerror or str(error) or type(error).__name__
    if error.errno in NO_SPACE:
        return f"{reason}. Free some space, or name a folder on another disk."
    if isinstance(error, FileNotFoundError):
        return f"{reason}. Check the path."
    return f"{reason}. Name a file or folder that can be read, or an output that can be written."
