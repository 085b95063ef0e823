"""Decides about a series that is whole, translates it, and stores what was made of it."""

from __future__ import annotations

import logging
import shutil
import threading
import time
import warnings
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from pydicom import dcmread

from kerasgan.errors import DicomError, ForeignError, KerasganError
from kerasgan.files import staging_folder, sync
from kerasgan.io import discover, read_series
from kerasgan.io.uids import uid_of
from kerasgan.io.usability import value_of
from kerasgan.pacs.node.config import Config, Rule
from kerasgan.pacs.node.health import Figures
from kerasgan.pacs.node.queue import MOST_TRIES, Job, Queue, State
from kerasgan.pacs.server import LONGEST_PAUSE_S
from kerasgan.pacs.settings import Settings
from kerasgan.pacs.transfer import open_server
from kerasgan.translation.task import Shared
from kerasgan.translation.translate import translate_read
from kerasgan.translation.translator import Translation

LONGEST = 500  # characters of a reason
_PATIENT = ("PatientID", "PatientName", "PatientBirthDate")
_TAGS = (*_PATIENT, "StudyInstanceUID", "Modality", "BodyPartExamined", "SeriesDescription")

logger = logging.getLogger(__name__)


class _RejectionError(KerasganError):
    """A series is not translated, and would not be the next time."""


class Worker:
    """Does one thing after the other, as often as `step` is called.

    Args:
        config: The rules.
        settings: As whom this machine speaks to destinations.
        queue: What is to be done.
        figures: Counts what was.
        models: The models that the rules name.

    Attributes:
        stopping: Is set when the node stops, so that what then breaks off is not the fault of a series.
    """

    def __init__(
        self, config: Config, settings: Settings, queue: Queue, figures: Figures, models: Mapping[str, Shared]
    ) -> None:
        self._config, self._queue, self._figures, self._models = config, queue, figures, models
        self._settings = settings.model_copy(update={"tries": 1})  # the queue knows when to try again
        self._is_refused = False  # what was to be sent in the last step
        self.stopping = threading.Event()

    def step(self) -> bool:
        """Sends a series whose time has come, or else translates one; False where there is nothing to do.

        After a series that could not be sent, one is translated, so that a destination that keeps silent holds up
        nothing.
        """
        now = time.time()
        due = [job for job in self._queue.jobs("translated") if job.due <= now]
        waiting = self._queue.jobs("received")
        if due and not (waiting and self._is_refused):
            self._is_refused = not self._send(due[0])
            return True
        self._is_refused = False
        if waiting:
            self._translate(waiting[0])
        return bool(waiting)

    def _translate(self, job: Job) -> None:
        if job.tries >= MOST_TRIES:
            reason = f"it was begun {job.tries} times, and failed or ended the node each time; send the scan again"
            self._end(job, "failed", reason)
            return
        self._queue.change(job, tries=job.tries + 1)  # before it may end the process
        begun, images = time.monotonic(), self._queue.images(job.id)
        try:
            rule = _require_whole(images, job.calling, self._config)
            logger.info("Series %d from %s: translating by rule %s.", job.id, job.calling, rule)
            made = self._made(job, images, self._config.rules[rule])
        except Exception as error:
            if self.stopping.is_set():
                self._queue.change(job, tries=job.tries)
                return
            is_the_scan = isinstance(error, _RejectionError | DicomError | ForeignError)
            self._end(job, "rejected" if is_the_scan else "failed", _words(error))
            return
        self._figures.count("translation_sum", time.monotonic() - begun)
        self._figures.count("translation_count")
        if self._queue.change(job, state="translated", rule=rule, made=made, tries=0, due=0.0):
            logger.info("Series %d from %s: translated.", job.id, job.calling)
        else:
            logger.warning("Series %d from %s: images came late, and it is received anew.", job.id, job.calling)

    def _made(self, job: Job, images: list[Path], rule: Rule) -> str:
        """Translates a series into its folder, and returns the Series Instance UID of the result."""
        folder = self._queue.made(job.id)
        shutil.rmtree(folder, ignore_errors=True)
        found = discover(self._queue.folder(job.id))
        if len(found) != 1 or not found[0].usable:
            reasons = dict.fromkeys(one.reason for one in found if not one.usable)
            raise _RejectionError("; ".join(reasons) or f"it holds {len(found)} scans, and one is needed")
        if found[0].synthetic:
            raise _RejectionError("a network computed it; it is no scan")
        series = replace(found[0], patient="unnamed")  # a digest of an id in a log would let others try all ids
        volume, translator = read_series(series, strict=not rule.repair), self._models[rule.model].translator

        def uid(made: Translation) -> str:
            contract = made.contract.model_dump_json(exclude={"expected_error"})
            options = (contract, made.engine, version("kerasgan"), rule.repair, rule.axial_mm)
            return uid_of(job.series, *(file.stem for file in images), *options)

        with staging_folder(folder) as staging:
            output = staging / "series"
            made = translate_read(translator, {"": volume}, output, strict=True, axial_mm=rule.axial_mm, uid=uid)
            output.rename(folder)
        sync(folder.parent)
        return uid(made)

    def _send(self, job: Job) -> bool:
        """Sends a series; False where the destination did not take it."""
        rule = self._config.rules.get(job.rule)
        if rule is None:
            self._end(job, "failed", f"no rule is called {job.rule} any more; call one so, or send the series again")
            return True
        try:
            open_server(rule.destination, self._settings).store(sorted(self._queue.made(job.id).iterdir()))
        except Exception as error:
            self._figures.count("tries_failed")
            if time.time() - job.changed > self._config.patience_s:
                self._end(job, "failed", _words(error))
                return False
            pause = min(2.0**job.tries, LONGEST_PAUSE_S)
            self._queue.change(job, tries=job.tries + 1, due=time.time() + pause, reason=_words(error))
            logger.warning("Series %d from %s: %s Trying again in %.0f s.", job.id, job.calling, _words(error), pause)
            return False
        self._end(job, "sent", "")
        self._figures.count("series_sent")
        return True

    def _end(self, job: Job, state: State, reason: str) -> None:
        """Says what became of a series."""
        if not self._queue.finish(job, state, reason):
            logger.warning("Series %d from %s: images came late, and it is received anew.", job.id, job.calling)
        elif state == "sent":
            logger.info("Series %d from %s: sent as series %s.", job.id, job.calling, job.made)
        else:
            logger.warning("Series %d from %s: %s: %s", job.id, job.calling, state, reason)


def _require_whole(images: list[Path], calling: str, config: Config) -> str:
    """The name of the rule that takes images; refuses those that are not one series of one patient.

    What identifies a patient is compared here and kept nowhere.
    """
    found: dict[str, set[str]] = {tag: set() for tag in _TAGS}
    kinds = set()
    for file in images:
        with warnings.catch_warnings():  # in which pydicom shows values
            warnings.simplefilter("ignore")
            header = dcmread(file, stop_before_pixels=True, specific_tags=list(_TAGS))
            values = {tag: str(value_of(header, tag) or "") for tag in _TAGS}
        for tag, value in values.items():
            found[tag].add(value)
        kinds.add((values["Modality"], values["BodyPartExamined"], values["SeriesDescription"]))
    for what, tags in {"patients": _PATIENT, "studies": ["StudyInstanceUID"]}.items():
        if any(len(found[tag]) > 1 for tag in tags):
            raise _RejectionError(f"its images are of several {what}; nothing was sent")
    rules = {config.rule_for(calling, *kind) for kind in kinds}
    if len(rules) > 1:
        raise _RejectionError("its images go by different rules")
    (name,) = rules
    if not name:
        raise _RejectionError(f"no rule takes it; {config.why_none(calling, *min(kinds))}")
    wanted = config.rules[name].images
    if wanted not in (None, len(images)):
        raise _RejectionError(f"{len(images)} images came; rule {name} says {wanted}")
    return name


def _words(error: Exception) -> str:
    """An error as words without a value of an image, which those may have that kerasgan does not raise itself."""
    if isinstance(error, KerasganError):
        return " ".join(str(error).split())[:LONGEST]
    return getattr(error, "strerror", None) or type(error).__name__
