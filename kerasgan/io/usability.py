"""Reasons why a DICOM object is not a slice of a scan."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
from pydicom.datadict import dictionary_description, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID

from kerasgan.scans.bounds import position_fault, size_fault, spacing_fault

CT_AND_MR = {  # by SOP Class UID (0008,0016)
    "1.2.840.10008.5.1.4.1.1.2": "CT",  # CT Image Storage
    "1.2.840.10008.5.1.4.1.1.2.1": "CT",  # Enhanced CT
    "1.2.840.10008.5.1.4.1.1.2.2": "CT",  # Legacy Converted Enhanced CT
    "1.2.840.10008.5.1.4.1.1.4": "MR",  # MR Image Storage
    "1.2.840.10008.5.1.4.1.1.4.1": "MR",  # Enhanced MR
    "1.2.840.10008.5.1.4.1.1.4.4": "MR",  # Legacy Converted Enhanced MR
}
# Values of Image Type (0008,0008) beyond the first two, which say only that something was computed.
_IMAGE_TYPES = {
    "a localizer": {"LOCALIZER", "SCOUT", "TOPOGRAM"},
    "a reformat of another series": {"MPR", "CSA MPR", "CPR", "CURVED MPR", "REFORMATTED", "SUBTRACTION"},
    "a projection of another series": {"PROJECTION IMAGE", "MIP", "MINIP", "MIN_IP", "MAX_IP", "VRT", "VOLREN", "SSD"},
    "a mosaic of many slices": {"MOSAIC"},
    "a screen capture": {"SCREEN SAVE", "SCREENSHOT", "POSDISP", "SECONDARY CAPTURE", "DOSE_INFO"},
    "a phase or complex image": {"P", "PHASE", "PHASE MAP", "R", "REAL", "I", "IMAGINARY", "P_FFE", "R_FFE", "I_FFE"},
    "a map of a computed quantity": {
        *("ADC", "FA", "TRACEW", "CBF", "CBV", "MTT", "TTP", "TMAX", "RCBF", "RCBV", "RMTT", "KTRANS"),
        *("T1 MAP", "T2 MAP", "T2_STAR MAP", "R2_STAR MAP", "R2 MAP", "B0 MAP", "B1 MAP", "FIELD_MAP", "VELOCITY"),
        *("IODINE", "EFFECTIVE_Z", "ELECTRON_DENSITY", "FAT_FRACTION", "PERFUSION"),
    },
}
_COMPLEX = {
    "PHASE",
    "REAL",
    "IMAGINARY",
}  # values of Complex Image Component (0008,9208); MAGNITUDE and MIXED are images
# Values of Rescale Type (0028,1054) that spectral CT writes besides HU: densities, atomic numbers, per cent.
_NOT_HU = {"OD", "MGML", "Z_EFF", "ED", "EDW", "PCT"}
# Many MR scouts are recognised only by Series Description (0008,103E).
_SCOUT_WORDS = re.compile(r"localizer|localiser|scout|survey|topogram|surview|scanogram", re.IGNORECASE)


# The attributes that reading needs, with how many numbers each has.
_PLACE = {"ImagePositionPatient": 3, "ImageOrientationPatient": 6, "PixelSpacing": 2}
_WHOLE = ("Rows", "Columns", "BitsAllocated", "BitsStored", "PixelRepresentation")
# Those that may be missing or empty, but not be something else than one number.
_RESCALE = ("RescaleSlope", "RescaleIntercept", "PixelPaddingValue", "PixelPaddingRangeLimit")
_OPTIONAL = ("SamplesPerPixel", "NumberOfFrames", "HighBit", *_RESCALE)
ONE_NUMBER = (*_WHOLE, *_OPTIONAL)


SYNTHETIC = ("Manufacturer", "SyntheticData", "ImageType")  # what `is_synthetic` reads


@cache
def tag_of(keyword: str) -> BaseTag:
    """The tag of an attribute, which pydicom would look up each time."""
    return Tag(tag_for_keyword(keyword) or 0)


def value_of(frame: Dataset, keyword: str) -> Any:
    """The value of an attribute: None where it is missing or empty, its text where it is not of the expected kind.

    Example:
        >>> frame = Dataset()
        >>> frame.add_new("SliceThickness", "LO", "5 mm")
        >>> value_of(frame, "SliceThickness"), value_of(frame, "PixelSpacing")
        ('5 mm', None)
    """
    tag = tag_of(keyword)
    try:
        value = frame[tag].value if tag in frame else None
    except Exception:  # pydicom converts a value when it is asked for, and raises what it likes
        raw = getattr(frame.get_item(tag), "value", b"")
        value = raw.decode("latin-1").strip("\0 ") if isinstance(raw, bytes) else str(raw)
    return None if value is None or (hasattr(value, "__len__") and len(value) == 0) else value


def numbers(frame: Dataset, keyword: str) -> list[float] | None:
    """The finite numbers of an attribute; None where it is missing or has something else."""
    value = value_of(frame, keyword)
    several = isinstance(value, Iterable) and not isinstance(value, str | bytes)
    try:
        found = list(map(float, value if several else [value]))
    except (TypeError, ValueError):
        return None
    return found if all(map(math.isfinite, found)) else None


def named(keyword: str) -> str:
    """The name of an attribute with its tag.

    Example:
        >>> named("PixelSpacing")
        'Pixel Spacing (0028,0030)'
    """
    tag = tag_of(keyword)
    return f"{dictionary_description(tag)} ({tag.group:04X},{tag.element:04X})"


def is_scan(dataset: Dataset) -> bool:
    """True for an object whose SOP Class UID (0008,0016) is one of the CT and MR image classes."""
    return str(value_of(dataset, "SOPClassUID")) in CT_AND_MR


def is_synthetic(frame: Dataset) -> bool:
    """True for an image that a network computed: its header says so, or kerasgan derived it. A phantom is original."""
    if str(value_of(frame, "SyntheticData") or "") == "YES":
        return True
    derived = "DERIVED" in (value_of(frame, "ImageType") or [])
    return derived and str(value_of(frame, "Manufacturer") or "") == "kerasgan"


def reason_against(frame: Dataset) -> str:
    """The reason why a frame is not a slice of a CT or MR scan.

    Args:
        frame: Flat header of one frame.

    Returns:
        The reason, citing the tag; empty for a frame that can be used.

    Example:
        >>> frame = Dataset()
        >>> frame.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"  # CT Image Storage
        >>> frame.Modality = "MR"
        >>> reason_against(frame)
        'Modality (0008,0060) is MR in an object of class CT Image Storage'
    """
    sop_class = UID(str(value_of(frame, "SOPClassUID") or ""))
    if not sop_class:
        return f"{named('SOPClassUID')} is missing: nothing says what kind of object this is"
    if sop_class not in CT_AND_MR:
        return f"{sop_class.name[:64]} (0008,0016) is not a CT or MR image"
    modality = str(value_of(frame, "Modality") or "")
    if modality != CT_AND_MR[sop_class]:
        return f"Modality (0008,0060) is {modality[:16] or 'missing'} in an object of class {sop_class.name}"

    image_type = value_of(frame, "ImageType") or []
    values = [image_type] if isinstance(image_type, str) else list(image_type)
    found = {str(value).strip().upper() for value in values[2:]}
    for what, names in _IMAGE_TYPES.items():
        if found & names:
            return f"{what} (Image Type (0008,0008) holds {', '.join(sorted(found & names))})"
    if word := _SCOUT_WORDS.search(str(value_of(frame, "SeriesDescription") or "")):
        return f"a localizer (Series Description (0008,103E) says {word.group().lower()})"

    component = str(value_of(frame, "ComplexImageComponent") or "").upper()
    if component in _COMPLEX:
        return f"a phase or complex image (Complex Image Component (0008,9208) is {component})"
    unit = str(value_of(frame, "RescaleType") or "").upper()
    if modality == "CT" and unit in _NOT_HU:
        return f"not in Hounsfield units (Rescale Type (0028,1054) is {unit})"
    return _against_numbers(frame) or _against_pixels(frame) or _against_place(frame)


def has_place(frame: Dataset) -> bool:
    """True for a frame with the size, position and orientation that a slice of a scan can have."""
    return not (_against_numbers(frame) or _against_place(frame))


def _against_numbers(frame: Dataset) -> str:
    """The reason why an attribute that reading needs has no numbers."""
    given = [keyword for keyword in _OPTIONAL if value_of(frame, keyword) is not None]
    for keyword, count in {**_PLACE, **dict.fromkeys((*_WHOLE, *given), 1)}.items():
        found = numbers(frame, keyword)
        if found is None or len(found) != count:
            value = value_of(frame, keyword)
            if value is None:
                unknown = ": the position of the image is unknown" if keyword in _PLACE else ""
                return f"{named(keyword)} is missing{unknown}"
            shown = repr(value[:32]) if isinstance(value, str) else str(value)[:32]
            return f"{named(keyword)} is {shown}; expected {count} number{'s' if count > 1 else ''}"
    return ""


def _against_pixels(frame: Dataset) -> str:
    """The reason why the pixels are none of a scan, or none that can be decoded."""
    photometric = str(value_of(frame, "PhotometricInterpretation") or "")
    samples, frames, high = (numbers(frame, keyword) for keyword in ("SamplesPerPixel", "NumberOfFrames", "HighBit"))
    if (samples or [1]) != [1] or not photometric.startswith("MONOCHROME"):
        return f"a colour image (Photometric Interpretation (0028,0004) is {photometric[:16] or 'missing'})"
    if (frames or [1])[0] > 1 and "PerFrameFunctionalGroupsSequence" not in frame:
        return "several frames without Per-Frame Functional Groups (5200,9230): their positions are unknown"
    rows, columns, allocated, stored, signed = (int((numbers(frame, keyword) or [0])[0]) for keyword in _WHOLE)
    top = int(high[0]) if high else stored - 1
    if allocated not in (8, 16, 32) or not 1 <= stored <= allocated or top >= stored:
        return (
            f"{stored} bits stored of {allocated} allocated, the highest being {top} ((0028,0100) to (0028,0102)); "
            "expected 8, 16 or 32 bits with the stored ones at the lower end"
        )
    if signed not in (0, 1):
        return f"{named('PixelRepresentation')} is {signed}; expected 0 or 1"
    return size_fault((rows, columns), "Rows x Columns (0028,0010), (0028,0011)")


def _against_place(frame: Dataset) -> str:
    """The reason why the place of the image is none that a scan can have."""
    origin, spacing = (numbers(frame, keyword) or [] for keyword in ("ImagePositionPatient", "PixelSpacing"))
    place = position_fault(origin, named("ImagePositionPatient")) or spacing_fault(spacing, named("PixelSpacing"))
    cosines = np.array(numbers(frame, "ImageOrientationPatient")).reshape(2, 3)
    if not place and not np.allclose(cosines @ cosines.T, np.eye(2), atol=0.01):
        return "Image Orientation (Patient) (0020,0037) is invalid: expected two orthogonal unit vectors"
    return place
