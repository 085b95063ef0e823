"""Parts of a split that share no patient, and seeded splits: about 80 % training, 10 % validation, 10 % test, or folds.

A split depends on the set of patients and the seed, not on the order in which files were found.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kerasgan.config import fold_numbers
from kerasgan.datasets._scan import DOMAINS, Scan
from kerasgan.errors import DatasetError
from kerasgan.io.keys import salted

logger = logging.getLogger(__name__)

HELD_OUT = ("test", "validation")  # the order in which they are filled if patients are scarce
HELD_OUT_SHARE = 0.1
PartKeys = dict[str, list[str]]


@dataclass(frozen=True)
class Part:
    """The scans of one part of a split.

    Attributes:
        a: Scans of domain `a`, sorted by patient.
        b: Scans of domain `b`, sorted by patient.
    """

    a: tuple[Scan, ...] = ()
    b: tuple[Scan, ...] = ()

    def pairs(self) -> list[tuple[Scan, Scan]]:
        """Scans of the same patient in `a` and `b`, the first with the first, and so on.

        They are on one grid only if the dataset's card says `paired`.
        """
        partners: dict[str, list[Scan]] = {}
        for scan in self.b:
            partners.setdefault(scan.patient, []).append(scan)
        return [(scan, partners[scan.patient].pop(0)) for scan in self.a if partners.get(scan.patient)]

    def patients(self) -> set[str]:
        """Keys of the patients in this part, of either domain."""
        return {scan.patient for scan in (*self.a, *self.b)}

    def keys(self) -> PartKeys:
        """Patient keys of each domain, sorted."""
        return {"a": sorted({scan.patient for scan in self.a}), "b": sorted({scan.patient for scan in self.b})}


@dataclass(frozen=True)
class Split:
    """The training, validation and test part of a dataset; no patient is in two of them.

    Raises:
        DatasetError: For a patient in two parts.

    Example:
        >>> scans = [Scan(f"p{n}", domain, "MR", ()) for n in range(2) for domain in DOMAINS]
        >>> Split.from_keys(scans, {"train": {"a": ["p0"]}, "test": {"b": ["p1"]}}).keys()["test"]
        {'a': [], 'b': ['p1']}
    """

    train: Part
    validation: Part
    test: Part

    def __post_init__(self) -> None:
        parts = (self.train, self.validation, self.test)
        shared = sum(len(part.patients()) for part in parts) - len(set.union(*(part.patients() for part in parts)))
        if shared:
            raise DatasetError(f"Patients in more than one part of the split: {shared}; put each into one part only.")

    def with_test(self) -> Split:
        """The split with every second pair of the validation part for the test, where there is no test part.

        Or the patients who choose a run's best generator would be those whose scores are reported. They are counted in
        the order of their centres and keys, so that both halves have patients of each centre, on every machine alike.

        Example:
            >>> scans = [Scan(f"p{n}", domain, "MR", ()) for n in range(4) for domain in DOMAINS]
            >>> part = {domain: [f"p{n}" for n in range(4)] for domain in DOMAINS}
            >>> split = Split.from_keys(scans, {"validation": part}).with_test()
            >>> split.keys()["validation"]["a"], split.keys()["test"]["a"]
            (['p0', 'p2'], ['p1', 'p3'])
        """
        if self.test.patients():
            return self
        centres = {scan.patient: scan.centre for scan, _ in self.validation.pairs()}
        reported = sorted(centres, key=lambda patient: (centres[patient], patient))[1::2]
        domains = self.validation.a, self.validation.b
        validation = Part(*(tuple(scan for scan in scans if scan.patient not in reported) for scans in domains))
        test = Part(*(tuple(scan for scan in scans if scan.patient in reported) for scans in domains))
        return Split(self.train, validation, test)

    def under(self, secret: bytes) -> Split:
        """The split with the patients' keys under a secret, see `salted`; the order of the scans stays."""
        parts = ((part.a, part.b) for part in (self.train, self.validation, self.test))
        return Split(
            *(
                Part(*(tuple(scan.of(salted(scan.patient, secret)) for scan in scans) for scans in part))
                for part in parts
            )
        )

    def keys(self) -> dict[str, PartKeys]:
        """Patient keys per part and domain, ready for JSON: `{"train": {"a": [...], "b": [...]}, ...}`."""
        return {"train": self.train.keys(), "validation": self.validation.keys(), "test": self.test.keys()}

    @classmethod
    def from_keys(cls, scans: Iterable[Scan], keys: Mapping[str, Mapping[str, Iterable[str]]]) -> Split:
        """The split that `keys` (as from `Split.keys`) describes; scans that it does not list are left out."""
        ordered = sorted(scans, key=lambda scan: (scan.patient, [str(path) for path in scan.files]))
        parts = []
        for part in ("train", "validation", "test"):
            wanted = {domain: set(keys.get(part, {}).get(domain, ())) for domain in DOMAINS}
            a, b = (tuple(s for s in ordered if s.domain == d and s.patient in wanted[d]) for d in DOMAINS)
            parts.append(Part(a, b))
        return cls(*parts)


def split_by_patient(scans: Sequence[Scan], paired: bool, seed: int = 0, fold: str | None = None) -> Split:
    """A random split of the patients into training, validation and test.

    Paired: validation and test patients have both domains, and a training patient is used in one domain only, so that
    training never sees a pair. Unpaired: a domain with three or more patients has one or more in validation and test.

    Args:
        scans: All scans of both domains.
        paired: Scans of one patient are on one grid (`DatasetCard.paired`).
        seed: Seed of the shuffling.
        fold: Which of equal parts of the patients is for the test, such as `"2/5"`: with one seed these have no patient
            in common and leave none out that can be tested, which paired are those with both domains. None: 10 %.

    Raises:
        DatasetError: For too few patients to train on both domains, or fewer patients than folds.

    Example:
        >>> scans = [Scan(f"p{n}", domain, "MR", ()) for n in range(10) for domain in DOMAINS]
        >>> split = split_by_patient(scans, paired=True)
        >>> len(split.train.a), len(split.train.pairs()), len(split.test.pairs())
        (4, 0, 1)
    """
    patients: dict[str, set[str]] = {}
    for scan in scans:
        patients.setdefault(scan.patient, set()).add(scan.domain)
    order = [sorted(patients)[i] for i in np.random.default_rng(seed).permutation(len(patients))]
    shuffled = {patient: patients[patient] for patient in order}
    tested = None
    if fold:
        centres = {scan.patient: scan.centre for scan in sorted(scans, key=lambda scan: scan.centre)}
        tested = _tested(fold, shuffled, paired, centres)
    keys = (_paired_keys if paired else _unpaired_keys)(shuffled, tested)
    enough = "4 with both" if paired else "3 in each domain"  # so many patients have some in every part
    if len(patients) < 2 or not (keys["train"]["a"] and keys["train"]["b"]):
        counts = (f"{sum(domain in has for has in patients.values())} in domain {domain}" for domain in DOMAINS)
        people = "1 patient" if len(patients) == 1 else f"{len(patients)} patients"
        raise DatasetError(
            f"Found {people} ({', '.join(counts)}), too few to split: a patient is never in two parts. Training needs "
            f"2 patients, one in each domain; validation and test as well need {enough}. Add patients, "
            "or, where scans of several people have one Patient ID or folder, tell them apart there."
        )
    if empty := [part for part in reversed(HELD_OUT) if not all(keys[part].values())]:
        wanted = f"that needs {enough}. Add patients, or judge by eye."
        logger.warning("Too few patients to hold any out for %s: %s", " and ".join(empty), wanted)
    return Split.from_keys(scans, keys)


def fewer_training_patients(split: Split, count: int | None, seed: int = 0) -> Split:
    """The split with only some of its training patients, for an experiment on the size of the training set.

    With one seed, a smaller number draws a part of what a larger number draws.

    Args:
        split: Split of all patients.
        count: Training patients of each domain; None for all.
        seed: Seed of the drawing.

    Raises:
        DatasetError: For a domain with fewer training patients.
    """
    if count is None:
        return split
    chosen = []
    for number, domain in enumerate(DOMAINS):
        scans: tuple[Scan, ...] = getattr(split.train, domain)
        patients = list(dict.fromkeys(scan.patient for scan in scans))
        if len(patients) < count:
            raise DatasetError(
                f"data.training_patients={count} asks for more than the {len(patients)} training patients of domain "
                f"{domain}; lower it, or add patients."
            )
        order = np.random.default_rng((seed, number)).permutation(len(patients))
        drawn = {patients[i] for i in order[:count]}
        chosen.append(tuple(scan for scan in scans if scan.patient in drawn))
    return Split(Part(*chosen), split.validation, split.test)


def _tested(fold: str, patients: dict[str, set[str]], paired: bool, centres: Mapping[str, str]) -> set[str]:
    """The patients of a fold: those of each domain and centre are dealt one after the other to the parts."""
    number, count = fold_numbers(fold)
    able = [patient for patient, has in patients.items() if len(has) == 2 or not paired]
    fewest = len(able) if paired else min(sum(domain in patients[patient] for patient in able) for domain in DOMAINS)
    if fewest < count:
        with_what = "patients with both scans" if paired else "patients in each domain"
        raise DatasetError(
            f"--fold {fold} divides the {with_what} into {count} parts, and there are {fewest}. Take fewer parts, or "
            "add patients."
        )
    dealt = sorted(able, key=lambda patient: (-len(patients[patient]), sorted(patients[patient]), centres[patient]))
    return set(dealt[number - 1 :: count])


def _unpaired_keys(patients: dict[str, set[str]], tested: set[str] | None) -> dict[str, PartKeys]:
    """Fills test and validation up to their size in each domain, patients that have both domains first.

    Args:
        patients: The domains of each patient, in random order.
        tested: The patients of the test part, of a fold; None: as many as of the validation part.
    """
    sizes: dict[str, int] = {}
    for domain in DOMAINS:
        count = sum(domain in has for has in patients.values())
        sizes[domain] = max(1, round(HELD_OUT_SHARE * count)) if count >= 3 else 0
    keys: dict[str, PartKeys] = {part: {"a": [], "b": []} for part in ("train", *HELD_OUT)}
    for patient in sorted(patients, key=lambda patient: -len(patients[patient])):
        has = patients[patient]
        fits = (
            part
            for part in (HELD_OUT if tested is None else ("validation",))
            if all(len(keys[part][domain]) < sizes[domain] for domain in DOMAINS if domain in has)
        )
        part = "test" if tested and patient in tested else next(fits, "train")
        for own in has:
            keys[part][own].append(patient)
    return keys


def _paired_keys(patients: dict[str, set[str]], tested: set[str] | None) -> dict[str, PartKeys]:
    """Holds pairs out as far as enough patients are left to train on, then gives each training patient one domain.

    Args:
        patients: The domains of each patient, in random order.
        tested: The patients of the test part, of a fold; None: as many as of the validation part.
    """
    keys: dict[str, PartKeys] = {part: {"a": [], "b": []} for part in ("train", *HELD_OUT)}
    pairs = [patient for patient, has in patients.items() if len(has) == 2]
    for patient, has in patients.items():
        if len(has) == 1:
            keys["train"][next(iter(has))].append(patient)
    needed = sum(not keys["train"][domain] for domain in DOMAINS)
    size = max(1, round(HELD_OUT_SHARE * len(pairs)))
    for part in HELD_OUT:
        if part == "test" and tested is not None:
            chosen = [patient for patient in pairs if patient in tested]
        else:
            chosen = pairs[len(pairs) - max(0, min(size, len(pairs) - needed)) :]
        pairs = [patient for patient in pairs if patient not in chosen]
        keys[part] = {"a": chosen, "b": chosen}
    for patient in pairs:
        fewest = min(DOMAINS, key=lambda domain: len(keys["train"][domain]))
        keys["train"][fewest].append(patient)
    return keys
