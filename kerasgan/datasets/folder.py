"""Two folders of your own scans: `<root>/a` and `<root>/b`, one of them MR, the other CT. Card: datasets/folder.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from kerasgan.datasets import DOMAINS, DatasetCard, Scan, no_data
from kerasgan.datasets._series import describe_found, to_scan, usable_series
from kerasgan.errors import DatasetError
from kerasgan.io import discover
from kerasgan.scans.volume import Modality

CARD = DatasetCard(
    name="folder",
    title="Your own scans in two folders",
    modalities=("MR", "CT"),  # nominal: `load` puts in the modalities of the scans
    anatomy="",
    field_of_view_mm=256.0,
    ct_window_hu=None,
    paired=False,
    licence="that of your data",
    homepage="",
    how_to_get="Put scans of one modality (DICOM, NIfTI, MHA) into a folder a/, those of the other into b/ next to it, "
    "and an empty file called paired if both scans of a patient are on one grid.",
    acknowledgement="",
    default_dir="datasets/folder",
)

PAIRED, SYNTHETIC = "paired", "synthetic"  # names of files


def describe(root: Path) -> DatasetCard:
    """The card; paired if `<root>/paired` says that both scans of a patient are registered and on one grid."""
    return replace(CARD, paired=(root / PAIRED).exists())


def scan(root: Path, modalities: Mapping[str, Modality] | None = None) -> list[Scan]:
    """Every usable series below `<root>/a` and `<root>/b`; each NIfTI or MetaImage file counts as one series.

    The patient of a DICOM scan is its Patient ID (0010,0020), or without one its study or folder. The patient of an
    image file is the sub-folder of `a` or `b` that holds it; for a file directly in `a` or `b`, the BIDS subject in its
    name or else the name without suffix, unless that names no one, as `image` does. So `a/sub-01_T1w.nii.gz` and
    `b/sub-01_ct.nii.gz` are one patient, and so are `a/7.mha` and `b/7.mha`.

    Args:
        root: The folder of `a` and `b`.
        modalities: The modality of a domain, for image files that do not show it themselves.

    Raises:
        DatasetError: For a folder that is missing or has no scan that can be used.
    """
    if not any((root / domain).is_dir() for domain in DOMAINS):
        raise no_data(CARD, root)
    scans = []
    for domain in DOMAINS:
        folder = root / domain
        found = discover(folder, (modalities or {}).get(domain)) if folder.is_dir() else []
        usable = usable_series(found, (root / SYNTHETIC).exists())
        if not usable:
            raise DatasetError(
                f"{folder} has no MR or CT scan that can be used; found: {describe_found(found)}. "
                f"Put DICOM, NIfTI or MHA scans there; `kerasgan inspect {folder}` says why a series is left out. "
                f"Where it asks which modality a file has, say it with --modality {domain}=MR or {domain}=CT."
            )
        scans += [to_scan(series, series.patient, domain) for series in usable]
    return scans
