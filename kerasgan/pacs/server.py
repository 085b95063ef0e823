"""What DICOMweb and DIMSE have in common: series are found, fetched and stored image by image, and tried again."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from time import sleep
from typing import NamedTuple, TypeVar

from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from kerasgan.errors import PacsError
from kerasgan.pacs.address import Address, is_uid
from kerasgan.pacs.settings import Login, Settings

MOST_SERIES = 2000  # of a study
MOST_IMAGES = 10_000  # of a series
LARGEST_IMAGE = 2 * 2**30  # bytes; an enhanced object holds a whole scan
LARGEST_SERIES = 8 * 2**30  # bytes
LONGEST_PAUSE_S = 60.0
_NAMED = 10  # images that one message names at most

logger = logging.getLogger(__name__)
Answer = TypeVar("Answer")


class UnreachableError(PacsError):
    """A server is silent, busy or gone, and may answer the next time."""


class Found(NamedTuple):
    """A series as a PACS lists it.

    Attributes:
        uid: Series Instance UID (0020,000E).
        modality: Modality (0008,0060).
    """

    uid: str
    modality: str


class Server(ABC):
    """One PACS.

    Args:
        address: Where it is.
        settings: As whom this machine speaks to it.
    """

    def __init__(self, address: Address, settings: Settings) -> None:
        self.address, self.settings = address, settings
        self.login: Login = settings.login(address)
        if address.is_encrypted:
            self.login.tls()  # says what is wrong with a file

    @abstractmethod
    def _check(self) -> None:
        """Asks for next to nothing."""

    @abstractmethod
    def _series(self, study: str) -> list[Found]:
        """The series of a study as the server lists them; nothing is checked yet."""

    @abstractmethod
    def _images(self, study: str, series: str) -> list[str]:
        """The SOP Instance UIDs of a series as the server lists them."""

    @abstractmethod
    def _fetch(self, study: str, series: str, left: dict[str, Path], refused: dict[str, str]) -> None:
        """Tries once to write images to the files that `left` has for their SOP Instance UIDs, and takes them out.

        What will be refused the next time as well is moved to `refused`, with the reason.

        Raises:
            UnreachableError: Where another try may help.
            PacsError: Where none does.
        """

    @abstractmethod
    def _store(self, left: dict[str, Path], refused: dict[str, str]) -> None:
        """Tries once to store files, as `_fetch` does to fetch them."""

    def check(self) -> None:
        """Makes sure that the server answers and knows this machine.

        Raises:
            PacsError: If it does not.
        """
        self._patiently(self._check)

    def series(self, study: str) -> list[Found]:
        """Lists the series of a study.

        Args:
            study: Study Instance UID (0020,000D).

        Raises:
            PacsError: Where the server refuses, or lists what is invalid.
        """
        listed = self._patiently(lambda: self._series(study))
        self._require_uids(one.uid for one in listed)
        return list({one.uid: one._replace(modality=one.modality[:16]) for one in listed}.values())

    def fetch(self, study: str, series: str, folder: Path) -> list[Path]:
        """Fetches the whole of a series.

        Args:
            study: Study Instance UID.
            series: Series Instance UID.
            folder: An empty folder, for one file an image, called `UID.dcm` by its SOP Instance UID.

        Raises:
            PacsError: If there is no such series, or one of its images does not come, which `failed` names.
        """
        uids = dict.fromkeys(self._patiently(lambda: self._images(study, series)))
        self._require_uids(uids)
        if not uids:
            raise PacsError(f"{self.address} has no series {series} in study {study}. Check the UIDs.")
        files = {uid: folder / f"{uid}.dcm" for uid in uids}
        self._until_done(dict(files), lambda left, refused: self._fetch(study, series, left, refused), "fetched")
        logger.info("Fetched %d images of series %s from %s.", len(files), series, self.address)
        return list(files.values())

    def store(self, files: Sequence[Path]) -> None:
        """Stores DICOM files.

        Args:
            files: Of one study. Storing a file once more changes nothing.

        Raises:
            PacsError: If one of them is not stored, which `failed` names.
        """
        named = {str(dcmread(file, specific_tags=["SOPInstanceUID"]).SOPInstanceUID): file for file in files}
        self._until_done(dict(named), self._store, "stored")
        logger.info("Stored %d images at %s.", len(named), self.address)

    def _require_uids(self, listed: Iterable[str]) -> None:
        if any(not is_uid(uid) for uid in listed):
            raise PacsError(f"{self.address} lists a UID that is invalid. Ask who runs it.")

    def _until_done(
        self, left: dict[str, Path], once: Callable[[dict[str, Path], dict[str, str]], None], done: str
    ) -> None:
        total, refused = len(left), dict[str, str]()
        try:
            self._patiently(lambda: once(left, refused))
        except PacsError as error:
            if len(left) == total and not refused:
                raise  # nothing went through: the server is to blame, and no image
            refused |= dict.fromkeys(left, str(error))
        if refused:
            shown = "; ".join(f"{uid}: {reason}" for uid, reason in list(refused.items())[:_NAMED])
            more = f"; and {len(refused) - _NAMED} more" if len(refused) > _NAMED else ""
            raise PacsError(f"{len(refused)} of {total} images were not {done}: {shown}{more}", refused)

    def _patiently(self, action: Callable[[], Answer]) -> Answer:
        """Tries again what a server did not answer, after a pause that doubles from one second on."""
        for attempt in range(1, self.settings.tries):
            try:
                return action()
            except UnreachableError as error:
                pause = min(2.0 ** (attempt - 1), LONGEST_PAUSE_S)
                logger.warning("%s Trying again in %.0f s (%d of %d).", error, pause, attempt, self.settings.tries)
                sleep(pause)
        return action()


def require_image(file: Path, uid: str) -> None:
    """Refuses a file that is not the image that was asked for.

    Args:
        file: What a server has sent.
        uid: SOP Instance UID (0008,0018) of the image.

    Raises:
        PacsError: For another image, or what is no DICOM file.
    """
    try:
        header = dcmread(file, stop_before_pixels=True, specific_tags=["SOPInstanceUID"])
        found = str(header.get("SOPInstanceUID", ""))
    except (InvalidDicomError, OSError, ValueError, EOFError, NotImplementedError) as error:
        raise PacsError("what came is no DICOM file") from error
    if found != uid:
        raise PacsError("another image came in its place")
