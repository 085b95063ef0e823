"""The queue of a node on disk: what became of each series, and its files.

FOLDER/queue.sqlite     a row for each series that a sender has begun; no value of a patient is in it
FOLDER/received/ID/     the images of a series as they came, one file each, until it was sent or rejected
FOLDER/made/ID/         the series that was made of it, until it was sent

Whatever is said of a series is committed before anybody relies on it, and files appear under their names only when they
are whole, so a kill at any moment leaves a queue that goes on.
"""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from kerasgan.errors import KerasganError
from kerasgan.files import remove_leftovers, sync

State = Literal["receiving", "received", "translated", "sent", "rejected", "failed"]
STATES: tuple[State, ...] = get_args(State)
VERSION = 1  # of the table
FILE = "queue.sqlite"
MOST_TRIES = 5  # to translate a series; one that ends the process each time is not tried for ever


class Job(NamedTuple):
    """A series in the queue.

    Attributes:
        id: Names its folders, and it in messages.
        calling: AE title of the sender, or the name of the server that was asked for it.
        series: Series Instance UID (0020,000E) of what came.
        state: `"receiving"` until it is whole, then `"received"`, `"translated"`, and `"sent"`; or `"rejected"`, where
            the scan or the rules are the reason, or `"failed"`.
        reason: Why it was rejected or failed, is being tried again, or is not whole after its last association.
        rule: Name of the rule that it goes by.
        images: How many it had when it was last whole; from `read_queue`, while it is received, how many came so far.
        made: Series Instance UID of what was made of it and lies in its folder, or was sent; `""` for nothing.
        tries: How often it was begun to translate, or tried to send, since its state changed.
        due: Time before which it is not tried again, in seconds since 1970, as the others.
        begun: Time of its first image.
        changed: Time of the last change of its state; while it is received, of the last association's begin or end.
        released: Whether its last association was ended by its sender, after no image of it was refused.
        revision: Changes whenever it is received anew.
    """

    id: int
    calling: str
    series: str
    state: State
    reason: str
    rule: str
    images: int
    made: str
    tries: int
    due: float
    begun: float
    changed: float
    released: bool
    revision: int


_TABLE = """
CREATE TABLE job (
    id INTEGER PRIMARY KEY, calling TEXT NOT NULL, series TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'receiving',
    reason TEXT NOT NULL DEFAULT '', rule TEXT NOT NULL DEFAULT '', images INTEGER NOT NULL DEFAULT 0,
    made TEXT NOT NULL DEFAULT '', tries INTEGER NOT NULL DEFAULT 0, due REAL NOT NULL DEFAULT 0,
    begun REAL NOT NULL, changed REAL NOT NULL, released INTEGER NOT NULL DEFAULT 0,
    revision INTEGER NOT NULL DEFAULT 0, UNIQUE (calling, series)
)"""
_ANEW = "state = 'receiving', reason = '', made = '', tries = 0, due = 0, released = 0, begun = ?, changed = ?"


class Queue:
    """The queue in a folder, of one node, for all of its threads.

    Args:
        folder: Is created where it is missing.

    Raises:
        KerasganError: For a folder with a queue of another version.

    Example (writes files):

        with closing(Queue(Path("queue"))) as queue:
            job = queue.receive("SCANNER", "1.2.3")
            queue.folder(job.id)
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._lock = folder, threading.RLock()
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._database = _connected(folder / FILE)
        self._recover()

    def close(self) -> None:
        """Ends the connection to the file."""
        with self._lock:
            self._database.close()

    def folder(self, job: int) -> Path:
        """The folder of the images of a series that came."""
        return self._folder / "received" / str(job)

    def made(self, job: int) -> Path:
        """The folder of the series that was made."""
        return self._folder / "made" / str(job)

    def images(self, job: int) -> list[Path]:
        """The images of a series that came."""
        return _images(self._folder, job)

    def receive(self, calling: str, series: str) -> Job:
        """The series that an image comes for; one that was ended is begun anew."""
        now = time.time()
        with self._lock:
            with self._database:
                self._database.execute(
                    "INSERT OR IGNORE INTO job (calling, series, begun, changed) VALUES (?, ?, ?, ?)",
                    (calling, series, now, now),
                )
                self._database.execute(
                    f"UPDATE job SET {_ANEW}, revision = revision + 1 "
                    "WHERE calling = ? AND series = ? AND state IN ('sent', 'rejected', 'failed')",
                    (now, now, calling, series),
                )
                self._database.execute(
                    "UPDATE job SET released = 0, reason = '', changed = ? "
                    "WHERE calling = ? AND series = ? AND state = 'receiving'",
                    (now, calling, series),
                )
            (job,) = self._select("calling = ? AND series = ?", calling, series)
            return job

    def bring(self, calling: str, series: str, folder: Path) -> Job:
        """A series that came at once.

        Args:
            calling: Who brings it.
            series: Its Series Instance UID.
            folder: Of its images, on the disk of the queue, which becomes that of the series.
        """
        with self._lock:
            job = self.receive(calling, series)
            place = self.folder(job.id)
            shutil.rmtree(place, ignore_errors=True)
            folder.rename(place)
            sync(place.parent)
            self.change(job, state="received", images=len(self.images(job.id)), released=1)
            return self.job(job.id)

    def late(self, job: int) -> None:
        """Begins a series anew that was taken for whole, because another image of it came; its images stay."""
        now = time.time()
        with self._lock, self._database:
            self._database.execute(
                f"UPDATE job SET {_ANEW}, revision = revision + 1 WHERE id = ? AND state != 'receiving'",
                (now, now, job),
            )

    def ended(self, job: int, reason: str) -> None:
        """Says that an association ended which brought images of a series, and why that is not whole; `""` if it is."""
        with self._lock, self._database:
            self._database.execute(
                "UPDATE job SET released = ?, reason = ?, changed = ? WHERE id = ? AND state = 'receiving'",
                (not reason, reason, time.time(), job),
            )

    def change(self, job: Job, **values: str | int | float) -> bool:
        """Changes what is said of a series; False where it is no longer what it was, as other images came meanwhile."""
        if "state" in values:
            values["changed"] = time.time()
        with self._lock, self._database:
            columns = ", ".join(f"{name} = ?" for name in values)
            found = self._database.execute(
                f"UPDATE job SET {columns} WHERE id = ? AND state = ? AND revision = ?",
                (*values.values(), job.id, job.state, job.revision),
            )
            return found.rowcount == 1

    def finish(self, job: Job, state: State, reason: str = "", **values: int) -> bool:
        """Ends a series; in one step with what is said of it go its files, unless it failed. False as for `change`."""
        with self._lock:
            if not self.change(job, state=state, reason=reason, **values):
                return False
            if state != "failed":
                self._remove(job.id)
        self._empty_bin()
        return True

    def job(self, job: int) -> Job:
        """A series by its number."""
        (found,) = self._select("id = ?", job)
        return found

    def jobs(self, *states: State) -> list[Job]:
        """All series in some states, or in any; those with the fewest tries first, then as they came."""
        marks = ", ".join("?" * len(states))
        return self._select(f"state IN ({marks})" if states else "1", *states)

    def forget(self, before: float) -> None:
        """Forgets what was sent, rejected or failed before a time, with its files."""
        for job in self.jobs("sent", "rejected", "failed"):
            if job.changed < before:
                with self._lock, self._database:
                    old = self._database.execute(
                        "DELETE FROM job WHERE id = ? AND revision = ? AND changed = ?",
                        (job.id, job.revision, job.changed),
                    )
                    if old.rowcount:
                        self._remove(job.id)
        self._empty_bin()

    def _select(self, where: str, *values: str | int) -> list[Job]:
        with self._lock:
            return _select(self._database, where, *values)

    def _recover(self) -> None:
        """Goes on after the last process, however it ended: what failed is tried again, half a file is removed."""
        with self._lock, self._database:
            again = "UPDATE job SET reason = '', state = {} WHERE state = 'failed' AND {}"
            self._database.execute(again.format("'translated'", "made != ''"))
            self._database.execute(again.format("'received'", "images > 0 AND released AND made = ''"))
            self._database.execute(
                "UPDATE job SET reason = 'the node ended while it came; send the rest or all of it' "
                "WHERE state = 'receiving' AND NOT released AND reason = ''"
            )
            self._database.execute(  # senders and destinations have not been asked while the node was away
                "UPDATE job SET changed = ?, due = 0, tries = 0 WHERE state IN ('receiving', 'translated')",
                (time.time(),),
            )
        kept = {str(job.id) for job in self.jobs("receiving", "received", "translated", "failed")}
        for kind in ("received", "made"):
            (self._folder / kind).mkdir(exist_ok=True, mode=0o700)
            remove_leftovers(self._folder / kind, alone=True)
            for folder in (self._folder / kind).iterdir():
                if folder.name in kept:
                    remove_leftovers(folder, alone=True)
                else:
                    shutil.rmtree(folder)
        self._empty_bin()

    def _remove(self, job: int) -> None:
        """Takes the files of a series out of sight in one step, so that nothing that comes now goes with them."""
        for folder in (self.folder(job), self.made(job)):
            if folder.exists():
                gone = self._folder / "bin" / f"{folder.parent.name}-{job}-{time.time_ns()}"
                gone.parent.mkdir(exist_ok=True, mode=0o700)
                folder.rename(gone)

    def _empty_bin(self) -> None:
        shutil.rmtree(self._folder / "bin", ignore_errors=True)


def read_queue(folder: Path) -> list[Job]:
    """What is in the queue of a node, which may be running.

    Raises:
        KerasganError: For a folder without a queue.
    """
    if not (folder / FILE).is_file():
        raise KerasganError(f"{folder} holds no queue yet; start the node first.")
    with closing(_connected(folder / FILE)) as database:
        jobs = _select(database, "1")
    return [job._replace(images=len(_images(folder, job.id))) if job.state == "receiving" else job for job in jobs]


def _images(folder: Path, job: int) -> list[Path]:
    return sorted((folder / "received" / str(job)).glob("[!.]*.dcm"))


def _connected(file: Path) -> sqlite3.Connection:
    database = sqlite3.connect(file, timeout=30, check_same_thread=False)
    try:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version not in (0, VERSION):
            raise KerasganError(f"{file} is of another version of kerasgan; name another folder for the queue.")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")  # what was committed outlives a power cut
        if version == 0:
            with database:
                database.execute("BEGIN IMMEDIATE")
                database.execute(_TABLE)
                database.execute(f"PRAGMA user_version = {VERSION}")
    except sqlite3.DatabaseError as error:
        database.close()
        raise KerasganError(f"{file} cannot be used ({error}); name another folder for the queue.") from error
    except KerasganError:
        database.close()
        raise
    return database


def _select(database: sqlite3.Connection, where: str, *values: str | int) -> list[Job]:
    rows = database.execute(f"SELECT {', '.join(Job._fields)} FROM job WHERE {where} ORDER BY tries, id", values)
    return [Job(*row) for row in rows]
