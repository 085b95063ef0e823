"""CHAOS: contrast-enhanced CT and T1 MR of healthy abdomens, different people, with organs drawn by radiologists.

Licence: CC BY-SA 4.0. Card: datasets/chaos.md.

Reference: Kavur et al. 2021, https://doi.org/10.1016/j.media.2020.101950
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from kerasgan.datasets import DatasetCard, Domain, Scan, check_domains, no_data, patient_key
from kerasgan.datasets._series import describe_found, to_scan, usable_series
from kerasgan.errors import DatasetError
from kerasgan.io import Index, Series, discover

CARD = DatasetCard(
    name="chaos",
    title="CHAOS, abdominal CT and T1 MR with organ labels",
    modalities=("CT", "MR"),
    anatomy="abdomen",
    field_of_view_mm=400.0,
    ct_window_hu=(-160.0, 240.0),
    paired=False,
    licence="CC BY-SA 4.0",
    homepage="https://chaos.grand-challenge.org",
    how_to_get="Download CHAOS_Train_Sets.zip from https://doi.org/10.5281/zenodo.3431873 (free) and unpack it.",
    acknowledgement="Kavur et al., CHAOS Challenge, Medical Image Analysis 69, 2021.",
    default_dir="datasets/chaos",
    structures={  # nominal MR values are 63, 126, 189 and 252; CHAOS allows for these ranges
        "liver": {"a": (255,), "b": tuple(range(56, 71))},
        "right kidney": {"b": tuple(range(111, 136))},
        "left kidney": {"b": tuple(range(176, 201))},
        "spleen": {"b": tuple(range(241, 256))},
    },
)

# Domain, folder of the patients, and there: images, labels.
SOURCES: tuple[tuple[Domain, str, str, str], ...] = (
    ("a", "CT", "DICOM_anon", "Ground"),
    ("b", "MR", "T1DUAL/DICOM_anon/InPhase", "T1DUAL/Ground"),
)
NESTING = ("", "Train_Sets", "CHAOS_Train_Sets/Train_Sets")


def scan(root: Path, index: Index | None = None) -> list[Scan]:
    """The CT (domain `a`) and in-phase T1 MR (domain `b`) of each patient, with the labels of its `Ground` folder.

    Args:
        root: `[Train_Sets/]{CT,MR}/<number>/...`, see the card.
        index: What was read of files before.

    Raises:
        DatasetError: For a folder without patients or without one modality, a patient with several series, or another
            number of label pictures than of slices.
    """
    base = next((root / level for level in NESTING if (root / level / "CT").is_dir()), root)
    scans: list[Scan] = []
    found: list[Series] = []
    for domain, modality, images, labels in SOURCES:
        folder = base / modality
        numbered = [path for path in folder.iterdir() if path.name.isdecimal()] if folder.is_dir() else []
        for patient in sorted(filter(Path.is_dir, numbered), key=lambda path: int(path.name)):
            key = patient_key(f"{modality} {patient.name}")  # the numbers of CT and MR are those of different people
            series = discover(patient / images, index=index) if (patient / images).is_dir() else []
            found += series
            usable = usable_series(series)
            if len(usable) > 1:
                raise DatasetError(f"Patient {key} has {len(usable)} series in one folder; keep one of them there.")
            scans += [_with_labels(to_scan(one, key, domain), patient / labels) for one in usable]
    if not found:
        raise no_data(CARD, root)
    check_domains(CARD, root, scans, describe_found(found))
    return scans


def _with_labels(scan: Scan, ground: Path) -> Scan:
    """The scan with its pictures, which belong to its files in the order of their names, not in that of position."""
    pictures = sorted(ground.glob("*.png"))
    if not pictures:
        return scan
    if len(pictures) != len(scan.files):
        raise DatasetError(
            f"The {scan.modality} scan of patient {scan.patient} has {len(scan.files)} slices and {len(pictures)} "
            f"label pictures; restore its {ground.name} folder, or remove it to go without labels."
        )
    picture_of = dict(zip(sorted(scan.files), pictures, strict=True))
    return replace(scan, labels=tuple(picture_of[file] for file in scan.files))
