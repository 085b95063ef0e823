import itertools
import random
from dataclasses import replace
from pathlib import Path

import pytest

from kerasgan.datasets import DOMAINS, Part, Scan, Split, fewer_training_patients, split_by_patient
from kerasgan.errors import DatasetError

MODALITY = {"a": "MR", "b": "CT"}


def scans_of(both=0, only_a=0, only_b=0):
    domains = ["ab"] * both + ["a"] * only_a + ["b"] * only_b
    return [
        Scan(f"p{number:03}", domain, MODALITY[domain], (Path(f"{number}/{domain}.nii"),))
        for number, has in enumerate(domains)
        for domain in has
    ]


def counts(split):
    return {part: (len(keys["a"]), len(keys["b"])) for part, keys in split.keys().items()}


def assert_disjoint(split):
    parts = [split.train.patients(), split.validation.patients(), split.test.patients()]
    assert all(not first & second for first, second in itertools.combinations(parts, 2))


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("sizes", [(6, 0, 0), (0, 3, 3), (2, 2, 2), (5, 1, 0), (10, 20, 30), (50, 0, 0), (4, 0, 9)])
def test_no_patient_on_two_sides_and_none_lost(paired, seed, sizes):
    scans = scans_of(*sizes)
    split = split_by_patient(scans, paired, seed)
    assert_disjoint(split)
    assert split.train.a and split.train.b
    parts = (split.train, split.validation, split.test)
    assert set().union(*(part.patients() for part in parts)) == {scan.patient for scan in scans}


@pytest.mark.parametrize("seed", range(5))
def test_paired_training_sees_no_pair_and_held_out_patients_have_both(seed):
    split = split_by_patient(scans_of(20, 3, 5), paired=True, seed=seed)
    assert split.train.pairs() == []
    for part in (split.validation, split.test):
        assert len(part.pairs()) == len(part.a) == len(part.b) == 2
    assert counts(split)["train"] == (12, 12)  # 3 + 5 that have one domain only, and the 16 other pairs made even


def test_unpaired_shares():
    split = split_by_patient(scans_of(0, 100, 50), paired=False, seed=1)
    assert counts(split) == {"train": (80, 40), "validation": (10, 5), "test": (10, 5)}


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        (2, {"train": (1, 1), "validation": (0, 0), "test": (0, 0)}),
        (3, {"train": (1, 1), "validation": (0, 0), "test": (1, 1)}),
        (4, {"train": (1, 1), "validation": (1, 1), "test": (1, 1)}),
    ],
)
def test_scarce_pairs_go_to_training_then_test_then_validation(pairs, expected):
    assert counts(split_by_patient(scans_of(pairs), paired=True)) == expected


@pytest.mark.parametrize("both", range(4))
@pytest.mark.parametrize("seed", range(4))
def test_three_patients_a_domain_fill_every_part(both, seed):
    split = split_by_patient(scans_of(both, 3 - both, 3 - both), paired=False, seed=seed)
    assert counts(split) == {"train": (1, 1), "validation": (1, 1), "test": (1, 1)}


def test_independent_of_the_order_of_files():
    scans = scans_of(10, 5, 5)
    shuffled = random.Random(3).sample(scans, len(scans))
    for paired in (False, True):
        assert split_by_patient(scans, paired, 7) == split_by_patient(shuffled, paired, 7)


def test_seed_decides():
    scans = scans_of(30)
    assert split_by_patient(scans, True, 0) == split_by_patient(scans, True, 0)
    assert split_by_patient(scans, True, 0).keys() != split_by_patient(scans, True, 1).keys()


@pytest.mark.parametrize("paired", [False, True])
def test_one_patient_is_too_few(paired):
    with pytest.raises(
        DatasetError, match=r"Found 1 patient \(1 in domain a, 1 in domain b\).*Training needs 2 patients"
    ):
        split_by_patient(scans_of(1), paired)


def test_one_domain_is_too_few():
    with pytest.raises(DatasetError, match=r"Found 4 patients \(4 in domain a, 0 in domain b\).*one in each domain"):
        split_by_patient(scans_of(0, 4, 0), paired=False)


def test_split_refuses_a_patient_in_two_parts():
    a, b = scans_of(1)
    with pytest.raises(DatasetError, match="in more than one part of the split: 1; put each into one part only"):
        Split(Part((a,), (b,)), Part(), Part((a,), ()))


def test_keys_bring_the_split_back():
    scans = scans_of(10, 5, 5)
    split = split_by_patient(scans, False, 2)
    assert Split.from_keys(reversed(scans), split.keys()) == split


def test_pairs_match_several_scans_of_a_patient_in_order():
    first, second, other = (Scan("p1", "a", "MR", (Path(f"{name}.nii"),)) for name in "xyz")
    ct = Scan("p1", "b", "CT", (Path("c.nii"),))
    assert Part((first, second, other), (ct,)).pairs() == [(first, ct)]


@pytest.mark.parametrize("seed", range(5))
def test_fewer_training_patients_are_a_part_of_more_and_change_nothing_else(seed):
    split = split_by_patient(scans_of(20, 3, 5), paired=True)
    few, more = (fewer_training_patients(split, count, seed) for count in (3, 7))
    assert counts(few) == {"train": (3, 3), "validation": (2, 2), "test": (2, 2)}
    for domain in "ab":
        small, large, whole = (set(part.keys()["train"][domain]) for part in (few, more, split))
        assert small < large < whole
    assert few.keys()["test"] == split.keys()["test"]


def test_the_seed_draws_other_training_patients_and_none_leaves_all():
    split = split_by_patient(scans_of(30), paired=True)
    drawn = {tuple(fewer_training_patients(split, 3, seed).keys()["train"]["a"]) for seed in range(5)}
    assert len(drawn) > 1
    assert fewer_training_patients(split, None) is split


def test_more_training_patients_than_there_are():
    split = split_by_patient(scans_of(0, 5, 9), paired=False)
    with pytest.raises(
        DatasetError, match=r"training_patients=4 asks for more than the 3 training patients of domain a"
    ):
        fewer_training_patients(split, 4)


@pytest.mark.parametrize(
    ("sizes", "paired", "parts"),
    [
        ((0, 1, 1), False, "validation and test: that needs 3 in each domain"),
        ((0, 9, 2), False, "validation and test: that needs 3 in each domain"),
        ((3, 0, 0), True, "validation: that needs 4 with both"),
    ],
)
def test_too_few_patients_to_hold_any_out_are_told(caplog, sizes, paired, parts):
    split_by_patient(scans_of(*sizes), paired)
    (record,) = caplog.records
    assert record.getMessage() == f"Too few patients to hold any out for {parts}. Add patients, or judge by eye."


@pytest.mark.parametrize(("sizes", "paired"), [((0, 3, 3), False), ((4, 0, 0), True)])
def test_patients_that_suffice_for_every_part(caplog, sizes, paired):
    split_by_patient(scans_of(*sizes), paired)
    assert not caplog.records


def test_half_of_the_validation_pairs_of_each_centre_are_reported_where_there_is_no_test():
    scans = [replace(scan, centre="AAAABBBBB"[int(scan.patient[1:])]) for scan in scans_of(both=7, only_a=2)]
    people = {domain: [f"p{number:03}" for number in range(8)] for domain in DOMAINS}
    whole = Split.from_keys(scans, {"train": {"a": ["p008"]}, "validation": people})
    split = whole.with_test()
    assert split.train == whole.train
    assert split.test.keys() == {domain: ["p001", "p003", "p005"] for domain in DOMAINS}  # of A: 0 to 3, of B: 4 to 6
    # One of them has no CT, so it can be no test patient.
    chooses = ["p000", "p002", "p004", "p006"]
    assert split.validation.keys() == {"a": [*chooses, "p007"], "b": chooses}
    assert split.with_test() == split
    assert whole.under(b"secret").with_test().test != split.under(b"secret").test  # so it comes before the secret
    one = Split.from_keys(scans, {"validation": {domain: ["p000"] for domain in DOMAINS}})
    assert one.with_test() == one


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize(("sizes", "count"), [((20, 0, 0), 5), ((23, 4, 9), 5), ((6, 0, 0), 3), ((4, 2, 2), 2)])
def test_folds_share_no_patient_and_together_test_all_that_can_be(paired, sizes, count):
    scans = scans_of(*sizes)
    splits = [split_by_patient(scans, paired, 3, f"{number}/{count}") for number in range(1, count + 1)]
    tested = [split.test.patients() for split in splits]
    assert not any(first & second for first, second in itertools.combinations(tested, 2))
    both = sizes[0]
    able = {scan.patient for scan in (scans[: 2 * both] if paired else scans)}
    assert set().union(*tested) == able
    assert max(map(len, tested)) - min(map(len, tested)) <= 1
    for split in splits:
        assert_disjoint(split)
        assert split.train.a and split.train.b and split.validation.a and split.validation.b
        assert len(split.train.pairs()) == 0 or not paired
        parts = (split.train, split.validation, split.test)
        assert set().union(*(part.patients() for part in parts)) == {scan.patient for scan in scans}


def test_a_fold_is_the_same_whatever_the_order_of_the_files_and_has_its_share_of_each_centre():
    scans = [replace(scan, centre="AB"[int(scan.patient[1:]) % 2]) for scan in scans_of(20)]
    wanted = split_by_patient(scans, True, 1, "2/5")
    assert split_by_patient(random.Random(0).sample(scans, len(scans)), True, 1, "2/5") == wanted
    assert split_by_patient(scans, True, 2, "2/5") != wanted
    assert sorted(scan.centre for scan in wanted.test.a) == ["A", "A", "B", "B"]


@pytest.mark.parametrize(("paired", "told"), [(True, "patients with both scans"), (False, "patients in each domain")])
def test_more_folds_than_patients_are_refused(paired, told):
    with pytest.raises(DatasetError, match=rf"^--fold 1/7 divides the {told} into 7 parts, and there are 6\. Take few"):
        split_by_patient(scans_of(6, 4, 0), paired, 0, "1/7")
