"""A folder of many scans translated: one output a series, a manifest, and nothing done twice.

Each process that works on it loads the network once and has a few scans under way: while one is computed, others are
read and written. Only the process that was started writes the manifest.

OUT/cohort.json                  the folder, the model and the options that OUT belongs to
OUT/manifest.csv, .jsonl         a row for each series, see `manifest.py`
OUT/.cohort.lock                 held by the command that translates into OUT
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path

from tqdm import tqdm

from kerasgan.engines.names import Wanted
from kerasgan.errors import KerasganError, WorkerError
from kerasgan.execution import SentOnce, executor
from kerasgan.files import alone_in, path_of, read_record, remove_leftovers, replacing, require_writable
from kerasgan.io import Index, Series, discover
from kerasgan.io.dicom_structures import require_highdicom
from kerasgan.io.discovery import READING
from kerasgan.io.nifti import is_image, stem
from kerasgan.scans.contract import Direction
from kerasgan.scans.volume import Modality
from kerasgan.translation.manifest import Manifest, Row
from kerasgan.translation.task import Options, Shared, Task, translate_task
from kerasgan.translation.translate import (
    Model,
    open_translator,
    require_expected_error,
    require_key,
    require_thickness,
)

COHORT, LOCK = "cohort.json", ".cohort.lock"
LONGEST = 1000  # characters of a reason


def holds_cohort(out: Path) -> bool:
    """True for a folder that a cohort was translated into, or is being."""
    return (out / COHORT).is_file()


class Cohort:
    """The series below a folder, and what is left to do about each.

    Args:
        model: As for `kerasgan.translate`.
        folder: Searched to any depth.
        out: A new folder for the outputs, or that of a cohort that was begun.
        options: What holds for each scan.
        engine: What computes the generators of a run, see `kerasgan.translate`; a series that is done stays as it is.
        found: The series, where the folder has been searched already.
        index: Folder of the index of what was read of files before, see `kerasgan.io.Index`; None: all are read.

    Attributes:
        rows: A row for each series: left out, failed, done before, or planned.
        tasks: Those that are planned.

    Raises:
        KerasganError: For a folder without a series that the model takes, an `out` that holds something else or lies
            inside the folder, another folder, model or options than `out` was begun with, or a model that cannot be
            used.

    Example:

        cohort = Cohort("runs/first", "archive", "synthetic")
        rows = list(cohort.translate(workers=4))
    """

    def __init__(
        self,
        model: Model,
        folder: str | Path,
        out: str | Path,
        options: Options | None = None,
        found: Sequence[Series] | None = None,
        index: Path | None = None,
        engine: Wanted = "exact",
    ) -> None:
        self.folder, self.out = path_of(folder, "folder"), path_of(out, "out")
        self.options = options or Options()
        require_thickness(self.options.axial_mm)
        _require_places(self.folder, self.out)
        self.translator = open_translator(model, engine, index)
        directions = self._directions()
        self._facts = {
            "folder": str(self.folder.resolve()),
            "model": self.translator.origin or self.translator.name,
            "options": asdict(self.options),
        }
        self._require_same()
        self.manifest = Manifest(self.out)
        if found is None:
            with Index(index) as known:
                found = discover(
                    self.folder, self.options.modality, self.options.orientation, index=known, title=READING
                )
        if not found:
            kinds = "DICOM series, NIfTI, MHA or NRRD file"
            raise KerasganError(f"{self.folder} holds no {kinds}; name a folder that has some.")
        self.rows, self.tasks = list[Row](), list[Task]()
        self._plan(found, directions)
        if not any(row.status in ("planned", "done") or row.digest for row in self.rows):
            raise self.translator.error(
                f"{self.folder} holds no series that {self.translator.name} can translate: {_reasons(self.rows)}. Name "
                "another folder or model."
            )
        for modality in {task.row.modality for task in self.tasks}:
            if self.options.uncertainty:
                require_expected_error(self.translator, self.translator.contract(directions[modality]))
            if self.options.structures:
                self.translator.require_structures(directions[modality])
        if self.options.structures and any(task.series.slices for task in self.tasks):
            require_highdicom()

    def translate(self, workers: int = 1, cluster: str | None = None, progress: bool = True) -> Iterator[Row]:
        """Translates what is planned, and writes the manifest.

        Args:
            workers: Processes, see `kerasgan.execution.executor`.
            cluster: Where they run, see `kerasgan.execution.executor`.
            progress: Whether a bar shows how far it is, with the time left.

        Yields:
            The row of each series, as it is finished; at first those that need nothing.

        Raises:
            KerasganError: Where another command translates into the same folder, or `out` cannot be written.
            WorkerError: Where the workers cannot be reached, or all of them were lost. What was finished stands.
        """
        key = self.options.de_identify
        require_key(Path(key) if key else None, self.options.anonymous)  # before several processes need it
        require_writable(self.out / COHORT)
        self.out.mkdir(parents=True, exist_ok=True)
        refusal = KerasganError(
            f"Another command translates into {self.out}; wait until it ends, or name another folder."
        )
        with alone_in(self.out, refusal, LOCK), ExitStack() as stack:
            former = self.manifest.read()  # another command may have gone on since
            self.tasks = [task for task in self.tasks if not self._stands(former.get(task.row.key), task.row)]
            place = stack.enter_context(executor(workers, cluster) if self.tasks else executor())
            if not holds_cohort(self.out):
                with replacing(self.out / COHORT) as path:
                    path.write_text(json.dumps(self._facts, indent=2))
            left = {task.row.key for task in self.tasks}
            known = [former[row.key] if row.status == "planned" else row for row in self.rows if row.key not in left]
            rows = former | {row.key: row for row in known}
            self.manifest.write(rows.values())
            yield from known
            shared, total = Shared(self.translator), sum(task.row.slices for task in self.tasks)
            function = partial(translate_task, SentOnce(shared), self.out, self.options)
            hidden = not progress or not total
            with (
                shared.until_the_end(),
                tqdm(desc="Translating", total=total, unit="slice", disable=hidden, smoothing=0) as bar,
            ):
                for outcome in place.run(function, self.tasks):
                    row = outcome.value or self._lost(outcome.job, outcome.failure, outcome.error)
                    rows[row.key] = row
                    self.manifest.add(row)
                    bar.update(row.slices)
                    yield row
            self.manifest.write(rows.values())

    def _directions(self) -> Mapping[str, Direction]:
        """The direction in which each modality is translated that the model takes."""
        sources, wanted = self.translator.sources(), self.options.direction
        if wanted is not None:
            self.translator.direction(sources.get(wanted, "MR"), wanted)  # refuses one that the model has not
        found: dict[str, Direction] = {
            source: self.translator.direction(source, wanted)
            for direction, source in sources.items()
            if wanted in (None, direction)
        }
        for direction in found.values():
            if channels := self.translator.contract(direction).channels:
                names = [channel.name for channel in channels]
                raise self.translator.error(
                    f"{self.translator.name} takes {' and '.join(names)} of each patient, and a cohort is of single "
                    "series. Translate each patient by a command of its own: kerasgan translate RUN "
                    f"{' '.join(f'{name}=PATH' for name in names)} OUTPUT"
                )
        return found

    def _require_same(self) -> None:
        """Refuses a folder of outputs that was begun with another folder, model or options."""
        if not holds_cohort(self.out):
            return
        begun = read_record(self.out / COHORT, json.loads, "Name another folder for the outputs.", KerasganError)
        for name, value in self._facts.items():
            if not isinstance(begun, dict) or begun.get(name) != value:
                former = begun.get(name) if isinstance(begun, dict) else begun
                raise KerasganError(
                    f"{self.out} holds translations with {name} {_words(former)}, not {_words(value)}. Name another "
                    "folder, so that nothing is overwritten."
                )

    def _plan(self, found: Sequence[Series], directions: Mapping[str, Direction]) -> None:
        """Fills rows and tasks."""
        former = self.manifest.read()
        identities = {direction: self._identity(direction) for direction in directions.values()}
        unreadable = defaultdict[Path, list[Series]](list)  # by file, or of DICOM files by folder
        for series in found:
            if series.damaged:
                (file,) = series.files
                unreadable[file if is_image(file) else file.parent].append(series)
        for place, damaged in unreadable.items():
            place, several = (place, len(damaged)) if len(damaged) > 1 else (damaged[0].files[0], 0)
            name = f"{several} files that cannot be read" if several else ""
            reasons = "; ".join(dict.fromkeys(one.reason for one in damaged))
            self.rows.append(Row(input=self._seen(place), series=name, status="failed", error=reasons[:LONGEST]))
        for series, name in _names([one for one in found if not one.damaged]):
            input_ = self._seen(series.place)
            known = {"input": input_, "series": name, "modality": series.modality[:16], "slices": series.shape[0]}
            direction = directions.get(series.modality)
            if not series.usable or series.synthetic or direction is None:
                takes = " and ".join(directions)
                reason = series.reason if not series.usable else "a network computed it; it is no scan"
                reason = reason if direction or not series.usable else f"{self.translator.name} takes {takes}"
                self.rows.append(Row(**known, status="left out", error=reason))
                continue
            target = self.translator.contract(direction).target.modality
            output, digest = self._output(input_, name, series, target), _digest(series, identities[direction])
            planned = Row(**known, output=output, status="planned", digest=digest)
            stands = self._stands(former.get(planned.key), planned)
            self.rows.append(former[planned.key] if stands else planned)
            if not stands:
                self.tasks.append(Task(series, planned))

    def _stands(self, row: Row | None, planned: Row) -> bool:
        """True for a row of the manifest by which a series need not be translated again."""
        if row is None or (row.digest, row.output) != (planned.digest, planned.output):
            return False
        return row.status == "failed" or (self.out / row.output).exists()

    def _seen(self, path: Path) -> str:
        name = path.relative_to(self.folder).as_posix()
        return name.encode(errors="surrogateescape").decode(errors="backslashreplace")  # of bytes that are no UTF-8

    def _output(self, input_: str, name: str, series: Series, target: Modality) -> str:
        """Where the output lies below `out`: at the place of its source, with a name that says what it is."""
        path, folder = Path(input_), Path(self._seen(_folder(series)))
        if not series.slices:
            words = "-".join(filter(None, (stem(path), name, "synthetic", target.lower())))
            return (folder / f"{words}{path.name[len(stem(path)) :]}").as_posix()
        return (folder / f"{name.replace(' ', '-')}-synthetic-{target.lower()}").as_posix()

    def _identity(self, direction: Direction) -> str:
        """What else decides a result than the scan: the contract, which has the network's digest, and the options."""
        unused = {"kerasgan"} if self.options.uncertainty else {"kerasgan", "expected_error"}
        contract = self.translator.contract(direction).model_dump_json(exclude=unused)
        return json.dumps([contract, asdict(self.options)])

    def _lost(self, task: Task, failure: Exception | None, text: str) -> Row:
        """The row of a series that no worker could finish; one that ended its workers is not tried again by itself."""
        path = self.out / task.row.output
        remove_leftovers(path.parent, f".{path.name}.*")
        changes: dict[str, object] = {"status": "failed", "error": text, "digest": ""}
        if isinstance(failure, WorkerError):
            again = f"to try it again, remove its line from {self.manifest.lines.name}"
            changes |= {"error": f"{text.rstrip('.')}; {again}.", "digest": task.row.digest}
        return task.row.model_copy(update=changes)


def _require_places(folder: Path, out: Path) -> None:
    if not folder.is_dir():
        raise KerasganError(
            f"{folder} is no folder, and a cohort is a folder of scans, not packed. One scan is translated by "
            "kerasgan.translate."
        )
    if out.resolve().is_relative_to(folder.resolve()):
        raise KerasganError(
            f"{out} lies inside {folder}, where the next search would find what is written; name a folder beside it."
        )
    if is_image(out):
        raise KerasganError(f"{out} is the name of one image, and {folder} holds several scans; name a folder.")
    if out.is_file() or (out.is_dir() and not holds_cohort(out) and any(path.name != LOCK for path in out.iterdir())):
        raise KerasganError(f"{out} exists; name another output, so that nothing is overwritten.")


def _names(found: Sequence[Series]) -> list[tuple[Series, str]]:
    """Each series with what tells its output from others of the same folder; images have the names of their files."""
    named = [(series, _name(series) if series.uid or series.slices else "") for series in found]
    places = [(_folder(series), name or stem(series.place)) for series, name in named]
    taken = Counter(places)
    return [
        (series, f"{name} {_short(series)}".strip() if taken[place] > 1 else name)
        for (series, name), place in zip(named, places, strict=True)
    ]


def _folder(series: Series) -> Path:
    """The folder of the files, at whose place below `out` the output lies."""
    return series.place.parent if len(series.files) == 1 else series.place


def _name(series: Series) -> str:
    """Number and traits, such as `series 4 EchoTime-4.6`, of letters that a folder can have."""
    words = ("series", series.number, *series.traits)
    return " ".join(filter(None, (re.sub(r"[^A-Za-z0-9.+-]+", "-", word).strip("-.") for word in words)))


def _short(series: Series) -> str:
    files = "".join(file.name for file in series.files)
    return hashlib.sha256(f"{series.uid}{series.traits}{series.reason}{files}".encode()).hexdigest()[:6]


def _digest(series: Series, identity: str) -> str:
    """The digest of the files by name, size and time, and of what else decides the result."""
    digest = hashlib.sha256(f"{identity}{series.uid}{series.traits}".encode())
    for file in series.files:
        found = file.stat()
        digest.update(f"{file.name}/{found.st_size}/{found.st_mtime_ns};".encode())
    return digest.hexdigest()[:16]


def _reasons(rows: Sequence[Row]) -> str:
    """The reasons of rows that cannot be translated, the commonest first."""
    reasons = defaultdict[str, int](int)
    for row in rows:
        reasons[row.error.rstrip(".")] += 1
    ordered = sorted(reasons.items(), key=lambda found: -found[1])
    listed = "; ".join(f"{count} x {reason}" for reason, count in ordered[:5])
    return listed + f" and {len(ordered) - 5} other reasons" * (len(ordered) > 5)


def _words(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {one}" for name, one in value.items() if one) or "their defaults"
    return str(value)
