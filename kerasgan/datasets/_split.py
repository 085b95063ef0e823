"""Seeded splits by patient: about 80 % training, 10 % validation, 10 % test.

The result depends on the set of patients and the seed, not on the order in which files were found.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from kerasgan.datasets._types import DOMAINS, PartKeys, Scan, Split
from kerasgan.errors import DatasetError

logger = logging.getLogger(__name__)

HELD_OUT = ("test", "validation")  # the order in which they are filled where patients are scarce
HELD_OUT_SHARE = 0.1


def split_by_patient(scans: Sequence[Scan], paired: bool, seed: int = 0) -> Split:
    """Divides the patients among training, validation and test.

    Paired: validation and test patients have both domains, and a training patient stands in one domain only, so that
    training never sees a pair. Unpaired: a domain with three or more patients has one or more in validation and test.

    Args:
        scans: All scans of both domains.
        paired: Whether scans of one patient lie on one grid (`DatasetCard.paired`).
        seed: Of the shuffling.

    Raises:
        DatasetError: Where there are too few patients to train on both domains.
    """
    patients: dict[str, set[str]] = {}
    for scan in scans:
        patients.setdefault(scan.patient, set()).add(scan.domain)
    order = [sorted(patients)[i] for i in np.random.default_rng(seed).permutation(len(patients))]
    keys = (_paired_keys if paired else _unpaired_keys)({patient: patients[patient] for patient in order})
    if len(patients) < 2 or not (keys["train"]["a"] and keys["train"]["b"]):
        raise DatasetError(_too_few(patients, paired))
    if empty := [part for part in reversed(HELD_OUT) if not all(keys[part].values())]:
        wanted = f"that needs {_enough(paired)}. Add patients, or judge by eye."
        logger.warning("Too few patients to hold any out for %s: %s", " and ".join(empty), wanted)
    return Split.from_keys(scans, keys)


def fewer_training_patients(split: Split, count: int | None, seed: int = 0) -> Split:
    """The split with only some of its training patients, for an experiment on the size of the training set.

    With one seed, a smaller number draws a part of what a larger number draws.

    Args:
        split: Of all patients.
        count: Training patients of each domain; None: all.
        seed: Of the drawing.

    Raises:
        DatasetError: Where a domain has fewer.
    """
    if count is None:
        return split
    keys = split.keys()
    for number, domain in enumerate(DOMAINS):
        patients = keys["train"][domain]
        if len(patients) < count:
            raise DatasetError(
                f"data.training_patients={count} asks for more than the {len(patients)} training patients of domain "
                f"{domain}; lower it, or add patients."
            )
        order = np.random.default_rng((seed, number)).permutation(len(patients))
        keys["train"][domain] = [patients[i] for i in order[:count]]
    parts = (split.train, split.validation, split.test)
    return Split.from_keys((scan for part in parts for scan in (*part.a, *part.b)), keys)


def _unpaired_keys(patients: dict[str, set[str]]) -> dict[str, PartKeys]:
    """Fills test and validation up to their size in each domain, patients that have both domains first."""
    sizes = {domain: _held_out(sum(domain in has for has in patients.values())) for domain in DOMAINS}
    keys = _empty_keys()
    for patient in sorted(patients, key=lambda patient: -len(patients[patient])):
        has = patients[patient]
        fits = (
            part
            for part in HELD_OUT
            if all(len(keys[part][domain]) < sizes[domain] for domain in DOMAINS if domain in has)
        )
        part = next(fits, "train")
        for domain in has:
            keys[part][domain].append(patient)
    return keys


def _paired_keys(patients: dict[str, set[str]]) -> dict[str, PartKeys]:
    """Holds pairs out as far as enough patients are left to train on, then gives each training patient one domain."""
    keys = _empty_keys()
    pairs = [patient for patient, has in patients.items() if len(has) == 2]
    for patient, has in patients.items():
        if len(has) == 1:
            keys["train"][next(iter(has))].append(patient)
    needed = sum(not keys["train"][domain] for domain in DOMAINS)
    size = max(1, round(HELD_OUT_SHARE * len(pairs)))
    for part in HELD_OUT:
        for _ in range(min(size, len(pairs) - needed)):
            patient = pairs.pop()
            keys[part]["a"].append(patient)
            keys[part]["b"].append(patient)
    for patient in pairs:
        domain = min(DOMAINS, key=lambda domain: len(keys["train"][domain]))
        keys["train"][domain].append(patient)
    return keys


def _held_out(count: int) -> int:
    """Patients of `count` in validation, and as many in test: none of two or fewer, else at least one."""
    return max(1, round(HELD_OUT_SHARE * count)) if count >= 3 else 0


def _empty_keys() -> dict[str, PartKeys]:
    return {part: {"a": [], "b": []} for part in ("train", "validation", "test")}


def _too_few(patients: dict[str, set[str]], paired: bool) -> str:
    counts = ", ".join(f"{sum(domain in has for has in patients.values())} in domain {domain}" for domain in DOMAINS)
    people = "1 patient" if len(patients) == 1 else f"{len(patients)} patients"
    return (
        f"Found {people} ({counts}), too few to split: a patient never stands on two sides. Training needs 2 patients, "
        f"one in each domain; validation and test as well need {_enough(paired)}. Add patients."
    )


def _enough(paired: bool) -> str:
    """How many patients have some in every part."""
    return "4 with both" if paired else "3 in each domain"
