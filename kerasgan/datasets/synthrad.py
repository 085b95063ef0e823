"""SynthRAD2023, task 1: rigidly registered MR and CT of the same patients, brain or pelvis.

Licence: CC BY-NC 4.0. Card: datasets/synthrad.md.

Reference: Thummerer et al. 2023, https://doi.org/10.1002/mp.16529
"""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

from kerasgan.datasets import DatasetCard, Scan, Split, no_data, patient_key, split_by_patient
from kerasgan.errors import DatasetError

logger = logging.getLogger(__name__)

CARD = DatasetCard(
    name="synthrad",
    title="SynthRAD2023 task 1, MR to CT (brain or pelvis)",
    modalities=("MR", "CT"),
    anatomy="head",
    field_of_view_mm=256.0,
    ct_window_hu=(-1000.0, 1600.0),
    paired=True,
    licence="CC BY-NC 4.0",
    homepage="https://synthrad2023.grand-challenge.org",
    how_to_get="Download Task1.zip from https://doi.org/10.5281/zenodo.7260705 (no registration) and unpack it.",
    acknowledgement="Thummerer et al., SynthRAD2023 Grand Challenge dataset, Medical Physics 50, 2023.",
    default_dir="datasets/synthrad",
)

REGIONS = ("brain", "pelvis")
NESTING = ("", *REGIONS, "Task1", *(f"Task1/{region}" for region in REGIONS))  # where patients may lie below the root
NOT_PATIENTS = ("overlays", "overview")
SUFFIXES = (".nii.gz", ".mha", ".nii")
SPLIT_NAMES = ("train_mr", "train_ct", "val", "test")


def describe(root: Path) -> DatasetCard:
    """The card for the region in `root`; a pelvis is wider and keeps the recipe's CT window."""
    folders = _patient_folders(root)
    if folders and _region(folders[0]) == "pelvis":
        return replace(CARD, anatomy="pelvis", field_of_view_mm=450.0, ct_window_hu=None)
    return CARD


def scan(root: Path) -> list[Scan]:
    """All MR (domain `a`) and CT (domain `b`) images below `root`, each with its patient's body mask.

    Args:
        root: The folder of the patients or one above it: `[Task1/][brain|pelvis]/<patient>/{mr,ct,mask}.nii.gz`/`.mha`.

    Raises:
        DatasetError: Where there is no patient, or both regions.
    """
    scans = [scan for folder in _patient_folders(root) for scan in _scans_of(folder)]
    if not scans:
        raise no_data(CARD, root)
    return scans


def split(root: Path, scans: list[Scan], seed: int) -> Split:
    """The split of `split.json` beside the patients where there is one, else the generic paired split.

    The file lists patient folders under `train_mr` (used as MR only), `train_ct` (as CT only), `val` and optionally
    `test` (both modalities).

    Raises:
        DatasetError: For a `split.json` that is damaged or leaves a training domain without patients.
    """
    path = _patient_folders(root)[0].parent / "split.json"
    if not path.is_file():
        return split_by_patient(scans, paired=True, seed=seed)
    listed = _read_split(path)
    _warn_of_missing(listed, {scan.patient for scan in scans})
    val, test = listed.get("val", []), listed.get("test", [])
    keys = {
        "train": {"a": listed.get("train_mr", []), "b": listed.get("train_ct", [])},
        "validation": {"a": val, "b": val},
        "test": {"a": test, "b": test},
    }
    split = Split.from_keys(scans, keys)
    for name, part in (("train_mr", split.train.a), ("train_ct", split.train.b)):
        if not part:
            raise DatasetError(
                f"None of the {len(listed.get(name, []))} patients under {name} of {path} has its image; add them."
            )
    return split


def _patient_folders(root: Path) -> list[Path]:
    levels = {level: _patients_in(root / level) for level in NESTING}
    filled = {level: folders for level, folders in levels.items() if folders}
    if len(filled) > 1:
        raise DatasetError(
            f"{root} holds patients in {' and '.join(sorted(filled))}; name one of them with --data-dir."
        )
    return next(iter(filled.values()), [])


def _patients_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    inner = sorted(path for path in folder.iterdir() if path.is_dir() and path.name not in NOT_PATIENTS)
    return [path for path in inner if _image(path, "mr") or _image(path, "ct")]


def _image(folder: Path, stem: str) -> Path | None:
    return next((path for suffix in SUFFIXES if (path := folder / f"{stem}{suffix}").is_file()), None)


def _region(folder: Path) -> str:
    """The region of a patient folder: its parent's name, else the id's letter (1BA001 brain, 1PA001 pelvis)."""
    if folder.parent.name in REGIONS:
        return folder.parent.name
    return "pelvis" if folder.name[1:2] == "P" else "brain"


def _scans_of(folder: Path) -> list[Scan]:
    mr, ct, mask = (_image(folder, stem) for stem in ("mr", "ct", "mask"))
    key = patient_key(folder.name)
    scans = [] if mr is None else [Scan(key, "a", "MR", (mr,), mask)]
    return scans if ct is None else [*scans, Scan(key, "b", "CT", (ct,), mask)]


def _read_split(path: Path) -> dict[str, list[str]]:
    """Patient keys under each name of `split.json`."""
    try:
        listed = json.loads(path.read_text(encoding="utf-8")).items()
        return {name: list(map(patient_key, patients)) for name, patients in listed if name in SPLIT_NAMES}
    except (ValueError, TypeError, AttributeError) as error:
        raise DatasetError(
            f"{path} cannot be used ({error}); it must map {', '.join(SPLIT_NAMES)} to lists of patient folders."
        ) from error


def _warn_of_missing(listed: dict[str, list[str]], present: set[str]) -> None:
    missing = {name: len(set(patients) - present) for name, patients in listed.items()}
    if any(missing.values()):
        counts = ", ".join(f"{count} of {name}" for name, count in missing.items() if count)
        logger.warning("split.json names patients whose folders are missing: %s; they are left out.", counts)
