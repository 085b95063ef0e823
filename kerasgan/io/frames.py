"""What finding, grouping and sorting need to know of a DICOM image; it comes from a header or from an index.

pydicom is not needed here, so that a folder which an index knows is listed without the time that it takes to load.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from kerasgan.scans.volume import SourceSlice

# Attributes that images of one scan have in common, whether or not they are at one position.
CONTRAST_TRAITS = ("EchoTime", "EffectiveEchoTime", "InversionTime", "DiffusionBValue", "ConvolutionKernel")
# Attributes that may also differ between the slices of one scan that were acquired in turn.
ACQUISITION_TRAITS = ("TriggerTime", "AcquisitionNumber")
_REPETITION = ("TemporalPositionIdentifier", "TemporalPositionIndex")
# Attributes in which images at one position differ, in the order in which a series is split by them.
TRAITS = ("ImageType", *CONTRAST_TRAITS, "FlipAngle", *_REPETITION, "KVP", *ACQUISITION_TRAITS)


@dataclass(frozen=True)
class FrameHeader:
    """One frame of a DICOM object; a single-frame object has one.

    Attributes:
        path: The file.
        patient: `patient_key` of Patient ID (0010,0020); empty if that is missing or a word such as ANONYMOUS.
        study_uid: Study Instance UID (0020,000D).
        series_uid: Series Instance UID (0020,000E).
        series_number: Series Number (0020,0011), as text; empty if it is no number.
        description: Series Description (0008,103E).
        number: Instance Number (0020,0013); None if it is no number.
        modality: `"CT"` or `"MR"`, else Modality (0008,0060) unchanged.
        frame_of_reference: Frame of Reference UID (0020,0052).
        thickness_mm: Slice Thickness (0018,0050); 0 if it is not given.
        traits: The values of `TRAITS`, as text.
        synthetic: A network computed it.
        reason: Reason why the frame cannot be used; empty for a usable frame.
        slice: Position of the frame; None if it is unknown, which a usable frame's is not.
    """

    path: Path
    patient: str
    study_uid: str
    series_uid: str
    series_number: str
    description: str
    number: int | None
    modality: str
    frame_of_reference: str
    thickness_mm: float
    traits: tuple[str, ...]
    synthetic: bool
    reason: str
    slice: SourceSlice | None


def patient_key(patient_id: str) -> str:
    """The name of a patient in outputs, a digest of Patient ID (0010,0020).

    It hides the id from readers, but not from someone who knows it or tries all ids of a scheme: keys are pseudonyms.

    Example:
        >>> patient_key("900_S_0001")
        'pf1551bcd78'
    """
    return "p" + hashlib.sha256(patient_id.encode(errors="surrogateescape")).hexdigest()[:10]


def looks_like_dicom(path: Path) -> bool:
    """True for a file that begins like DICOM: with `DICM` after the preamble, or at once with group 0002 or 0008.

    Old exports without a preamble have the second form; pydicom's `force` is justified only there.
    """
    if not path.is_file():  # reading a pipe or a device may never end
        return False
    with path.open("rb") as file:
        start = file.read(132)
    if start[128:132] == b"DICM":
        return True
    group, element = int.from_bytes(start[:2], "little"), int.from_bytes(start[2:4], "little")
    return len(start) == 132 and group in (0x0002, 0x0008) and element <= 0x0018
