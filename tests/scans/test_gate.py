"""The input gate on made-up measurements: its three answers, their reasons, and what a stranger's file may say."""

import json

import numpy as np
import pytest
from pydantic import ValidationError

from kerasgan.scans.gate import DOUBTFUL, FOREIGN, Gate, fit_gate
from kerasgan.scans.measurements import DIRECT, NAMES

MEAN = np.array([16, 19, 30, 57, 44, 35, 36, 25, 44, 60, 7, 18, 50.0])
GROUPS = np.arange(DIRECT) // 5  # 0.9**2 + 0.436**2 = 1
PICTURE = np.repeat(np.linspace(0.8, 0.2, 8), 8)
DEVIATION = np.array([0.9, 1.4, 5, 8, 6, 7, 5, 6, 7, 9, 0.8, 3, 15])


def scans(count, seed=0):
    """Measurements of patients in three groups that go together, such as width and length of a head."""
    rng = np.random.default_rng(seed)
    standard = 0.9 * rng.standard_normal((count, 3))[:, GROUPS] + 0.436 * rng.standard_normal((count, DIRECT))
    pictures = PICTURE + 0.2 * rng.standard_normal((count, 64))
    return np.hstack([MEAN + DEVIATION * standard, pictures])


def patients(count):
    return [f"p{number:03d}" for number in range(count)]


def fitted(scans, patients):
    return fit_gate(list(zip(scans, patients, strict=True)))


@pytest.fixture(scope="module")
def gate():
    return fitted(scans(50), patients(50))


def changed(deviations):
    """The mean scan with some measurements changed by so many standard deviations."""
    scan = np.append(MEAN, scans(1)[0, DIRECT:])
    for name, factor in deviations.items():
        scan[NAMES.index(name)] += factor * DEVIATION[NAMES.index(name)]
    return scan


def test_most_patients_of_the_same_kind_fit_and_none_is_foreign(gate):
    answers = [gate.judge(scan).answer for scan in scans(400, seed=1)]
    assert answers.count("fits") > 0.85 * 400 and answers.count("foreign") == 0


def test_one_measurement_far_away_is_the_reason(gate):
    wide = changed({"width": 27.8, "length": 17.8})
    verdict = gate.judge(wide)
    low, high = (f"{value:.3g}" for value in (min(scans(50)[:, 0]), max(scans(50)[:, 0])))
    assert str(verdict) == f"foreign: body 41 cm wide, training {low} to {high} cm"
    assert gate.judge(changed({"fine_change": 4})).answer == "doubtful"
    assert gate.judge(changed({"fine_change": 4})).reason.startswith("brightness changes by 10.2 % over 2 mm, training")
    assert str(gate.judge(changed({}))) == "fits"


def test_an_unusual_combination_of_usual_values_is_not_like_the_training_scans(gate):
    signs = dict.fromkeys(("width", "length", "dark_quarter", "bright_quarter"), 1.6)  # which go together
    assert gate.judge(changed(signs)).answer == "fits"
    verdict = gate.judge(changed(signs | {"length": -1.6, "bright_quarter": -1.6}))
    assert verdict.answer == "doubtful" and verdict.reason.startswith("an unusual combination, above all ")


def test_front_for_back_is_seen_and_left_for_right_is_not(gate):
    scan = changed({})
    turned = np.append(scan[:DIRECT], scan[DIRECT:].reshape(8, 8)[::-1])
    assert gate.judge(turned).reason.startswith("front and back as in the training scans to -")
    mirrored = np.append(scan[:DIRECT], scan[DIRECT:].reshape(8, 8)[:, ::-1])
    assert gate.judge(mirrored).answer == "fits"


def test_the_numbers_of_the_fit(gate):
    values = scans(50)[:, :DIRECT]
    for one, column in zip(gate.ranges, values.T, strict=False):
        found = one.mean, one.deviation, one.low, one.high
        np.testing.assert_allclose(found, [column.mean(), column.std(ddof=1), column.min(), column.max()], rtol=1e-5)
    np.testing.assert_allclose(gate.picture, scans(50)[:, DIRECT:].mean(axis=0), rtol=1e-5)
    # What whitening undoes are the correlations of the scans, drawn towards none.
    whitening = np.array(gate.whitening)
    shrunk = np.linalg.inv(whitening.T @ whitening)[:DIRECT, :DIRECT]
    sample = np.corrcoef(values.T) * 49 / 50
    share = 1 - shrunk[0, 1] / sample[0, 1]
    assert 0.01 < share < 0.6
    np.fill_diagonal(sample, 1)
    np.testing.assert_allclose(shrunk, share * np.eye(DIRECT) + (1 - share) * sample, atol=1e-4)


def test_held_out_patients_are_typical_at_1():
    """Half of the patients who were held out deviate less than 1, by each of the two ways."""
    gate = fitted(scans(300), patients(300))
    found = np.array([gate.judge(scan).deviation for scan in scans(300, seed=1)])
    assert np.median(found) == pytest.approx(1.05, abs=0.1)  # the larger of two, each of which has the median 1
    assert (found > DOUBTFUL).mean() < 0.1 and found.max() < FOREIGN


def test_all_scans_of_a_patient_are_held_out_together():
    """With a copy of each scan, that of another name would make every scan look near to the training scans."""
    twice = np.vstack([scans(12), scans(12)])
    together, apart = fitted(twice, patients(12) * 2), fitted(twice, patients(24))
    assert together.patients == 12 and together.typical_distance > 1.3 * apart.typical_distance


@pytest.mark.parametrize("count", [1, 9])
def test_too_few_patients_give_no_gate(count):
    assert fitted(np.repeat(scans(count), 3, axis=0), np.repeat(patients(count), 3)) is None


def test_ten_patients_give_a_careful_gate():
    gate = fitted(scans(10), patients(10))
    answers = [gate.judge(scan).answer for scan in scans(200, seed=1)]
    assert answers.count("foreign") <= 2
    assert gate.judge(changed({"width": 27.8, "length": 17.8})).answer == "foreign"


def test_scans_that_are_all_the_same_do_not_make_each_other_foreign():
    same = np.repeat(scans(1), 10, axis=0)
    gate = fitted(same, patients(10))
    assert gate.judge(same[0] + np.append(np.full(DIRECT, 0.01), np.zeros(64))).answer == "fits"


def test_a_gate_survives_its_json(gate):
    text = gate.model_dump_json()
    assert Gate.model_validate_json(text, strict=True) == gate and len(text) < 4000


DAMAGE = {
    "unknown measurement": lambda gate: gate["ranges"][3].update(name="weight"),
    "missing measurement": lambda gate: gate["ranges"].pop(),
    "short row": lambda gate: gate["whitening"][2].pop(),
    "missing row": lambda gate: gate["whitening"].pop(),
    "no deviation": lambda gate: gate["ranges"][0].update(deviation=0),
    "not a number": lambda gate: gate["ranges"][0].update(mean=float("nan")),
    "beyond bounds": lambda gate: gate["whitening"][0].__setitem__(0, 1e300),
    "large picture": lambda gate: gate["picture"].extend([0.0] * 10_000),
    "no patients": lambda gate: gate.update(patients=0),
    "never typical": lambda gate: gate.update(typical_distance=-1),
    "unknown field": lambda gate: gate.update(code="print()"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_strangers_gate_is_refused(gate, damage):
    content = json.loads(gate.model_dump_json())
    DAMAGE[damage](content)
    with pytest.raises(ValidationError):
        Gate.model_validate(content)
