"""Whether an image file is CT or MR: what its values, its sidecar, its name and the user say of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import cast

import numpy as np

from kerasgan.errors import KerasganError
from kerasgan.scans.bounds import ct_doubt, values_fault
from kerasgan.scans.volume import Modality

LABELS = 64  # a scan has hundreds of grey levels, even in 8 bits; a segmentation has rarely more than some tens
_SAMPLE = 1_000_003  # voxels that are looked at, at most
_AIR_HU, _TISSUE_HU = (-1100.0, -900.0), (-200.0, 200.0)  # where the peaks of CT lie: air, and soft tissue with fat
_AIR_SHARE = 0.02  # of the voxels: an MR may have a few as low as air
_BONE_HU, _FILLED_SHARE = 300.0, 0.3
_SPREAD_HU = 50.0  # fat and muscle alone are farther apart
_BIN = 50.0  # width of the histogram in which a peak is looked for
_UNDERSHOOT = 0.1  # interpolation of MR goes below 0 by less than this share of the brightest values
_CUT = 0.002  # share of voxels that have the highest value of a windowed image; few have the second highest
_WORDS: dict[Modality, set[str]] = {  # in the names of a file and its folder, as BIDS and SynthRAD write them
    "CT": {"ct", "cta", "cbct", "cect", "ncct"},
    "MR": {"mr", "mri", "t1", "t1w", "t2", "t2w", "flair", "pdw", "mprage"},
}


def image_modality(array: np.ndarray, path: Path, told: Modality | None = None) -> tuple[Modality, str]:
    """Decides whether an image is CT in HU or MR.

    Values decide where they can: CT has a peak of air near -1000 HU and one of tissue near 0; MR has no negative values
    to speak of, and its tissue lies far above 0. Where they leave it open, the user, the JSON file that dcm2niix writes
    next to an image, and words such as `ct` or `T1w` in the names of file and folder do, in this order.

    Args:
        array: The values, all of them finite.
        path: The image file.
        told: What the user says.

    Returns:
        The modality, and a doubt that its user should hear of; empty where there is none.

    Raises:
        KerasganError: For a constant image, a label map, another modality, values that are not HU in a CT, evidence
            that contradicts itself, or none. The message does not name the file.

    Example:
        >>> head = np.full((8, 40, 40), -1000.0)
        >>> head[:, 10:30, 10:30] = np.linspace(0, 80, 3200).reshape(8, 20, 20)
        >>> image_modality(head, Path("scan.nii.gz"))
        ('CT', '')
    """
    if fault := values_fault(array, told or "MR"):
        raise KerasganError(fault)
    values = array.ravel()[:: max(1, array.size // _SAMPLE)]
    different = np.unique(values)
    if len(different) <= LABELS and bool(np.all(different == different.round())):
        raise KerasganError(f"a mask or label map (at most {LABELS} different values)")
    noted = sidecar_modality(path)
    if noted not in ("", "CT", "MR"):
        raise KerasganError(f"its JSON file says that it is {noted}, neither CT nor MR")
    said = {"--modality": told, "its JSON file": noted or None}
    if len(set(filter(None, said.values()))) > 1:
        raise KerasganError(f"its JSON file says that it is {noted}, and --modality {told}; correct one of them")
    shown, what = _shown(values)
    low, middle, high = np.percentile(values, (1, 50, 99))
    seen = f"{what} (1, 50 and 99 % of its voxels are up to {low:.5g}, {middle:.5g} and {high:.5g})"
    for source, modality in said.items():
        if modality and shown and modality != shown:
            raise KerasganError(f"{source} says {modality}, but {seen}; correct the file or the word")
    modality = shown or told or cast("Modality | None", noted or None) or _named(path)
    if modality is None:
        raise KerasganError(f"MR or CT? {seen}; say which with --modality")
    if modality == "CT" and not shown and what != _OPEN:
        raise KerasganError(f"not in HU: {seen}; convert it to HU, or start from the DICOM series")
    if fault := values_fault(array, modality):
        raise KerasganError(fault)
    return modality, ct_doubt(values) if modality == "CT" else ""


_OPEN = "its values have neither the air and tissue of a CT nor the range of an MR"


def _shown(values: np.ndarray) -> tuple[Modality | None, str]:
    """The modality that values show beyond doubt, or None, and what they look like."""
    low, high = float(values.min()), float(values.max())
    air = values[(values < -500) & (values > low if low < -1500 else True)]  # the lowest value may be padding
    tissue = values[values > -500]
    is_air = len(air) >= _AIR_SHARE * len(values) and _AIR_HU[0] <= _peak(air) <= _AIR_HU[1]
    if is_air and _TISSUE_HU[0] <= _peak(tissue) <= _TISSUE_HU[1] and not _is_filled(air, tissue):
        return "CT", "its values are those of a CT, with air near -1000 HU and tissue near 0"
    if (low == 0 and high <= 255) or high - low < _SPREAD_HU:
        return None, f"its values are grey levels from {low:.3g} to {high:.3g}"
    bright = values > (np.percentile(values, 1) + np.percentile(values, 99)) / 2
    dark, light = _peak(values[~bright]), _peak(values[bright])
    between = (values > dark + 200) & (values < light - 200)
    if 850 <= light - dark <= 1200 and between.mean() < 0.2:  # as far apart as air and tissue
        return None, f"its values look like those of a CT whose water is {light - 40:.0f}, not 0"
    second, first = np.unique(values, return_counts=True)[1][-2:]
    if first > max(_CUT * values.size, 3 * second):
        return None, f"its values are cut at {high:g}, as those of a window are"
    undershoot, brightest = np.percentile(values, (0.5, 99.5))
    if undershoot >= -_UNDERSHOOT * brightest and float(np.median(values[bright])) > _TISSUE_HU[1]:
        return "MR", "its values are those of an MR: none far below 0, and tissue far above"
    return None, _OPEN


def _is_filled(air: np.ndarray, tissue: np.ndarray) -> bool:
    """True for an MR that was filled with a value of air: above it, much is background near 0 and much far brighter."""
    if np.ptp(air) > 0 or tissue.min() < 0:
        return False
    background = np.mean(np.abs(tissue - _peak(tissue)) <= _BIN / 2)
    return bool(min(background, np.mean(tissue > _BONE_HU)) > _FILLED_SHARE)


def _peak(values: np.ndarray) -> float:
    """The centre of the histogram's fullest bin; NaN for no values."""
    if not len(values):
        return float("nan")
    bins, counts = np.unique(np.floor(values / _BIN), return_counts=True)
    return float((bins[np.argmax(counts)] + 0.5) * _BIN)


def _named(path: Path) -> Modality | None:
    """The modality that the names of an image file and its folder speak of, if they speak of one."""
    words = set(re.split(r"[^a-z0-9]+", f"{path.parent.name} {path.name}".lower()))
    found = [modality for modality, known in _WORDS.items() if words & known]
    return found[0] if len(found) == 1 else None


def sidecar(path: Path) -> Path:
    """The JSON file that dcm2niix writes next to an image.

    Example:
        >>> sidecar(Path("scans/ct.nii.gz")).as_posix()
        'scans/ct.json'
    """
    stem = re.sub(r"(\.nii)?\.[^.]+$", "", path.name, flags=re.IGNORECASE)
    return path.with_name(f"{stem}.json")


def sidecar_modality(path: Path) -> str:
    """`Modality` of the JSON file that dcm2niix writes next to an image; `""` without such a file."""
    try:
        content = json.loads(sidecar(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return ""
    return str(content.get("Modality", "")).upper() if isinstance(content, dict) else ""
