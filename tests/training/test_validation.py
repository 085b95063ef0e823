"""Validation: the scores of a run, and which generators they keep as the best."""

from dataclasses import replace
from itertools import repeat

import numpy as np
import pytest
from tiny import request, table, write_heads

from kerasgan import datasets
from kerasgan.training.callbacks import Validation
from kerasgan.training.choice import UnpairedScore
from kerasgan.training.data import prepare_data
from kerasgan.training.train import train

TERMS = ("gradient_correlation", "mutual_information", "intensity_distance", "gradient_distance", "composite")
COLUMNS = [f"{term}_{direction}" for direction in ("ab", "ba") for term in TERMS]
SCORE = UnpairedScore.__call__
EVERY_SECOND_STEP = ("schedule.steps=6", "schedule.checkpoint_every=2", "schedule.preview_every=2")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_heads(tmp_path_factory.mktemp("heads"))


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    return train(request(data), tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture
def without_pairs(monkeypatch):
    """Lets a paired dataset's card say that its scans lie on no common grid."""
    load = datasets.load

    def unpaired(*args, **options):
        card, split = load(*args, **options)
        return replace(card, paired=False), split

    monkeypatch.setattr("kerasgan.datasets.load", unpaired)


def scripted(monkeypatch, ab: list[float], ba: list[float] | None = None) -> None:
    """Gives the validation at step 2, 4, ... these scores of a to b, and of b to a; None: always the same."""
    given = {"ab": iter(ab), "ba": iter(ba) if ba else repeat(0.0)}

    def call(self, images):
        return {**SCORE(self, images), "composite": next(given[self.direction])}

    def validation(self, *arguments):
        init(self, *arguments)
        for direction, score in self.unpaired.items():
            score.direction = direction

    init = Validation.__init__
    monkeypatch.setattr(Validation, "__init__", validation)
    monkeypatch.setattr(UnpairedScore, "__call__", call)


def assert_best_is_that_of(run, direction, step):
    best = run.generator(direction, "best").get_weights()
    with np.load(run.path / f"checkpoints/step-{step:09d}.npz") as file:
        kept = [file[name] for name in sorted(file.files) if name.startswith(f"generator_{direction}/")]
    for found, expected in zip(best, kept, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_validation_has_the_error_of_pairs_and_the_terms_that_need_none(run):
    rows = table(run.path / "validation.csv")
    assert list(rows[0]) == ["step", "mae_ab", "mae_ba", *COLUMNS]
    assert [row["step"] for row in rows] == [4, 8]
    for row in rows:
        assert row["composite_ab"] == pytest.approx(row["intensity_distance_ab"] + row["gradient_distance_ab"])


def test_the_error_of_pairs_is_that_of_physical_values_in_their_bodies(data, run, tmp_path):
    prepared = prepare_data(request(data), request(data).build_recipe(), tmp_path / "cache")
    for direction in ("ab", "ba"):
        generator, errors = run.generator(direction, "last"), []
        for pair in prepared.pairs:
            source, target = pair if direction == "ab" else pair[::-1]
            synthetic = generator.predict_on_batch(source.slices())
            values = [run.map(direction[1]).inverse(images) for images in (synthetic, target.slices())]
            errors.append(np.abs(values[0] - values[1])[pair[0].mask & pair[1].mask])
        expected = np.concatenate(errors).mean()
        assert table(run.path / "validation.csv")[-1][f"mae_{direction}"] == pytest.approx(expected, rel=1e-4)


def test_with_pairs_the_best_generator_is_that_of_the_least_error(data, tmp_path, monkeypatch):
    errors = iter([3, 3, 1, 2, 2, 1])  # of ab and ba at each validation
    monkeypatch.setattr("kerasgan.training.callbacks.masked_error", lambda *_: next(errors))
    run = train(request(data, *EVERY_SECOND_STEP), tmp_path / "run")
    for direction, step in (("ab", 4), ("ba", 6)):
        assert_best_is_that_of(run, direction, step)


def test_without_pairs_the_newest_generator_is_kept_whose_composite_is_at_most_twice_the_least(
    data, tmp_path, without_pairs, monkeypatch
):
    scripted(monkeypatch, ab=[3, 1, 2.1], ba=[3, 1, 2])
    run = train(request(data, *EVERY_SECOND_STEP), tmp_path / "run")
    assert list(table(run.path / "validation.csv")[0]) == ["step", *COLUMNS]
    for direction, step in (("ab", 4), ("ba", 6)):
        assert_best_is_that_of(run, direction, step)


def test_pairs_are_divided_so_that_no_patient_is_on_both_sides(data, tmp_path):
    prepared = prepare_data(request(data), request(data).build_recipe(), tmp_path)
    pair = prepared.pairs[0]
    a, b = replace(prepared, pairs=[pair, (pair[0], prepared.train[1][0])]).samples()
    np.testing.assert_array_equal(a.images, pair[0].slices())
    np.testing.assert_array_equal(b.images, prepared.train[1][0].slices())
    one, other = replace(prepared, pairs=[pair]).samples()
    np.testing.assert_array_equal(one.images, a.images)
    np.testing.assert_array_equal(other.images, pair[1].slices())


def test_without_pairs_validation_patients_are_judged_and_else_training_patients(data, tmp_path, without_pairs):
    prepared = prepare_data(request(data), request(data).build_recipe(), tmp_path)
    assert not prepared.pairs and all(prepared.unpaired)
    without_validation = replace(prepared, unpaired=([], []))
    for samples, scans in (
        (prepared.samples(), prepared.unpaired),
        (without_validation.samples(), prepared.train),
    ):
        for sample, expected in zip(samples, scans, strict=True):
            np.testing.assert_array_equal(sample.images, np.concatenate([scan.slices() for scan in expected]))
            np.testing.assert_array_equal(sample.mask, np.concatenate([scan.mask for scan in expected]))
    assert prepared.fingerprint != without_validation.fingerprint
    assert prepared.fingerprint != replace(prepared, unpaired=(prepared.unpaired[0], [])).fingerprint
