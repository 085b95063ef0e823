"""The translation of one series of a cohort, in whichever process it is done."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kerasgan.errors import KerasganError, ServingError
from kerasgan.execution import SentOnce
from kerasgan.files import reason_and_remedy
from kerasgan.io import Series, read_series
from kerasgan.scans.contract import Direction
from kerasgan.scans.volume import Modality
from kerasgan.translation.manifest import Row
from kerasgan.translation.translate import error_map_path, preview_path, structure_paths, translate_read
from kerasgan.translation.translator import Translator


@dataclass(frozen=True)
class Options:
    """What holds for each scan of a cohort; the fields are arguments of `kerasgan.translate`."""

    direction: Direction | None = None
    strict: bool = False
    modality: Modality | None = None
    orientation: str = ""
    anonymous: bool = False
    flip: bool = False
    uncertainty: bool = False
    axial_mm: float | None = None
    de_identify: str | None = None
    structures: bool = False


@dataclass(frozen=True)
class Task:
    """A series that is to be translated, and its row as far as it is known before."""

    series: Series
    row: Row


class _Turn:
    """A lock for the network, which nobody gets any more once a cohort was stopped: Ctrl-C waits for one batch."""

    def __init__(self) -> None:
        self.stopped, self._lock = False, threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()
        if self.stopped:
            self._lock.release()
            raise KerasganError("The command was stopped.")

    def __exit__(self, *_: object) -> None:
        self._lock.release()


class Shared:
    """A translator that several threads use at once."""

    def __init__(self, translator: Translator) -> None:
        self.translator, self._turn = translator, _Turn()
        translator.turn, translator.show_progress = self._turn, False

    @contextmanager
    def until_the_end(self) -> Iterator[None]:
        """Lets no thread begin another batch once the block was left, however."""
        try:
            yield
        finally:
            self._turn.stopped = True

    def __reduce__(self) -> tuple[object, ...]:  # another process has threads of its own
        return Shared, (self.translator,)


def translate_task(shared: SentOnce[Shared], out: Path, options: Options, task: Task) -> Row:
    """Translates a series, and says what became of it.

    Args:
        shared: The model.
        out: The folder of the outputs.
        options: What holds for each scan of the cohort.
        task: The series.

    Returns:
        Its row; a failure is no exception.
    """
    begun, row, output = time.monotonic(), task.row, out / task.row.output
    try:
        for file in task.series.files:
            file.stat()  # a disk that this process does not see is no fault of the scan
        volume = read_series(task.series, strict=options.strict)
        # What is there is of an input that has changed, or of a process that was killed.
        for path in (output, preview_path(output), error_map_path(output), *structure_paths(output)):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        warnings = volume.warnings
        made = translate_read(
            shared.value.translator,
            {"": volume},
            output,
            options.direction,
            options.strict,
            options.anonymous,
            options.flip,
            options.uncertainty,
            options.axial_mm,
            Path(options.de_identify) if options.de_identify else None,
            options.structures,
        )
    except Exception as error:
        text = str(error) if isinstance(error, KerasganError) else f"{type(error).__name__}: {error}"
        if isinstance(error, OSError):
            text = f"{error.filename or output}: {reason_and_remedy(error)}"
        text = " ".join(text.split()).replace(f"{out}{os.sep}", "")
        changes: dict[str, object] = {"status": "failed", "error": text, "digest": row.digest * _is_the_scan(error)}
    else:
        gate = str(made.verdict) if made.verdict else ""
        changes = {"status": "done", "warnings": warnings, "gate": gate, "engine": made.engine}
    return row.model_copy(update=changes | {"seconds": round(time.monotonic() - begun, 2)})


def _is_the_scan(error: BaseException) -> bool:
    """True where the scan is to blame, so that it would fail again; False for a disk, a server, memory or a mistake."""
    causes = list[BaseException]()
    cause: BaseException | None = error
    while cause is not None:
        causes.append(cause)
        cause = cause.__cause__
    elsewhere = any(isinstance(one, OSError | MemoryError | ServingError) for one in causes)
    return isinstance(error, KerasganError) and not elsewhere
