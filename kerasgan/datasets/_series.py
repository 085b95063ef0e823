"""Series below a folder, and which of them can be used, for datasets that search a folder tree."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from kerasgan.datasets._scan import Domain, Scan
from kerasgan.errors import KerasganError
from kerasgan.io import Series, discover
from kerasgan.io.nifti import is_image, read_image, sidecar_modality
from kerasgan.scans.volume import Modality

logger = logging.getLogger(__name__)

LABELS = 64  # a scan has hundreds of grey levels, even in 8 bits; a segmentation has rarely more than some tens


def find_series(root: Path | str) -> list[Series]:
    """All series below a folder, or in a file or archive, usable or not.

    Args:
        root: Folder, DICOM, NIfTI or MetaImage file, or `.zip` archive.

    Returns:
        The series, sorted by file. An image file has the modality of its JSON sidecar, or else of its values; a mask or
        label map is not usable. `Series.reason` says why a series cannot be used.

    Raises:
        DicomError: For a path that does not exist, or an archive that cannot be unpacked.

    Example (needs scans):

        for series in find_series("datasets/adni"):
            print(series.modality, series.shape, series.reason or "usable")
    """
    found = []
    for series in discover(Path(root)):
        path = series.files[0]
        if series.usable and is_image(path):
            if modality := sidecar_modality(path):
                series = replace(series, modality=modality)
            else:
                series = _with_modality_of_values(series, path)
        found.append(series)
    return found


def usable_series(found: Iterable[Series]) -> list[Series]:
    """The MR and CT series that can be used; how many are left out for which reason is logged."""
    usable = [series for series in found if series.usable and series.modality in ("MR", "CT")]
    left_out = [series.reason or f"modality {series.modality}" for series in found if series not in usable]
    for reason, count in Counter(left_out).most_common():
        logger.warning("%d series left out: %s", count, reason)
    return usable


def describe_found(found: Iterable[Series]) -> str:
    """The number of series of each modality, for a message: `"2 CT, 3 MR (1 of them cannot be used)"`.

    Example:
        >>> describe_found([Series("", "MR", "", ()), Series("", "CT", "", (), usable=False)])
        '1 CT (1 of them cannot be used), 1 MR'
    """
    counts = Counter(series.modality or "unknown" for series in found)
    unusable = Counter(series.modality or "unknown" for series in found if not series.usable)
    texts = (
        f"{count} {modality}" + (f" ({unusable[modality]} of them cannot be used)" if unusable[modality] else "")
        for modality, count in sorted(counts.items())
    )
    return ", ".join(texts) or "nothing"


def to_scan(series: Series, patient: str, domain: Domain) -> Scan:
    """A scan that reads a usable MR or CT series."""
    modality: Modality = "CT" if series.modality == "CT" else "MR"
    return Scan(patient, domain, modality, series.files, series=None if is_image(series.files[0]) else series)


def _with_modality_of_values(series: Series, path: Path) -> Series:
    try:
        volume = read_image(path)
    except KerasganError as error:
        return replace(series, usable=False, reason=str(error))
    values = np.unique(volume.array.ravel()[:: max(1, volume.array.size // 200_003)])  # some 200,000 voxels suffice
    if len(values) <= LABELS and bool(np.all(values == values.round())):
        return replace(series, usable=False, reason=f"a mask or label map (at most {LABELS} different values)")
    return replace(series, modality=volume.modality)
