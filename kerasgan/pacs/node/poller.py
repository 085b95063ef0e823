"""Asks a DICOMweb server for new series, and brings them into the queue.

A series is fetched once its number of images is the one that its rule states, or has not changed for a while, and is
in the queue only when each image is on the disk. What the queue knows is not fetched again, whoever brought it, nor is
what the node itself has made.

Reference: DICOM PS3.18, Sec. 10.6.
"""

from __future__ import annotations

import logging
import time
from datetime import date, timedelta

from kerasgan.errors import KerasganError, PacsError
from kerasgan.files import staging_folder, sync_files
from kerasgan.pacs.dicomweb import Listed, WebServer
from kerasgan.pacs.node.config import Config
from kerasgan.pacs.node.health import Figures
from kerasgan.pacs.node.queue import Job, Queue
from kerasgan.pacs.server import UnreachableError
from kerasgan.pacs.settings import Settings

MOST_WAITING = 20  # series that are fetched ahead of their translation
UNDER_WAY = ("receiving", "received", "translated")

logger = logging.getLogger(__name__)


class Poller:
    """Asks one server, as often as `step` is called.

    Args:
        name: Of the server, by which rules know it.
        config: What is taken.
        settings: As whom this machine speaks to the server.
        queue: Where series go.
        figures: Counts the questions.
    """

    def __init__(self, name: str, config: Config, settings: Settings, queue: Queue, figures: Figures) -> None:
        self.name, self._config, self._queue, self._figures = name, config, queue, figures
        self._poll = config.poll[name]
        self._server = WebServer(self._poll.server, settings.model_copy(update={"tries": 1}))  # the next step is one
        self._seen: dict[str, tuple[int, float]] = {}  # how many images a series has, and since when

    def step(self) -> None:
        """Asks once, and brings what is new and whole."""
        self._figures.count("polls")
        try:
            listed = self._listed()
            self._seen = {one.uid: self._seen.get(one.uid, (-1, 0.0)) for one in listed}
            for one in [one for one in listed if self._is_new(one) and self._is_whole(one)]:
                if len(self._queue.jobs("received")) >= MOST_WAITING:
                    break
                try:
                    self._bring(one)
                except UnreachableError:
                    raise
                except KerasganError as error:
                    self._failed(error)
        except KerasganError as error:
            self._failed(error)

    def _failed(self, error: KerasganError) -> None:
        self._figures.count("polls_failed")
        logger.warning("Asking %s: %s", self.name, " ".join(str(error).split()))

    def _listed(self) -> list[Listed]:
        """The series that a rule may take, as far as the server says what they are."""
        day = max(self._poll.since, date.today() - timedelta(self._poll.past_days))
        rules = [rule for rule in self._config.rules.values() if self.name in rule.calling]
        found = [one for kind in {rule.modality for rule in rules} for one in self._server.series_since(day, kind)]
        return [one for one in found if self._rule(one)]

    def _rule(self, one: Listed) -> str:
        return self._config.rule_for(self.name, one.modality, one.body_part or None, one.description or None)

    def _is_new(self, one: Listed) -> bool:
        """Whether nobody has brought it, and the node has not made it."""

        def is_done(job: Job) -> bool:
            if job.made == one.uid:
                return True
            if job.series != one.uid:
                return False
            ours = job.calling == self.name
            if job.state in UNDER_WAY:
                return not ours or job.state != "receiving"  # in which a kill has left one of ours
            return job.images == one.images and (ours or job.state == "sent")

        return not any(is_done(job) for job in self._queue.jobs())

    def _is_whole(self, one: Listed) -> bool:
        images, since = self._seen[one.uid]
        if images != one.images:
            since = time.monotonic()
            self._seen[one.uid] = one.images, since
        if one.images == self._config.rules[self._rule(one)].images:
            return True
        return time.monotonic() - since >= self._config.quiet_s

    def _bring(self, one: Listed) -> None:
        if one.images > self._config.limits.images:
            job = self._queue.receive(self.name, one.uid)
            reason = f"it has more than {self._config.limits.images} images"
            self._queue.finish(job, "rejected", reason, images=one.images)
            logger.warning("Series %d from %s: rejected: %s.", job.id, self.name, reason)
            return
        with staging_folder(self._queue.folder(0).with_name(one.uid)) as staging:
            folder = staging / "images"
            folder.mkdir()
            files = self._server.fetch(one.study, one.uid, folder)
            if len(files) != one.images:
                raise PacsError(f"{self._poll.server} lists {one.images} images of a series, and has {len(files)}.")
            sync_files(folder)
            job = self._queue.bring(self.name, one.uid, folder)
        self._figures.count("images_received", len(files))
        logger.info("Series %d from %s: whole, %d images.", job.id, self.name, len(files))
