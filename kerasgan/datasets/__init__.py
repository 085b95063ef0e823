"""Datasets: one module and one card each; `load` turns a name and a folder into scans, split by patient.

A dataset module defines `CARD` and `scan(root)`. As needed, `scan` takes `modalities`, where a user may have to say
which domain is MR, and `index`, which goes on to `discover`, for large archives; and there are `describe(root)` (a card
that depends on the folder), `prepare(root)` (writes data that is missing) and `split(root, scans, seed)`.
"""

from __future__ import annotations

import inspect
import logging
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from kerasgan import registry
from kerasgan.config import AXIAL_ONLY, Plane
from kerasgan.datasets._card import DatasetCard, labelled_classes
from kerasgan.datasets._channels import joined
from kerasgan.datasets._scan import DOMAINS, Domain, Scan, files_digest
from kerasgan.datasets._series import describe_found, to_scan, usable_series
from kerasgan.datasets._split import Part, Split, fewer_training_patients, split_by_patient
from kerasgan.errors import DatasetError
from kerasgan.io import Index, patient_key
from kerasgan.io.keys import SECRET, create_secret, digest, find_secret, salted, secret_of
from kerasgan.scans.volume import Modality

__all__ = [
    "DOMAINS",
    "SECRET",
    "DatasetCard",
    "Domain",
    "Part",
    "Scan",
    "Split",
    "check_domains",
    "create",
    "create_secret",
    "describe_found",
    "digest",
    "fewer_training_patients",
    "files_digest",
    "find_secret",
    "labelled_classes",
    "load",
    "load_scans",
    "no_data",
    "patient_key",
    "salted",
    "secret_of",
    "split_by_patient",
    "to_scan",
    "usable_series",
]

logger = logging.getLogger(__name__)
_NAMED = 10  # patients that one message names at most


def create(name: str, root: Path | None = None) -> Path:
    """Writes a dataset that can be generated, such as a phantom, unless it is there; nothing for any other.

    Args:
        name: As in `load`.
        root: As in `load`; a folder that the user named, and never one that was read from a file.

    Returns:
        The folder of the data.

    Raises:
        KerasganError: For an unknown name, or a folder that cannot be written.
    """
    module = registry.find("datasets", name)
    root = Path(root if root is not None else module.CARD.default_dir)
    if hasattr(module, "prepare"):
        module.prepare(root)
    return root


def load(
    name: str,
    root: Path | None = None,
    seed: int = 0,
    modalities: Mapping[str, Modality] | None = None,
    secret: bytes | None = None,
    planes: Sequence[Plane] = AXIAL_ONLY,
    halved: bool = True,
    fold: str | None = None,
    index: Path | None = None,
) -> tuple[DatasetCard, Split]:
    """Finds a dataset's scans and splits them by patient.

    Args:
        name: Name of a dataset, or path to a `.py` file that defines one.
        root: Folder of the data; None for the card's `default_dir`.
        seed: Seed of the split.
        modalities: The modality of a domain, for image files that do not show it themselves.
        secret: What the patients' keys are made with; None for the secret of the folder, if it has one. The split does
            not depend on it.
        planes: Scans that are single slices of other planes are left out.
        halved: Whether half of the pairs for validation are for the test where a split has none, see `Split.with_test`;
            they were not in runs of former versions.
        fold: Which part of the patients is for the test in a cross-validation, such as `"2/5"`; a split that the
            dataset has is then not used.
        index: Folder of the index of what was read of files before, see `kerasgan.io.Index`; None: all are read.

    Returns:
        The card, with the modalities that the data has, and the split.

    Raises:
        DatasetError: For data that is missing, lacks a modality or has too few patients.
        KerasganError: For an unknown name.

    Example (with the phantom that `create` has written):

        card, split = load("phantom")
        mr = split.train.a[0].load()
    """
    card, root, scans, module = _find(name, root, modalities or {}, planes, index)
    if hasattr(module, "split") and not fold:
        split: Split = module.split(root, scans, seed)
    else:
        split = split_by_patient(scans, card.paired, seed, fold)
    if card.paired and (seen := split.train.pairs()):
        raise DatasetError(
            f"Training patients in both domains: {len(seen)}; unpaired training needs each in one of them. "
            "Correct the split."
        )
    split = split.with_test() if halved and card.paired else split
    return card, split.under(find_secret(root) if secret is None else secret)


def load_scans(
    name: str,
    root: Path | None = None,
    modalities: Mapping[str, Modality] | None = None,
    secret: bytes | None = None,
    planes: Sequence[Plane] = AXIAL_ONLY,
    index: Path | None = None,
) -> tuple[DatasetCard, list[Scan]]:
    """All scans of a dataset without a split; `Split.from_keys` turns them into the split that a run recorded."""
    card, root, scans, _ = _find(name, root, modalities or {}, planes, index)
    secret = find_secret(root) if secret is None else secret
    return card, [scan.of(salted(scan.patient, secret)) for scan in scans]


def no_data(card: DatasetCard, root: Path) -> DatasetError:
    """The error for a folder that is missing or holds no scan: how to get the data, and what runs without it."""
    # In a checkout there may be no command `kerasgan`, and elsewhere there is no script: name what the user has typed.
    command = "python train.py" if Path(sys.argv[0]).name == "train.py" else "kerasgan train"
    if not root.exists():
        reason = "There is no such folder."
    elif not root.is_dir():
        is_packed = root.suffix.lower() in (".zip", ".gz", ".tar", ".7z")
        reason = f"This is a file; a folder is needed{': unpack it, and name the folder' if is_packed else ''}."
    else:
        reason = f"Nothing in it is laid out like {card.name}." if any(root.iterdir()) else "The folder is empty."
    return DatasetError(
        f"No {card.name} data in {root}. {reason}\n{card.how_to_get}\n"
        f"Put it into {card.default_dir} or name its folder with --data-dir.\n"
        f"Without any data, this runs now: {command} --dataset phantom --quick"
    )


def check_domains(card: DatasetCard, root: Path, scans: Sequence[Scan], found: str) -> None:
    """Checks that both domains have scans.

    Args:
        card: Card of the dataset.
        root: Folder that was searched.
        scans: Scans that can be used.
        found: Number of series of each modality in `root`, used or not, for the message: `"3 MR, 1 PT"`.

    Raises:
        DatasetError: For a domain without scans.
    """
    for domain, modality in zip(DOMAINS, card.modalities, strict=True):
        if not any(scan.domain == domain for scan in scans):
            raise DatasetError(
                f"{root} has no {modality} scan that can be used; found: {found}. {card.name} needs "
                f"{' and '.join(card.modalities)}; `kerasgan inspect {root}` says why a series is left out."
            )


def _find(
    name: str, root: Path | None, told: Mapping[str, Modality], planes: Sequence[Plane], index: Path | None
) -> tuple[DatasetCard, Path, list[Scan], ModuleType]:
    module = registry.find("datasets", name)
    root = Path(root if root is not None else module.CARD.default_dir)
    if not root.is_dir() or not any(root.iterdir()):
        raise no_data(module.CARD, root)
    card = module.describe(root) if hasattr(module, "describe") else module.CARD
    asked = inspect.signature(module.scan).parameters
    with Index(index) as opened:
        known = {"modalities": told, "index": opened}
        every = list(module.scan(root, **{what: value for what, value in known.items() if what in asked}))
    scans = [scan for scan in every if (scan.plane or planes[0]) in planes]
    if left_out := len(every) - len(scans):
        logger.warning(
            "%d scans are left out, single slices of another plane than %s: data.planes of the recipe says which.",
            left_out,
            " and ".join(planes),
        )
    total = Counter(scan.modality for scan in scans)
    check_domains(card, root, scans, ", ".join(f"{count} {name}" for name, count in total.items()) or "nothing")
    # The modality of each domain according to the data; all scans of a domain must agree.
    modalities = []
    for domain in DOMAINS:
        count = Counter(scan.modality for scan in scans if scan.domain == domain)
        if len(count) > 1:
            mixed = " and ".join(f"{number} {modality}" for modality, number in sorted(count.items()))
            rare = min(count, key=lambda modality: count[modality])
            found = [scan for scan in scans if scan.domain == domain and scan.modality == rare]
            secret = find_secret(root)
            keys = sorted({salted(scan.patient, secret) for scan in found})
            named = ", ".join(keys[:_NAMED]) + f" and {len(keys) - _NAMED} more" * (len(keys) > _NAMED)
            raise DatasetError(
                f"Domain {domain} of {root} mixes {mixed} scans; a domain needs one modality. The {rare} scans are of "
                f"{named}; kerasgan inspect {root} --key {keys[0]} lists the files of a key. Keep the scans of one "
                "modality in it and move the rest elsewhere."
            )
        modalities.append(next(iter(count)))
    a, b = modalities
    if a == b:
        raise DatasetError(
            f"Both domains of {root} hold {a}; one needs MR and the other CT. Replace the scans of one domain."
        )
    for domain, modality in zip(DOMAINS, modalities, strict=True):
        if told.get(domain, modality) != modality:
            raise DatasetError(f"Domain {domain} of {root} is {modality}, not {told[domain]}. Leave --modality out.")
    return replace(card, modalities=(a, b)), root, joined(scans, card.channels, root), module
