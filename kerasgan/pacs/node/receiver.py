"""Takes images by C-STORE, answers C-ECHO, and knows when a series is whole.

An image is on the disk, under its name, before its sender gets the answer. A series is whole when the stated number of
images is there, or when each association that brought some was released by its sender and no image came for a while.
After an association that broke off, or that had an image of the series refused, another one must bring the rest: nobody
can know how many are missing.

Reference: DICOM PS3.4, Annex B; PS3.8, Sec. 9.3.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from typing import Any

from pydicom import dcmread
from pynetdicom import AE, evt
from pynetdicom.pdu import A_RELEASE_RQ

from kerasgan.errors import PacsError
from kerasgan.files import replacing
from kerasgan.io.usability import CT_AND_MR, value_of
from kerasgan.pacs.address import is_uid
from kerasgan.pacs.dimse import NATIVE, PACKED, SUCCESS, VERIFICATION
from kerasgan.pacs.node.config import Config
from kerasgan.pacs.node.health import Figures
from kerasgan.pacs.node.listener import HANDSHAKE_S, Bounded, Listener
from kerasgan.pacs.node.queue import Job, Queue, State
from kerasgan.text import utc

OUT_OF_RESOURCES, NOT_UNDERSTOOD = 0xA700, 0xC000
OUR_PDU = 2**17  # bytes that a sender may put into one
GRACE_S = 10.0  # for associations that bring images when the node stops
GIGABYTE = 2**30
_TAGS = ["SOPInstanceUID", "SeriesInstanceUID", "Modality", "BodyPartExamined", "SeriesDescription"]

logger = logging.getLogger(__name__)  # of which a node writes few lines a minute, as strangers cause them
of_series = logging.getLogger(f"{__name__}.series")


@dataclass
class _Call:
    """An association.

    Attributes:
        opened: When, by `time.monotonic()`.
        jobs: The series in the queue that it has brought images of, by their Series Instance UIDs.
        refused: Series of which an image was refused, by their UIDs; `""` where it did not say of which it is.
        over: Series of which it may bring no more.
    """

    opened: float
    jobs: dict[str, int] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    over: set[int] = field(default_factory=set)


class Receiver:
    """Listens from `start` until `stop`.

    Args:
        config: Who may send, and how much.
        title: Our AE title.
        queue: Where images go.
        figures: Counts them.

    Raises:
        KerasganError: For a file for TLS that cannot be used.
    """

    def __init__(self, config: Config, title: str, queue: Queue, figures: Figures) -> None:
        self._config, self._limits, self._queue, self._figures = config, config.limits, queue, figures
        self._lock = threading.RLock()
        self._calls: dict[Any, _Call] = {}  # by association
        self._counts: dict[int, int] = {}  # images of each series that was received
        self._broke_off: dict[int, float] = {}  # when an association did that brought images of a series
        self._tls = config.tls.context() if config.tls else None
        self._listener: Any = None
        self._thread: threading.Thread | None = None
        self._entity = AE(ae_title=title)
        self._entity.require_called_aet = True
        self._entity.require_calling_aet = config.callers
        self._entity.maximum_associations = self._limits.associations
        self._entity.maximum_pdu_size = OUR_PDU
        self._entity.acse_timeout = HANDSHAKE_S
        self._entity.dimse_timeout = self._entity.network_timeout = self._limits.idle_s
        self._entity.add_supported_context(VERIFICATION)
        for image in CT_AND_MR:
            self._entity.add_supported_context(image, [*NATIVE, *PACKED])

    def start(self) -> None:
        """Begins to listen, unless nobody may send.

        Raises:
            PacsError: For a port that cannot be had.
        """
        if not self._config.callers:
            return
        handlers = [
            (evt.EVT_CONN_OPEN, self._bound),
            (evt.EVT_DIMSE_RECV, lambda event: event.assoc.dul.socket.recv.begin()),
            (evt.EVT_C_ECHO, lambda event: SUCCESS),
            (evt.EVT_C_STORE, self._take),
            (evt.EVT_PDU_RECV, self._released),
            (evt.EVT_ABORTED, lambda event: self._ended(event.assoc, False)),
            (evt.EVT_CONN_CLOSE, lambda event: self._ended(event.assoc, False)),
            (evt.EVT_REJECTED, self._rejected),
        ]
        try:
            listener: Any = self._entity.make_server(
                (self._config.host, self._config.port),
                ssl_context=self._tls,
                evt_handlers=handlers,  # type: ignore[arg-type]
                server_class=partial(Listener, self._limits, self._figures),  # type: ignore[arg-type]
            )
        except OSError as error:
            raise PacsError(
                f"Cannot listen on port {self._config.port} of {self._config.host} ({error.strerror}); stop what uses "
                "it, or name another port."
            ) from error
        self._listener = listener
        self._entity._servers.append(listener)
        self._thread = threading.Thread(target=listener.serve_forever, name="listener", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Takes no more associations, and aborts after a while those that bring images."""
        if self._listener:
            self._listener.shutdown()
        end = time.monotonic() + GRACE_S
        while self._calls and time.monotonic() < end:
            time.sleep(0.1)
        self._entity.shutdown()

    @property
    def is_listening(self) -> bool:
        """Whether anybody is heard who may send."""
        return self._thread.is_alive() if self._thread else not self._config.callers

    def is_full(self) -> bool:
        """Whether so little of the disk is free that no image is taken."""
        return shutil.disk_usage(self._config.folder).free < self._limits.free_gb * GIGABYTE

    def complete(self) -> None:
        """Looks through the series that are being received: which are whole, and which are given up."""
        now = time.time()
        with self._lock:
            for association in [one for one in self._calls if not one.is_alive()]:
                self._ended(association, False)  # whose thread ended without a word
            busy = {job for call in self._calls.values() for job in call.jobs.values()}
            for job in self._queue.jobs("receiving"):
                if job.released and job.id not in busy:
                    if now - job.changed >= self._config.quiet_s:
                        self._whole(job)
                elif now - job.begun > self._config.give_up_s:
                    self._give_up(
                        job,
                        "failed",
                        f"its sender did not end the series within {self._config.give_up_s:g} s, or broke off, after "
                        f"{len(self._queue.images(job.id))} images; send the whole series again",
                    )

    def _whole(self, job: Job) -> None:
        if job.state != "receiving":
            return  # it is known to be whole, and an image came once more
        images = len(self._queue.images(job.id))
        if images < job.images:
            self._give_up(job, "failed", f"{images} of its {job.images} images came again; send the whole series again")
        elif self._queue.change(job, state="received", images=images, released=1, reason=""):
            of_series.info("Series %d from %s: whole, %d images.", job.id, job.calling, images)
        self._broke_off.pop(job.id, None)

    def _give_up(self, job: Job, state: State, reason: str) -> None:
        """Ends a series that is not whole, of which those who are sending it may bring no more."""
        for call in self._calls.values():
            if job.id in call.jobs.values():
                call.over.add(job.id)
        self._queue.finish(job, state, reason, released=0)
        logger.warning("Series %d from %s: %s: %s.", job.id, job.calling, state, reason)

    def _take(self, event: evt.Event) -> int:
        """Answers a C-STORE request."""
        with self._lock:
            call = self._calls.setdefault(event.assoc, _Call(time.monotonic()))
        series = ""
        try:
            content = event.encoded_dataset()
            uid, series, *facts = _named(content, event)
            status, reason = self._store(event, call, content, uid, series, facts)
        except PacsError as error:
            status, reason = NOT_UNDERSTOOD, str(error)
        except Exception as error:  # a full disk, above all; the text of others may hold what the image says
            status, reason = OUT_OF_RESOURCES, getattr(error, "strerror", None) or type(error).__name__
        if status != SUCCESS:
            with self._lock:
                call.refused.add(series)
            self._figures.count("images_refused")
            logger.warning("An image from %s is refused (%#06x): %s.", event.assoc.requestor.ae_title, status, reason)
        return status

    def _store(
        self, event: evt.Event, call: _Call, content: bytes, uid: str, series: str, facts: list[str]
    ) -> tuple[int, str]:
        """Writes an image; the status of the answer, and the reason for one that is refused."""
        if self.is_full():
            return OUT_OF_RESOURCES, f"less than {self._limits.free_gb:g} GB of the disk are free"
        calling = event.assoc.requestor.ae_title.strip()
        with self._lock:
            if series not in call.jobs:
                call.jobs[series] = self._queue.receive(calling, series).id
                self._counts[call.jobs[series]] = len(self._queue.images(call.jobs[series]))
            job = call.jobs[series]
        if job in call.over:
            return OUT_OF_RESOURCES, f"series {job} was given up"
        file = self._queue.folder(job) / f"{uid}.dcm"
        if not file.exists():
            if self._counts[job] >= self._limits.images:
                reason = f"it has more than {self._limits.images} images"
                with self._lock:
                    self._give_up(self._queue.job(job), "rejected", reason)
                return OUT_OF_RESOURCES, reason
            with replacing(file) as temporary:
                temporary.write_bytes(content)
            self._figures.count("images_received")
            with self._lock:
                self._counts[job] += 1
                self._queue.late(job)
        rule = self._config.rules.get(self._config.rule_for(calling, *facts))
        if rule and rule.images and self._counts[job] >= rule.images == len(self._queue.images(job)):
            with self._lock:
                self._whole(self._queue.job(job))
        return SUCCESS, ""

    def _released(self, event: evt.Event) -> None:
        """Keeps that a sender wants to release its association, before it gets the answer."""
        if isinstance(event.pdu, A_RELEASE_RQ):
            self._ended(event.assoc, True)

    def _ended(self, association: Any, released: bool) -> None:
        with self._lock:
            call = self._calls.pop(association, None)
            if call is None:
                return
            lacking = [job for uid, job in call.jobs.items() if not released or call.refused & {uid, ""}]
            self._broke_off.update(dict.fromkeys(lacking, time.monotonic()))
            for job in [one for one in self._queue.jobs("receiving") if one.id in call.jobs.values()]:
                # One that was under way when another broke off may not have brought what that one could not.
                if self._broke_off.get(job.id, 0.0) < call.opened:
                    self._queue.ended(job.id, "")
                    continue
                images, end = len(self._queue.images(job.id)), utc(job.begun + self._config.give_up_s)
                if not released:
                    what = f"broke off after {images} images"
                elif job.id in lacking:
                    what = f"{images} of its images came, and others were refused"
                else:
                    what = f"{images} of its images came, and another association that brought some did not end well"
                reason = f"{what}; send the rest or all of it before {end}"
                self._queue.ended(job.id, reason)
                logger.warning("Series %d from %s: %s.", job.id, job.calling, reason)

    def _rejected(self, event: evt.Event) -> None:
        asked: Any = event.assoc.requestor.primitive
        if asked.called_ae_title != self._entity.ae_title:
            reason = f"it calls {asked.called_ae_title!r}, which is not our AE title"
        elif asked.calling_ae_title not in self._config.callers:
            reason = "no rule names its AE title"
        else:
            reason = f"{self._limits.associations} others are under way"
        self._figures.count("associations_refused")
        logger.warning("An association of %r is refused: %s.", asked.calling_ae_title, reason)

    def _bound(self, event: evt.Event) -> None:
        connection: Any = event.assoc.dul.socket
        connection.recv = Bounded(connection, self._limits)


def _named(content: bytes, event: evt.Event) -> list[str]:
    """What an image says of itself: its UID, that of its series, and what rules ask for.

    Raises:
        PacsError: For one that says it not.
    """
    try:
        header = dcmread(BytesIO(content), stop_before_pixels=True, specific_tags=list(_TAGS))
        uid, series, *facts = (str(value_of(header, tag) or "") for tag in _TAGS)
    except Exception as error:  # pydicom raises what it likes for bytes that are none of DICOM
        raise PacsError("it is no DICOM") from error
    request: Any = event.request
    if not (is_uid(uid) and is_uid(series)) or uid != str(request.AffectedSOPInstanceUID):
        raise PacsError("a UID is missing, invalid or another one than was announced")
    return [uid, series, *facts]
