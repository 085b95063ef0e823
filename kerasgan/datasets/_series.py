"""Series below a folder, and which of them can be used, for datasets that search a folder tree."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable

from kerasgan.datasets._scan import Domain, Scan
from kerasgan.io import Series
from kerasgan.io.discovery import NO_PATIENT
from kerasgan.io.nifti import is_image
from kerasgan.scans.volume import Modality

_SYNTHETIC = "synthetic, computed by a network; dataset folder takes them if a file called synthetic is next to a and b"
logger = logging.getLogger(__name__)


def usable_series(found: Iterable[Series], synthetic: bool = False) -> list[Series]:
    """The series that can be used, synthetic ones only on request; how many are left out for which reason is logged."""
    usable, left_out = [], Counter[str]()
    for series in found:
        if not series.usable:
            left_out[series.reason] += 1
        elif series.synthetic and not synthetic:
            left_out[_SYNTHETIC] += 1
        else:
            usable.append(series)
    for reason, count in left_out.most_common():
        logger.warning("%d series left out: %s", count, reason)
    notes = Counter(note for series in usable for note in series.notes if note.startswith(NO_PATIENT))
    for note, count in notes.most_common():
        logger.warning("%d series: %s; `kerasgan inspect` lists them", count, note)
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
