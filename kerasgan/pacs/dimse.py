"""DIMSE, the services of classic DICOM: C-FIND finds, C-GET or C-MOVE fetches, C-STORE stores.

C-GET brings images on the association that asks for them. A PACS that refuses it is asked by C-MOVE to send them to the
receiver of the settings, which listens for as long as the request lasts and takes nothing but what was asked for.

Reference: DICOM PS3.4, Annexes B and C.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydicom import Dataset
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
    RTStructureSetStorage,
    SegmentationStorage,
)
from pynetdicom import AE, build_context, build_role, evt
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext

from kerasgan.errors import PacsError
from kerasgan.io.decoder import SYNTAXES
from kerasgan.io.usability import CT_AND_MR, value_of
from kerasgan.pacs.server import (
    LARGEST_IMAGE,
    LARGEST_SERIES,
    MOST_IMAGES,
    MOST_SERIES,
    Found,
    Server,
    UnreachableError,
    require_image,
)

VERIFICATION = UID("1.2.840.10008.1.1")
FIND = UID("1.2.840.10008.5.1.4.1.2.2.1")  # Study Root Query/Retrieve Information Model - FIND
MOVE = UID("1.2.840.10008.5.1.4.1.2.2.2")
GET = UID("1.2.840.10008.5.1.4.1.2.2.3")
NATIVE: list[str | UID] = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
PACKED: list[str | UID] = [RLELossless, ExplicitVRBigEndian, *sorted(SYNTAXES)]
PENDING, SUCCESS, WARNING = {0xFF00, 0xFF01}, 0x0000, range(0xB000, 0xC000)
OUT_OF_RESOURCES, NOT_ASKED_FOR = 0xA700, 0xC000
BUSY = range(0xA700, 0xA800)  # Refused: Out of Resources
TRANSIENT = 2  # Result of an A-ASSOCIATE-RJ, PS3.8 Sec. 9.3.4
MOST_CONTEXTS = 128  # of an association
IMAGES_AT_ONCE = 200  # that are named in one request


class Peer(Server):
    """A PACS with DIMSE, see `Server`."""

    @contextmanager
    def _association(
        self, contexts: Sequence[PresentationContext], roles: Sequence[Any] = (), handlers: Sequence[Any] = ()
    ) -> Iterator[Association]:
        entity = AE(ae_title=self.settings.ae_title)
        entity.acse_timeout = entity.dimse_timeout = self.settings.timeout_s
        entity.network_timeout = entity.connection_timeout = self.settings.timeout_s
        tls = (self.login.tls(), self.address.host) if self.address.is_encrypted else None
        association = entity.associate(
            *(self.address.host, self.address.port, list(contexts)),
            ae_title=self.address.title,
            ext_neg=list(roles),
            tls_args=tls,
            evt_handlers=list(handlers),
        )
        if association.is_rejected:
            answer: Any = association.acceptor.primitive
            words = f"{self.address} rejects an association of {self.settings.ae_title!r}: {answer.reason_str}."
            if answer.result == TRANSIENT:
                raise UnreachableError(words)
            raise PacsError(f"{words} Both sides must know the other's AE title; --pacs FILE has ours.")
        if not association.is_established:
            trust = " or the certificates do not fit" if self.address.is_encrypted else ""
            raise UnreachableError(f"{self.address} cannot be reached, or aborts{trust}. Check host, port and network.")
        try:
            yield association
        finally:
            if association.is_established:
                association.release()

    def _check(self) -> None:
        with self._association([build_context(VERIFICATION)]) as association:
            if not association.accepted_contexts:
                raise PacsError(f"{self.address} does not take C-ECHO.")
            answer = association.send_c_echo()
        if answer.get("Status") != SUCCESS:
            raise UnreachableError(f"{self.address} gave no answer to C-ECHO within {self.settings.timeout_s:g} s.")

    def _series(self, study: str) -> list[Found]:
        query = _query("SERIES", study)
        query.SeriesInstanceUID = query.Modality = ""
        return [Found(*values) for values in self._find(query, MOST_SERIES, "SeriesInstanceUID", "Modality")]

    def _images(self, study: str, series: str) -> list[str]:
        query = _query("IMAGE", study, series)
        query.SOPInstanceUID = ""
        return [uid for (uid,) in self._find(query, MOST_IMAGES, "SOPInstanceUID")]

    def _find(self, query: Dataset, most: int, *keywords: str) -> list[tuple[str, ...]]:
        """The values of some attributes in all answers to a query."""
        found = []
        with self._association([build_context(FIND, NATIVE)]) as association:
            if not association.accepted_contexts:
                raise PacsError(f"{self.address} does not take C-FIND in the Study Root.")
            for status, answer in association.send_c_find(query, FIND):
                code = status.get("Status")
                if code in PENDING and answer is not None:
                    with warnings.catch_warnings():  # in which pydicom shows values
                        warnings.simplefilter("ignore")
                        found.append(tuple(str(value_of(answer, keyword) or "") for keyword in keywords))
                    if len(found) > most:
                        association.abort()
                        raise PacsError(f"{self.address} lists more than {most} at {query.QueryRetrieveLevel} level.")
                elif code is None:
                    raise UnreachableError(f"{self.address} broke off while it answered a query.")
                elif code != SUCCESS:
                    raise self._refusal("C-FIND", code)
        return found

    def _fetch(self, study: str, series: str, left: dict[str, Path], refused: dict[str, str]) -> None:
        storage = [build_context(image, NATIVE) for image in CT_AND_MR]
        storage += [build_context(image, [syntax]) for syntax in PACKED for image in CT_AND_MR]
        contexts = [build_context(GET, NATIVE), *storage[: MOST_CONTEXTS - 1]]
        roles = [build_role(image, scp_role=True) for image in CT_AND_MR]
        total, folder = len(left), next(iter(left.values())).parent
        inbox = _Inbox(left, refused, sum(file.stat().st_size for file in folder.iterdir()))
        queries = [_query("SERIES", study, series)]
        if inbox.size or refused:  # a try before has brought a part of it
            missing = list(left)
            starts = range(0, len(missing), IMAGES_AT_ONCE)
            queries = [_query("IMAGE", study, series, missing[start : start + IMAGES_AT_ONCE]) for start in starts]
        with self._association(contexts, roles, [(evt.EVT_C_STORE, inbox.take)]) as association:
            may_get = any(context.abstract_syntax == GET for context in association.accepted_contexts)
            try:
                for query in queries if may_get else ():
                    self._read_answers("C-GET", association.send_c_get(query, GET))
            except PacsError:  # some abort an association that asks for what they do not allow
                if not self.settings.receiver or len(left) < total:
                    raise
                may_get = False
        if not may_get:
            self._move(queries, inbox)
        if left:
            raise UnreachableError(f"{self.address} sent no more images.")

    def _move(self, queries: Sequence[Dataset], inbox: _Inbox) -> None:
        receiver = self.settings.receiver
        if receiver is None:
            raise PacsError(
                f"{self.address} does not take C-GET. For C-MOVE add [receiver] with its port to the file of --pacs, "
                f"and let the PACS know {self.settings.ae_title!r} there."
            )
        entity = AE(ae_title=self.settings.ae_title)
        entity.require_called_aet = True
        entity.require_calling_aet = [self.address.title]
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = self.settings.timeout_s
        for image in CT_AND_MR:
            entity.add_supported_context(image, [*NATIVE, *PACKED])
        tls = self.login.tls(receives=True) if self.address.is_encrypted else None
        try:
            server: Any = entity.start_server(
                (receiver.host, receiver.port),
                block=False,
                ssl_context=tls,
                evt_handlers=[(evt.EVT_C_STORE, inbox.take)],
            )
        except OSError as error:
            raise PacsError(f"Port {receiver.port} of [receiver] cannot be listened on: {error.strerror}.") from error
        try:
            with self._association([build_context(MOVE, NATIVE)]) as association:
                if not association.accepted_contexts:
                    raise PacsError(f"{self.address} takes neither C-GET nor C-MOVE.")
                for query in queries:
                    self._read_answers("C-MOVE", association.send_c_move(query, self.settings.ae_title, MOVE))
        finally:
            server.shutdown()

    def _read_answers(self, service: str, answers: Iterator[tuple[Dataset, Dataset | None]]) -> None:
        for status, _ in answers:
            code = status.get("Status")
            if code is None:
                raise UnreachableError(
                    f"{self.address} ended the association during {service}, gave no answer within "
                    f"{self.settings.timeout_s:g} s (timeout_s), or does not allow it to {self.settings.ae_title!r}."
                )
            if code not in PENDING and code != SUCCESS and code not in WARNING:
                raise self._refusal(service, code)

    def _store(self, left: dict[str, Path], refused: dict[str, str]) -> None:
        kinds = *CT_AND_MR, SegmentationStorage, RTStructureSetStorage
        with self._association([build_context(kind, NATIVE) for kind in kinds]) as association:
            for uid, file in list(left.items()):
                try:
                    code = association.send_c_store(file).get("Status")
                except ValueError as error:  # of this package alone: no context was accepted for the file
                    raise PacsError(f"{self.address} does not take images of this kind by C-STORE.") from error
                except RuntimeError as error:
                    raise UnreachableError(f"{self.address} ended the association.") from error
                if code is None:
                    raise UnreachableError(f"{self.address} broke off while it stored images.")
                if code in BUSY:
                    raise UnreachableError(f"{self.address} is out of resources ({code:#06x}).")
                if code != SUCCESS and code not in WARNING:
                    refused[uid] = f"status {code:#06x}"
                del left[uid]

    def _refusal(self, service: str, code: int) -> PacsError:
        text = f"{self.address} answers {service} with status {code:#06x}"
        if code in BUSY:
            return UnreachableError(f"{text}, out of resources.")
        return PacsError(f"{text}. Its configuration must allow {self.settings.ae_title!r} to use {service}.")


def _query(level: str, study: str, series: str = "", images: Sequence[str] = ()) -> Dataset:
    query = Dataset()
    query.QueryRetrieveLevel, query.StudyInstanceUID = level, study
    if series:
        query.SeriesInstanceUID = series
    if images:
        query.SOPInstanceUID = list(images)
    return query


class _Inbox:
    """Takes images that were asked for, and no others."""

    def __init__(self, left: dict[str, Path], refused: dict[str, str], size: int) -> None:
        self.left, self.refused, self.size = left, refused, size

    def take(self, event: evt.Event) -> int:
        """Writes the image of a C-STORE request, and returns the status of the answer."""
        request: Any = event.request
        uid = str(request.AffectedSOPInstanceUID)
        file = self.left.get(uid)
        if file is None:
            return NOT_ASKED_FOR
        content = event.encoded_dataset()
        self.size += len(content)
        status = SUCCESS
        if len(content) > LARGEST_IMAGE or self.size > LARGEST_SERIES:
            self.refused[uid], status = f"with it, {self.size:,} bytes came, more than are taken", OUT_OF_RESOURCES
        else:
            try:
                file.write_bytes(content)
                require_image(file, uid)
            except PacsError as error:
                file.unlink()
                self.refused[uid], status = str(error), NOT_ASKED_FOR
            except OSError as error:
                file.unlink(missing_ok=True)
                self.refused[uid] = f"it cannot be written to {file.parent} ({error.strerror})"
                status = OUT_OF_RESOURCES
        del self.left[uid]
        return status
