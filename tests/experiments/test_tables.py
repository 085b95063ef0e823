"""Claims, patients and repetitions as tables, against SciPy and by hand."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.image import imread
from scipy import stats

from kerasgan.experiments.engine import tables
from kerasgan.experiments.engine.tables import Claim, box_plots, claims_table, patients_table, seeds_table, spread

BEFORE = {"p1": 30.0, "p2": 31.0, "p3": 34.0, "p4": 30.5}
BETTER = {"p1": 28.0, "p2": 30.0, "p3": 31.5, "p4": 29.0}
SAME = {"p1": 30.1, "p2": 30.9, "p3": 34.2, "p4": 30.4}


def test_claims_have_difference_tests_and_outcome():
    claims = [Claim("more patients", BEFORE, BETTER, "lower", -3.95), Claim("GC", BEFORE, SAME, "lower")]
    heading, better, same = claims_table("MAE", claims, 2).rows
    assert heading[0] == "change" and heading[-1] == "outcome"
    p_values = [stats.ttest_rel(list(after.values()), list(BEFORE.values())).pvalue for after in (BETTER, SAME)]
    assert better[1] == "-3.95" and better[2].startswith("-1.75 [-2.")  # (2 + 1 + 2.5 + 1.5) / 4
    assert better[3] == f"{2 * min(p_values):.3f}" and better[-1] == "as published"
    assert same[1] == "lower" and same[3] == f"{max(p_values):.3f}"
    assert same[-1] == "not as published, not significant"  # 0.025 higher


def test_the_way_a_figure_should_go_decides():
    assert Claim("x", BEFORE, BETTER, "higher").outcome(0.01) == "not as published"
    assert Claim("x", BETTER, BEFORE, "higher").outcome(0.2) == "as published, not significant"
    assert Claim("x", BEFORE, BEFORE, "lower").outcome(1.0) == "not as published, not significant"


def test_without_a_word_of_the_paper_the_outcome_is_the_way_it_goes():
    assert Claim("x", BEFORE, BETTER, None).outcome(0.01) == "lower"
    assert Claim("x", BETTER, BEFORE, None).outcome(0.2) == "higher, not significant"
    assert Claim("x", BEFORE, BEFORE, None).outcome(None) == "equal"
    row = claims_table("MAE", [Claim("x", BEFORE, BETTER, None)], 2).rows[1]
    assert row[1] == "-" and row[-1].startswith("lower")


def test_repetitions_that_go_the_way_of_the_mean_are_counted():
    seeds = [(BEFORE, BETTER), (BEFORE, {patient: value + 0.5 for patient, value in BEFORE.items()}), (BEFORE, BETTER)]
    claim = Claim(
        "x", BEFORE, {patient: (2 * BETTER[patient] + BEFORE[patient] + 0.5) / 3 for patient in BEFORE}, "lower"
    )
    assert claims_table("MAE", [replace(claim, repetitions=seeds)], 2).rows[1][-2:] == ["2 of 3", "as published"]
    assert claims_table("MAE", [replace(claim, repetitions=seeds[:1])], 2).rows[1][-2] == ""
    assert claims_table("MAE", [claim], 2).rows[0][-2] == "repetitions"


def test_patients_that_only_one_side_has_are_left_out():
    claim = Claim("x", BEFORE, {"p1": 29.0, "p2": 29.0, "p9": 0.0}, "lower")
    assert claim.difference == pytest.approx(-1.5)
    assert "Mean over 2 patients" in claims_table("MAE", [claim], 1).notes[0]


def test_one_patient_has_no_tests_and_a_note():
    table = claims_table("MAE", [Claim("GC", {"p1": 30.0}, {"p1": 29.0}, "lower")], 1)
    assert list(table.rows[1]) == ["GC", "lower", "-1.0", "", "", "", "", "as published"]
    assert table.notes == [tables.TOO_FEW]


def test_a_claim_without_common_patients_leaves_the_others_their_tests():
    claims = [
        Claim("whole", BEFORE, BETTER, "lower"),
        Claim("none", BEFORE, {}, "lower", -1.0),
        Claim("one", BEFORE, {"p1": 29.0}, None),
        Claim("two", BEFORE, {"p1": 29.0, "p2": 29.5}, "lower"),
    ]
    table = claims_table("MAE", claims, 2)
    whole, none, one, two = table.rows[1:]
    p_values = [
        stats.ttest_rel(list(claim.after.values()), [claim.before[key] for key in claim.after]).pvalue
        for claim in (claims[0], claims[3])
    ]
    assert (whole[3], two[3]) == (f"{2 * min(p_values):.3f}", f"{max(p_values):.3f}")
    assert list(none) == ["none", "-1.00", "-", "", "", "", "", "no patient has both figures"]
    assert list(one) == ["one", "-", "-1.00 (n = 1)", "", "", "", "", "lower"]
    assert two[2].endswith("] (n = 2)") and "(n" not in whole[2]
    assert "Mean over 4 patients" in table.notes[0] and "Holm over the 2 rows" in table.notes[1]


def test_few_patients_come_with_a_caution():
    """Four: of the 16 patterns of signs, two are as extreme as one sign throughout."""
    (note,) = claims_table("MAE", [Claim("x", BEFORE, BETTER, "lower")], 2).notes[3:]
    assert note.startswith("4 patients are few") and note.endswith("p (W) cannot fall below 0.125.")
    many = {f"p{number}": float(number**2) for number in range(10)}
    assert len(claims_table("MAE", [Claim("x", many, dict.fromkeys(many, 0.0), "lower")], 2).notes) == 3


def test_patients_and_spread():
    table = patients_table("MAE", {"plain": BEFORE, "GC": {"p1": 28.0}}, 1)
    assert table.rows[0] == ["patient", "plain", "GC"]
    assert table.rows[2] == ["p2", "31.0", "-"]
    sd = np.std(list(BEFORE.values()), ddof=1)
    assert table.rows[-1] == ["mean ± SD", f"31.4 ± {sd:.1f}", "28.0 (n = 1)"]
    assert spread({}, 2) == "-"


def test_repetitions():
    table = seeds_table("MAE", {"plain": [BEFORE, BETTER]}, 3)
    assert table.rows == [["seed", "plain"], ["0", "31.375"], ["1", "29.625"]]


def test_box_plots_say_in_words_what_they_show(tmp_path):
    path = tmp_path / "boxes.png"
    picture = box_plots({"MAE": {"plain": BEFORE, "GC": BETTER}}, path, "Errors.")
    assert imread(path).ndim == 3
    assert "Methods: 1 plain, 2 GC." in picture.caption
    assert "MAE: plain 31.375 ± 1.797, GC 29.625 ± 1.493" in picture.description
