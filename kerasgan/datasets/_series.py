"""What the datasets that walk a folder tree share: the series below a folder, and which of them can be used."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from kerasgan.datasets._types import Domain, Scan
from kerasgan.errors import KerasganError
from kerasgan.io import Series, discover
from kerasgan.io.nifti import is_image, read_image, sidecar_modality
from kerasgan.scans.volume import Modality

logger = logging.getLogger(__name__)

LABELS = 64  # a scan has hundreds of grey levels, even in 8 bits; a segmentation has rarely more than some tens


def find_series(root: Path) -> list[Series]:
    """All series below `root`; an image file has the modality of its JSON sidecar, or else of its values."""
    return [_with_modality(series) for series in discover(root)]


def usable_series(found: Iterable[Series]) -> list[Series]:
    """The MR and CT series that can be used; how many are left out for which reason is logged."""
    usable = [series for series in found if series.usable and series.modality in ("MR", "CT")]
    left_out = [series.reason or f"modality {series.modality}" for series in found if series not in usable]
    for reason, count in Counter(left_out).most_common():
        logger.warning("%d series left out: %s", count, reason)
    return usable


def describe_found(found: Iterable[Series]) -> str:
    """How many series of each modality there are, for a message: `"3 MR, 2 CT (1 of them cannot be used)"`."""
    counts = Counter(series.modality or "unknown" for series in found)
    unusable = Counter(series.modality or "unknown" for series in found if not series.usable)
    texts = (
        f"{count} {modality}" + (f" ({unusable[modality]} of them cannot be used)" if unusable[modality] else "")
        for modality, count in sorted(counts.items())
    )
    return ", ".join(texts) or "nothing"


def to_scan(series: Series, patient: str, domain: Domain) -> Scan:
    """A scan that reads a usable MR or CT series."""
    image = is_image(series.files[0])
    modality: Modality = "CT" if series.modality == "CT" else "MR"
    return Scan(patient, domain, modality, series.files, series=None if image else series)


def _with_modality(series: Series) -> Series:
    path = series.files[0]
    if not series.usable or not is_image(path):
        return series
    if modality := sidecar_modality(path):
        return replace(series, modality=modality)
    try:
        volume = read_image(path)
    except KerasganError as error:
        return replace(series, usable=False, reason=str(error))
    if _is_label_map(volume.array):
        return replace(series, usable=False, reason=f"a mask or label map (at most {LABELS} different values)")
    return replace(series, modality=volume.modality)


def _is_label_map(array: np.ndarray) -> bool:
    """Whether `[slices, rows, columns]` holds few values, all whole; some 200,000 voxels tell."""
    sample = array.ravel()[:: max(1, array.size // 200_003)]
    values = np.unique(sample)
    return len(values) <= LABELS and bool(np.all(values == values.round()))
