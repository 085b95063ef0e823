"""The values that a scan can have: each check returns what is wrong with the field, the value and what is allowed.

All formats are held to these bounds, before memory is taken where the header already says it. A check returns `""` for
a value within bounds; who calls it names the file.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

SPACING_MM = (0.01, 100.0)
POSITION_MM = 100_000.0  # 100 m from the origin
SIDE = 4096  # pixels along a row or column of a slice
NETWORK_SIDE = 2048  # pixels along a side of a slice that a network sees: 64 channels of it take 1 GiB
SHELL_MM = 20.0  # around a body, in which a model's own values can be kept
VOXELS = 2**30  # of a volume; 4 GiB in float32, four times a CT from head to foot
CT_HU = (-33_792.0, 32_767.0)  # from the padding of 16 bits less 1024 to the brightest metal of an extended scale
LARGEST = 1e12  # of MR, whose unit is arbitrary
_AIR_HU, _TISSUE_HU = (-1100.0, -800.0), (-200.0, 200.0)  # fat, water, muscle and brain are tissue
_SEEN = 0.01  # share of the voxels from which air or tissue counts as present
_HISTOGRAM = 1000  # voxels from which their shares mean something


def spacing_fault(spacing_mm: Sequence[float], field: str) -> str:
    """Says what is wrong with distances in mm between neighbouring voxels; `""` for plausible ones.

    Args:
        spacing_mm: Any number of distances.
        field: Name of the field, with its tag where it has one.

    Example:
        >>> spacing_fault((0.5, 1000.0), "Pixel Spacing (0028,0030)")
        'Pixel Spacing (0028,0030) is 0.5, 1000; expected 0.01 to 100 mm'
        >>> spacing_fault((0.5, 0.5), "Pixel Spacing (0028,0030)")
        ''
    """
    low, high = SPACING_MM
    if all(low <= value <= high for value in spacing_mm):
        return ""
    return f"{field} is {_listed(spacing_mm)}; expected {low:g} to {high:g} mm"


def position_fault(position_mm: Sequence[float], field: str) -> str:
    """Says what is wrong with a place in the patient's coordinates; `""` for a plausible one.

    Args:
        position_mm: Coordinates in mm.
        field: Name of the field, with its tag where it has one.

    Example:
        >>> position_fault((0, float("nan"), 0), "origin")
        'origin is 0, nan, 0; expected at most 100000 mm in any direction'
    """
    if all(abs(value) <= POSITION_MM for value in position_mm):
        return ""
    return f"{field} is {_listed(position_mm)}; expected at most {POSITION_MM:g} mm in any direction"


def size_fault(shape: Sequence[int], field: str = "size") -> str:
    """Says what is wrong with a number of voxels, before memory is taken for them; `""` for a plausible one.

    Args:
        shape: `(slices, rows, columns)`; a slice has the last two.
        field: Name of the field.

    Example:
        >>> size_fault((1, 65535, 65535), "Rows x Columns")
        'Rows x Columns is 1 x 65535 x 65535; expected 1 to 4096 pixels a side'
        >>> size_fault((600, 512, 512))
        ''
    """
    text = " x ".join(map(str, shape))
    if min(shape) < 1 or max(shape[-2:]) > SIDE:
        return f"{field} is {text}; expected 1 to {SIDE} pixels a side"
    if math.prod(shape) > VOXELS:
        return f"{field} is {text}, {math.prod(shape):,} voxels; expected at most {VOXELS:,}"
    return ""


def values_fault(array: np.ndarray, modality: str) -> str:
    """Says what is wrong with the values of a scan: not finite, constant, or none that its modality has; or `""`.

    Args:
        array: Values of any shape, in HU for CT.
        modality: `"CT"` or `"MR"`.

    Example:
        >>> values_fault(np.array([24.0, 64536.0]), "CT")
        'values are 24 to 64536 HU; expected -33792 to 32767 HU in CT'
        >>> values_fault(np.zeros(5), "MR")
        'all voxels are 0; expected an image'
    """
    low, high = float(array.min()), float(array.max())  # NaN, if there is any
    if not math.isfinite(low) or not math.isfinite(high):
        count = array.size - int(np.count_nonzero(np.isfinite(array)))
        return f"{count} of {array.size} voxels are NaN or infinite; expected numbers"
    if low == high:
        return f"all voxels are {low:g}; expected an image"
    if modality == "CT" and (low < CT_HU[0] or high > CT_HU[1]):
        return f"values are {low:.10g} to {high:.10g} HU; expected {CT_HU[0]:.10g} to {CT_HU[1]:.10g} HU in CT"
    if max(-low, high) > LARGEST:
        return f"values are {low:.4g} to {high:.4g}; expected at most {LARGEST:g}"
    return ""


def ct_doubt(array: np.ndarray) -> str:
    """Why values may not be Hounsfield units: a CT shows air near -1000 HU and tissue near 0 HU.

    A small field of view can lack air, so this is a reason to look, not one to refuse.

    Args:
        array: Values of any shape; of fewer than 1000 nothing is said.

    Example:
        >>> ct_doubt(np.repeat([24.0, 1064.0, 2024.0], 1000))  # HU + 1024
        'no air near -1000 HU: percentiles 1, 50 and 99 are 24, 1064 and 2024 HU; check that these are Hounsfield units'
    """
    if array.size < _HISTOGRAM:
        return ""
    some = array.ravel()[:: max(1, array.size // 200_003)]  # some 200,000 voxels suffice
    found = {"air near -1000 HU": _AIR_HU, "tissue near 0 HU": _TISSUE_HU}
    lacking = [name for name, (low, high) in found.items() if ((some >= low) & (some <= high)).mean() < _SEEN]
    if not lacking:
        return ""
    low, middle, high = np.percentile(some, (1, 50, 99))
    return (
        f"no {' and no '.join(lacking)}: percentiles 1, 50 and 99 are {low:.5g}, {middle:.5g} and {high:.5g} HU; "
        "check that these are Hounsfield units"
    )


def _listed(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.6g}" for value in values)
