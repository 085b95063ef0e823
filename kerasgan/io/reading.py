"""Reads the files of a folder: not those that an index knows, and many others in several processes at once.

Parsing DICOM holds the lock of the Python interpreter, so that threads would gain nothing.
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import Any, TypeAlias

from tqdm import tqdm

from kerasgan.execution import cores
from kerasgan.io.findings import (
    Finding,
    frames_of,
    is_lasting,
    is_unchanged,
    question_of,
    read_finding,
    series_of_image,
)
from kerasgan.io.frames import FrameHeader
from kerasgan.io.index import Index, State, file_state, is_settled
from kerasgan.io.nifti import is_image
from kerasgan.io.series import Series
from kerasgan.scans.volume import Modality

PROCESSES = 8  # at most, since each holds a whole image
WORTH_FILES, WORTH_BYTES = 2000, 2**26  # of DICOM and of images, from which starting processes pays
_BATCH = 32  # files that a process reads before it answers; an image is a batch of its own

Content: TypeAlias = "list[FrameHeader] | Series | str | None"


def read_files(
    files: Iterable[Path], root: Path, modality: Modality | None, orientation: str, index: Index, title: str | None
) -> list[tuple[Path, Content]]:
    """Reads files as far as the index does not know what they hold.

    Args:
        files: The files, those of each folder one after the other.
        root: The folder that is searched, which holds them all.
        modality: What images are that do not show it themselves.
        orientation: That of images that do not say it.
        index: What was read before; it gets what is read now.
        title: Of the progress bar; None: there is none.

    Returns:
        Each file with the frames of a DICOM file, the series of an image, the reason why it cannot be read, or None for
        a file of another kind.
    """
    contents: list[tuple[Path, Content]] = []
    unread: list[tuple[int, State | None]] = []  # places in `contents`, and the files' states before they are read
    changed: dict[Path, dict[str, Any]] = {}  # what is known of the files of folders that are not as they were
    folders: list[Path] = []
    shared: dict[Any, Any] = {}

    def content_of(finding: Finding, file: Path) -> Content:
        if "frames" in finding:
            return frames_of(finding, file, shared)
        return series_of_image(finding, file, root, orientation) if "image" in finding else finding.get("damage")

    with tqdm(desc=title, unit="file", leave=False, disable=title is None) as bar:
        for folder, members in groupby(files, lambda file: file.parent):
            folders.append(folder)
            kept, before = index.folder(folder), len(unread)
            known: dict[str, Any] = {}
            for file in members:
                state, content = file_state(file) if index.is_open else None, None
                try:
                    *asked, finding = kept[file.name]
                    if asked != [state, question_of(file, modality, orientation)] or not is_unchanged(finding, file):
                        raise ValueError("another state of the file, or another question")
                    content = content_of(finding, file)
                    known[file.name] = kept[file.name]
                except (LookupError, TypeError, ValueError, AttributeError):  # what is kept may be anything
                    unread.append((len(contents), state))
                contents.append((file, content))
                bar.update()
            if len(unread) > before or len(known) < len(kept):
                changed[folder] = known
        if unread:
            bar.reset(len(unread))
        with closing(read_findings([contents[place][0] for place, _ in unread], modality, orientation)) as findings:
            found = zip(unread, findings, strict=True)
            for folder, of_folder in groupby(found, lambda one: contents[one[0][0]][0].parent):
                known = changed.pop(folder)
                for (place, state), finding in of_folder:
                    file = contents[place][0]
                    contents[place] = file, content_of(finding, file)
                    states = [state, *(beside for _, beside in finding.get("beside", ()) if beside)]
                    if is_lasting(finding) and all(map(is_settled, states)):
                        known[file.name] = [state, question_of(file, modality, orientation), finding]
                    bar.update()
                index.keep_folder(folder, known or None)
    for folder, known in changed.items():
        index.keep_folder(folder, known or None)
    index.forget_below(root, folders)
    return contents


def read_findings(files: Sequence[Path], modality: Modality | None, orientation: str) -> Generator[Finding]:
    """Reads files, many of them in processes of their own.

    Args:
        files: The files.
        modality: What images are that do not show it themselves.
        orientation: That of images that do not say it.

    Yields:
        The finding of each file, in their order, see `read_finding`.
    """
    images = list(filter(is_image, files))
    size = sum((file_state(image) or [0])[0] for image in images)
    is_worth_it = len(files) - len(images) >= WORTH_FILES or (len(images) > 1 and size >= WORTH_BYTES)
    count = min(PROCESSES, cores())
    if count == 1 or not is_worth_it:
        yield from (read_finding(file, modality, orientation) for file in files)
        return
    batches: list[list[Path]] = []
    for alone, together in groupby(files, is_image):
        members, length = list(together), 1 if alone else _BATCH
        batches += [members[start : start + length] for start in range(0, len(members), length)]
    processes = [_Process(modality, orientation) for _ in range(count)]
    idle: queue.SimpleQueue[_Process] = queue.SimpleQueue()
    for process in processes:
        idle.put(process)

    def read(batch: list[Path]) -> list[Finding]:
        process = idle.get()
        try:
            return process.read(batch)
        finally:
            idle.put(process)

    pool = ThreadPoolExecutor(count)  # a thread waits for each process
    try:
        for findings in pool.map(read, batches):
            yield from findings
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.end()


class _Process:
    """A process that reads files; what it cannot read because it has ended, this one reads."""

    def __init__(self, modality: Modality | None, orientation: str) -> None:
        self._asked = modality, orientation
        command = [sys.executable, "-P", str(Path(__file__).with_name("reading_process.py"))]
        pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
        self._process = subprocess.Popen(  # in a session of its own: Ctrl-C is for the program alone
            command, stdin=pipe, stdout=pipe, stderr=nothing, start_new_session=True
        )
        self._ended = False
        self._send([sys.path, modality, orientation])

    def read(self, files: list[Path]) -> list[Finding]:
        """The findings of a batch."""
        try:
            self._send(list(map(str, files)))
            assert self._process.stdout is not None
            findings: list[Finding] = json.loads(self._process.stdout.readline())
        except (OSError, ValueError):  # a pipe without a process, or half an answer
            if self._ended:
                raise
            findings = [read_finding(file, *self._asked) for file in files]
        return findings

    def end(self) -> None:
        """Ends the process, whatever it does."""
        self._ended = True
        self._process.kill()
        self._process.communicate()

    def _send(self, message: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()
