"""De-identified series: patient, study and dates become what a secret makes of them, which is always the same.

So the series of a study stay together, and those of a patient, and the days between two of them are kept. A series that
kerasgan writes holds a short list of attributes (`dicom_attributes`), so that most of what the profile removes never
comes to it; here is what is left to replace or remove.

Reference:
    DICOM PS3.15, Annex E: Basic Application Level Confidentiality Profile (113100), with the option Retain Longitudinal
    Temporal Information with Modified Dates (113107).
"""

from __future__ import annotations

import hmac
import logging
import os
import secrets
from datetime import datetime, timedelta
from pathlib import Path

from pydicom import Dataset
from pydicom.uid import UID

from kerasgan.errors import KerasganError
from kerasgan.files import replacing
from kerasgan.io.dicom_attributes import code, unidentified
from kerasgan.io.uids import uid_from

FEWEST_CHARACTERS = 32  # of a key
LONGEST_SHIFT_DAYS = 3650
WELL_KNOWN = "1.2.840.10008."
METHODS = {
    "113100": "Basic Application Confidentiality Profile",
    "113107": "Retain Longitudinal Temporal Information Modified Dates Option",
}

logger = logging.getLogger(__name__)


def read_key(path: Path) -> bytes:
    """Reads the secret by which series are de-identified; a file that is missing is made, for its owner alone.

    Raises:
        KerasganError: For a file that others can read, that holds no key, or that cannot be read or written.
    """
    if not path.exists():
        with replacing(path) as temporary:
            temporary.touch(mode=0o600)
            temporary.write_text(secrets.token_hex(FEWEST_CHARACTERS) + "\n", encoding="ascii")
        logger.warning("Made the key %s. Whoever has it can find patients again; without it, pseudonyms change.", path)
    try:
        key = path.read_bytes().strip()
        is_open = os.name == "posix" and path.stat().st_mode & 0o077
    except OSError as error:
        raise KerasganError(f"The key {path} cannot be read ({error.strerror}). Name a file.") from error
    if is_open:
        raise KerasganError(f"{path} holds a secret that others can read. Make it yours alone: chmod 600 {path}")
    if len(key) < FEWEST_CHARACTERS:
        raise KerasganError(
            f"{path} holds no key: expected {FEWEST_CHARACTERS} characters or more, got {len(key)}. Name a new file, "
            "which is then made."
        )
    return key


class Pseudonyms:
    """What takes the place of a patient and a study under a key.

    Args:
        key: What `read_key` returns.
        header: Header of one of the patient's images. Without Patient ID (0010,0020), the study stands for the patient.

    Attributes:
        patient: Name and ID.

    Example:
        >>> header = Dataset()
        >>> header.PatientID, header.StudyInstanceUID, header.StudyDate = "4711", "1.2.3", "20260301"
        >>> one, other = (Pseudonyms(key, header) for key in (b"a key", b"another"))
        >>> one.patient == Pseudonyms(b"a key", header).patient, one.patient == other.patient
        (True, False)
        >>> one.header(header).StudyInstanceUID == one.uid("1.2.3")
        True
    """

    def __init__(self, key: bytes, header: Dataset) -> None:
        self._key = key
        whose = str(header.get("PatientID") or "").strip() or f"study {header.StudyInstanceUID}"
        self.patient = self._digest("patient", whose).hex()[:16].upper()
        self._shift = timedelta(days=1 + int.from_bytes(self._digest("days", whose)[:8]) % LONGEST_SHIFT_DAYS)

    def uid(self, uid: str) -> UID:
        """What takes the place of a UID; one that the Standard defines stands for no patient, and stays."""
        if str(uid).startswith(WELL_KNOWN):
            return UID(uid)
        return uid_from(self._digest("uid", str(uid)))

    def date(self, date: object) -> str:
        """A date (DA), some days to ten years earlier, as all of the patient's; "" for what is none."""
        try:
            return (datetime.strptime(str(date), "%Y%m%d") - self._shift).strftime("%Y%m%d")
        except (ValueError, OverflowError):
            return ""

    def header(self, header: Dataset) -> Dataset:
        """The header of a source image with other UIDs, dates and names, without times of day and the scanner."""
        dataset = unidentified(header)
        dataset.PatientName = dataset.PatientID = self.patient
        for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "SOPInstanceUID"):
            if keyword in header:
                setattr(dataset, keyword, self.uid(header[keyword].value))
        for keyword in ("StudyDate", "AcquisitionDate"):
            if date := self.date(header.get(keyword)):
                setattr(dataset, keyword, date)
        dataset.PatientIdentityRemoved = "YES"
        dataset.DeidentificationMethod = "kerasgan, PS3.15 Basic Profile, dates modified"
        dataset.DeidentificationMethodCodeSequence = [code(value, meaning) for value, meaning in METHODS.items()]
        return dataset

    def series(self, series: Dataset) -> None:
        """Removes from a new series when it was made, and by which equipment.

        Shifted as the other dates it would tell by how much, to whoever knows about when the series was sent.
        """
        for event in ("Series", "Content", "InstanceCreation"):
            del series[f"{event}Date"], series[f"{event}Time"]
        del series.ContributingEquipmentSequence
        series.LongitudinalTemporalInformationModified = "MODIFIED"

    def _digest(self, purpose: str, text: str) -> bytes:
        return hmac.digest(self._key, f"{purpose} {text}".encode(), "sha256")
