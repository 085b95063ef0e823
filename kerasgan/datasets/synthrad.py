"""SynthRAD2023, task 1: rigidly registered MR and CT of the same patients, brain or pelvis.

Licence: CC BY-NC 4.0. Card: datasets/synthrad.md.

Reference: Thummerer et al. 2023, https://doi.org/10.1002/mp.16529
"""

from __future__ import annotations

import json
import logging
import re
from dataclasses import replace
from pathlib import Path

from kerasgan.datasets import DatasetCard, Scan, Split, no_data, patient_key, split_by_patient
from kerasgan.errors import DatasetError
from kerasgan.scans.geometry import PLANES

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
NESTING = ("", *REGIONS, "Task1", *(f"Task1/{region}" for region in REGIONS))  # folders of patients below the root
NOT_PATIENTS = ("overlays", "overview")
SUFFIXES = (".nii.gz", ".mha", ".nii")
SETS = ("", *(f"_{plane}" for plane in PLANES))  # ends of the names of a volume, or of single slices
SPLIT_NAMES = ("train_mr", "train_ct", "val", "test")


def describe(root: Path) -> DatasetCard:
    """The card for the region in `root`; a pelvis is wider and keeps the recipe's CT window."""
    folders = _patient_folders(root)
    if not folders:
        return CARD
    # The region of a patient folder: its parent's name, else the letter of the id (1BA001 brain, 1PA001 pelvis).
    name, parent = folders[0].name, folders[0].parent.name
    is_pelvis = parent == "pelvis" or (parent not in REGIONS and name[1:2] == "P")
    return replace(CARD, anatomy="pelvis", field_of_view_mm=450.0, ct_window_hu=None) if is_pelvis else CARD


def scan(root: Path) -> list[Scan]:
    """All MR (domain `a`) and CT (domain `b`) images below `root`, each with its patient's body mask.

    Args:
        root: The folder of the patients or one above it: `[Task1/][brain|pelvis]/<patient>/{mr,ct,mask}.nii.gz`/`.mha`.
            Single slices are called `mr_axial`, `mr_coronal`, `mr_sagittal`, and so on.

    Raises:
        DatasetError: For a folder without patients, or with both regions.
    """
    scans = []
    for folder in _patient_folders(root):
        key, named = patient_key(folder.name), re.fullmatch(r"\d[BP]([A-Z])\d+", folder.name)
        centre = named[1] if named else ""  # 1BA001 is brain 001 of centre A
        for end in SETS:
            mr, ct, mask = (_image(folder, f"{stem}{end}") for stem in ("mr", "ct", "mask"))
            scans += [] if mr is None else [Scan(key, "a", "MR", (mr,), mask, centre=centre)]
            scans += [] if ct is None else [Scan(key, "b", "CT", (ct,), mask, centre=centre)]
    if not scans:
        raise no_data(CARD, root)
    return scans


def split(root: Path, scans: list[Scan], seed: int) -> Split:
    """The split of `split.json` next to the patients if there is one, else the generic paired split.

    The file lists patient folders under `train_mr` (used as MR only), `train_ct` (as CT only), `val` and optionally
    `test` (both modalities).

    Raises:
        DatasetError: For a `split.json` that is damaged or leaves a training domain without patients.
    """
    path = _patient_folders(root)[0].parent / "split.json"
    if not path.is_file():
        return split_by_patient(scans, paired=True, seed=seed)
    try:
        content = json.loads(path.read_text(encoding="utf-8")).items()
        listed = {name: list(map(patient_key, patients)) for name, patients in content if name in SPLIT_NAMES}
    except (ValueError, TypeError, AttributeError) as error:
        raise DatasetError(
            f"{path} cannot be used ({error}); it must map {', '.join(SPLIT_NAMES)} to lists of patient folders."
        ) from error
    present = {scan.patient for scan in scans}
    missing = {name: len(set(patients) - present) for name, patients in listed.items()}
    if any(missing.values()):
        counts = ", ".join(f"{count} of {name}" for name, count in missing.items() if count)
        logger.warning("split.json names patients whose folders are missing: %s; they are left out.", counts)
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
    filled = {}
    for level in NESTING:
        folder = root / level
        inner = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
        with_images = [
            path for path in inner if any(_image(path, f"{stem}{end}") for stem in ("mr", "ct") for end in SETS)
        ]
        if patients := [path for path in with_images if path.name not in NOT_PATIENTS]:
            filled[level] = patients
    if len(filled) > 1:
        raise DatasetError(
            f"{root} holds patients in {' and '.join(sorted(filled))}; name one of them with --data-dir."
        )
    return next(iter(filled.values()), [])


def _image(folder: Path, stem: str) -> Path | None:
    return next((path for suffix in SUFFIXES if (path := folder / f"{stem}{suffix}").is_file()), None)
