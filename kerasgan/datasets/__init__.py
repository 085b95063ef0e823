"""Datasets: one module and one card each; `load` turns a name and a folder into scans, split by patient.

A dataset module defines `CARD` and `scan(root)`, and where it needs them `describe(root)` (a card that depends on the
folder), `prepare(root)` (writes the data where it is absent) and `split(root, scans, seed)`.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from kerasgan import registry
from kerasgan.datasets._split import fewer_training_patients, split_by_patient
from kerasgan.datasets._types import DOMAINS, DatasetCard, Domain, Part, Scan, Split, files_digest, labelled_classes
from kerasgan.errors import DatasetError
from kerasgan.io import patient_key

__all__ = [
    "DOMAINS",
    "DatasetCard",
    "Domain",
    "Part",
    "Scan",
    "Split",
    "check_domains",
    "fewer_training_patients",
    "files_digest",
    "labelled_classes",
    "load",
    "load_scans",
    "no_data",
    "patient_key",
    "split_by_patient",
]


def load(name: str, root: Path | None = None, seed: int = 0) -> tuple[DatasetCard, Split]:
    """Finds a dataset's scans and splits them by patient.

    Args:
        name: A dataset's name, or a path to a `.py` file that defines one.
        root: Its data; None for the card's `default_dir`.
        seed: Of the split.

    Returns:
        The card, with the modalities that the data has, and the split.

    Raises:
        DatasetError: Where the data is missing, lacks a modality or has too few patients.
        KerasganError: For an unknown name.
    """
    card, root, scans, module = _find(name, root)
    if hasattr(module, "split"):
        split: Split = module.split(root, scans, seed)
    else:
        split = split_by_patient(scans, card.paired, seed)
    if card.paired and (seen := split.train.pairs()):
        raise DatasetError(
            f"Training patients in both domains: {len(seen)}; unpaired training needs each in one of them."
        )
    return card, split


def load_scans(name: str, root: Path | None = None) -> tuple[DatasetCard, list[Scan]]:
    """Like `load`, but all scans without a split; `Split.from_keys` turns them into the split that a run recorded."""
    card, _, scans, _ = _find(name, root)
    return card, scans


def no_data(card: DatasetCard, root: Path) -> DatasetError:
    """The error for a folder that is missing or holds no scan: how to get the data, and what runs without it."""
    return DatasetError(
        f"No {card.name} data in {root}.\n{card.how_to_get}\n"
        f"Put it into {card.default_dir} or name its folder with --data-dir.\n"
        f"Without any data, this runs now: {_train_command()} --dataset phantom --quick"
    )


def _train_command() -> str:
    """As the user has typed it: in a checkout there may be no command `kerasgan`, and elsewhere there is no script."""
    return "python train.py" if Path(sys.argv[0]).name == "train.py" else "kerasgan train"


def check_domains(card: DatasetCard, root: Path, scans: Sequence[Scan], found: str) -> None:
    """Makes sure that there are scans of both domains.

    Args:
        card: The dataset's card.
        root: Where the scans were looked for.
        scans: The scans that can be used.
        found: How many series of each modality lie in `root`, used or not, for the message: `"3 MR, 1 PT"`.

    Raises:
        DatasetError: Where one domain has none.
    """
    for domain, modality in zip(DOMAINS, card.modalities, strict=True):
        if not any(scan.domain == domain for scan in scans):
            raise DatasetError(
                f"{root} has no {modality} scan that can be used; found: {found}. {card.name} needs "
                f"{' and '.join(card.modalities)}; `kerasgan inspect {root}` tells why a series is left out."
            )


def _find(name: str, root: Path | None) -> tuple[DatasetCard, Path, list[Scan], ModuleType]:
    module = registry.find("datasets", name)
    root = Path(root if root is not None else module.CARD.default_dir)
    if hasattr(module, "prepare"):
        module.prepare(root)
    if not root.is_dir() or not any(root.iterdir()):
        raise no_data(module.CARD, root)
    card = module.describe(root) if hasattr(module, "describe") else module.CARD
    scans = list(module.scan(root))
    counts = Counter(scan.modality for scan in scans)
    check_domains(
        card, root, scans, ", ".join(f"{count} {modality}" for modality, count in counts.items()) or "nothing"
    )
    return replace(card, modalities=_modalities(root, scans)), root, scans, module


def _modalities(root: Path, scans: Sequence[Scan]) -> tuple[str, ...]:
    """The modality of each domain according to the data; all scans of a domain must agree."""
    counts = {domain: Counter(scan.modality for scan in scans if scan.domain == domain) for domain in DOMAINS}
    for domain, count in counts.items():
        if len(count) > 1:
            mixed = " and ".join(f"{number} {modality}" for modality, number in sorted(count.items()))
            raise DatasetError(f"Domain {domain} of {root} mixes {mixed} scans; a domain needs one modality.")
    modalities = tuple(next(iter(counts[domain])) for domain in DOMAINS)
    if modalities[0] == modalities[1]:
        raise DatasetError(f"Both domains of {root} hold {modalities[0]}; one needs MR and the other CT.")
    return modalities
