"""Reasons why a DICOM object is not a slice of a scan."""

from __future__ import annotations

import re

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import UID

_CT_AND_MR = {
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


def is_scan(dataset: Dataset) -> bool:
    """True for an object whose SOP Class UID (0008,0016) is one of the CT and MR image classes."""
    return str(dataset.get("SOPClassUID", "")) in _CT_AND_MR


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
    sop_class = UID(str(frame.SOPClassUID))
    if sop_class not in _CT_AND_MR:
        return f"{sop_class.name} (0008,0016) is not a CT or MR image"
    modality = str(frame.get("Modality", ""))
    if modality != _CT_AND_MR[sop_class]:
        return f"Modality (0008,0060) is {modality or 'missing'} in an object of class {sop_class.name}"

    image_type = frame.get("ImageType") or []
    values = [image_type] if isinstance(image_type, str) else list(image_type)
    found = {str(value).strip().upper() for value in values[2:]}
    for what, names in _IMAGE_TYPES.items():
        if found & names:
            return f"{what} (Image Type (0008,0008) holds {', '.join(sorted(found & names))})"
    if word := _SCOUT_WORDS.search(str(frame.get("SeriesDescription", ""))):
        return f"a localizer (Series Description (0008,103E) says {word.group().lower()})"

    component = str(frame.get("ComplexImageComponent") or "").upper()
    if component in _COMPLEX:
        return f"a phase or complex image (Complex Image Component (0008,9208) is {component})"
    unit = str(frame.get("RescaleType") or "").upper()
    if modality == "CT" and unit in _NOT_HU:
        return f"not in Hounsfield units (Rescale Type (0028,1054) is {unit})"

    photometric = str(frame.get("PhotometricInterpretation", ""))
    if int(frame.get("SamplesPerPixel", 1)) != 1 or not photometric.startswith("MONOCHROME"):
        return f"a colour image (Photometric Interpretation (0028,0004) is {photometric or 'missing'})"
    if int(frame.get("NumberOfFrames") or 1) > 1 and "PerFrameFunctionalGroupsSequence" not in frame:
        return "several frames without Per-Frame Functional Groups (5200,9230): their positions are unknown"

    for keyword, count in {"ImagePositionPatient": 3, "ImageOrientationPatient": 6, "PixelSpacing": 2}.items():
        if len(frame.get(keyword) or []) != count:
            return f"{keyword} is missing: the position of the image is unknown"
    if min(map(float, frame.PixelSpacing)) <= 0:
        return f"Pixel Spacing (0028,0030) is {list(frame.PixelSpacing)}; both must be positive"
    cosines = np.array(frame.ImageOrientationPatient, dtype=np.float64).reshape(2, 3)
    if not np.allclose(cosines @ cosines.T, np.eye(2), atol=0.01):
        return "Image Orientation (Patient) (0020,0037) is invalid: expected two orthogonal unit vectors"
    return ""
