"""An index of what files held when they were read, so that a second walk of an unchanged archive reads only folders.

It is one SQLite file that nobody but its owner may read. It has the paths of files, UIDs and descriptions of series,
and patients by their key; no pixels, and no name, id or birth date. It can be removed at any time, and is made anew
where there is any doubt about it.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import stat
import time
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

FILE = "headers.sqlite"
SETTLED_SECONDS = 2.0  # between two changes of a file that leave it with different times, on any file system
_APPLICATION = 0x6B47616E  # "kGan": a file of another program has another number
_WAIT_SECONDS = 2.0  # for another process that writes
_WRITE_SECONDS = 5.0  # between two transactions, so that a walk that is stopped was not in vain
# What another process, the file system or the disk refuses; all other errors are those of a file that is no index.
_REFUSED = {
    *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH),
    *(sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOLFS),
}
_LOGGER = logging.getLogger(__name__)
Result = TypeVar("Result")
State: TypeAlias = list[int]


class Index:
    """What was read of files before, as far as they are as they were. Several processes may use one file at once.

    Args:
        folder: The folder of the file, which is created; None for an index that keeps nothing.

    Example (needs scans):

        with Index(Path("cache")) as index:
            found = discover("archive", index=index)
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._file = folder and folder / FILE
        self._connection: sqlite3.Connection | None = None
        self._waiting: list[tuple[bytes, str, bytes | None]] = []
        self._written = time.monotonic()
        self._refused = self._renewed = False
        if self._file is not None:
            self._open(self._file)

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *_: object) -> None:
        """Writes what is to be kept, and closes the file."""
        self.write()
        self._close()

    @property
    def is_open(self) -> bool:
        """Whether there is anything to look into."""
        return self._connection is not None

    def folder(self, path: Path) -> dict[str, Any]:
        """What was known of the files of a folder, by name, as `keep_folder` was given it, or as damage has left it."""
        found = self._find(path, "")
        return found if isinstance(found, dict) else {}

    def keep_folder(self, path: Path, known: dict[str, Any] | None) -> None:
        """Keeps what is known of the files of a folder now, in place of what was; None forgets the folder."""
        self._keep(path, "", known)

    def forget_below(self, root: Path, seen: Iterable[Path]) -> None:
        """Forgets the folders below `root` that a walk has not seen, and what was read of their files."""
        start, still_there = os.path.join(_key(root), b""), set(map(_key, seen))
        between = start, start[:-1] + bytes([start[-1] + 1])
        found = self._attempt(
            lambda connection: connection.execute(
                "SELECT path, question FROM kept WHERE path >= ? AND path < ?", between
            ).fetchall()
        )
        for path, question in found or ():
            if (os.path.dirname(path) if question else path) not in still_there:
                self._waiting.append((path, question, None))

    def answer(self, file: Path, question: str, read: Callable[[], list[str]]) -> list[str]:
        """What was read of a file before, or what is read now.

        Args:
            file: The file.
            question: What is asked of it.
            read: Reads the answer, one text or more. What it raises is raised, and not kept.
        """
        if self._connection is None:
            return read()
        state, found = file_state(file), self._find(file, question)
        if isinstance(found, list) and found[:1] == [state] and found[1:] and set(map(type, found[1:])) == {str}:
            return found[1:]
        answer = read()
        if is_settled(state):
            self._keep(file, question, [state, *answer])
        return answer

    def write(self) -> None:
        """Writes what is to be kept. A process that cannot says so once, and goes on."""
        waiting, self._waiting, self._written = self._waiting, [], time.monotonic()
        if not waiting or self._refused:
            return

        def put(connection: sqlite3.Connection) -> None:
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.executemany(
                    "INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", [row for row in waiting if row[2]]
                )
                gone = [row[:2] for row in waiting if row[2] is None]
                connection.executemany("DELETE FROM kept WHERE path = ? AND question = ?", gone)
                connection.execute("COMMIT")
            except sqlite3.Error:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise

        self._attempt(put)

    def _keep(self, path: Path, question: str, content: Any) -> None:
        if self._connection is None or self._refused:
            return
        packed = None if content is None else zlib.compress(json.dumps(content).encode(), 1)
        self._waiting.append((_key(path), question, packed))
        if time.monotonic() - self._written > _WRITE_SECONDS:
            self.write()

    def _find(self, path: Path, question: str) -> Any:
        sought = _key(path), question
        row = self._attempt(
            lambda connection: connection.execute(
                "SELECT content FROM kept WHERE path = ? AND question = ?", sought
            ).fetchone()
        )
        try:
            return None if row is None else json.loads(zlib.decompress(row[0]))  # which has a checksum
        except (zlib.error, TypeError, ValueError, RecursionError):
            return None

    def _attempt(self, action: Callable[[sqlite3.Connection], Result]) -> Result | None:
        """The result of an action on the file, or None where it fails; a damaged file is then made anew."""
        if self._connection is None:
            return None
        try:
            return action(self._connection)
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
            if code not in _REFUSED:
                self._renew(str(error))
            else:
                self._refuse(str(error))
                if code not in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL):  # which can still be read
                    self._close()
            return None

    def _open(self, file: Path) -> None:
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not _is_own(file):
                file.unlink()
            with suppress(FileExistsError):  # SQLite would let the group read it
                os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            self._connection = sqlite3.connect(file, timeout=_WAIT_SECONDS, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            self._refuse(getattr(error, "strerror", None) or str(error))
        else:
            self._attempt(self._require_own_content)

    def _require_own_content(self, connection: sqlite3.Connection) -> None:
        marks = {"application_id": _APPLICATION, "user_version": _rules()}
        found = {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in marks}
        if found == marks:
            return
        if any(found.values()) or connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            self._renew("another version or program writes it")
            return
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS kept (path BLOB, question TEXT, content BLOB, PRIMARY KEY (path, question))"
        )
        for name, value in marks.items():
            connection.execute(f"PRAGMA {name} = {value}")
        connection.execute("COMMIT")

    def _renew(self, reason: str) -> None:
        """Begins an empty file in place of one that is damaged, of another program or of another version."""
        self._close()
        if self._file is None or self._renewed:
            self._refuse(reason)
            return
        self._renewed = True
        with suppress(OSError):
            self._file.unlink()
        self._open(self._file)

    def _refuse(self, reason: str) -> None:
        """Does without the index, which is said once; what can still be read of it is."""
        if not self._refused:
            _LOGGER.warning(
                "The index of headers, %s, cannot be used (%s): files are read without it, and will be read again.",
                self._file,
                reason,
            )
        self._refused = True

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def file_state(path: Path) -> State | None:
    """Size in bytes, the times in ns when content and anything changed, and inode; None for no regular file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino] if stat.S_ISREG(found.st_mode) else None


def is_settled(state: State | None) -> bool:
    """True for a file that was changed so long ago that another change would give it another state."""
    return state is not None and time.time_ns() - max(state[1:3]) > SETTLED_SECONDS * 1e9


def _key(path: Path) -> bytes:
    """The one name of a file or folder that links lead to in several ways; names need be no text."""
    return os.fsencode(os.path.realpath(path))


def _is_own(file: Path) -> bool:
    """True where nobody else can have written or can read a file, or where there is none."""
    try:
        found = file.lstat()
    except FileNotFoundError:
        return True
    is_private = not hasattr(os, "geteuid") or (found.st_uid == os.geteuid() and not found.st_mode & 0o077)
    return stat.S_ISREG(found.st_mode) and is_private


def _rules() -> int:
    """A number that changes with the code that reads files and judges them: others' findings are not its own."""
    package = Path(__file__).parents[1]
    content = [path.read_bytes() for wing in ("io", "scans") for path in sorted((package / wing).glob("*.py"))]
    return zlib.crc32(version("pydicom").encode() + b"".join(content)) & 0x7FFFFFFF  # SQLite has 31 bits for it
