"""Runs that train a segmentation network and deformed generators with labelled slices."""

import csv

import numpy as np
import pytest
import tensorflow as tf
from tiny import labelled_request, newest_checkpoint, request, write_heads

from kerasgan.errors import DatasetError, RunError
from kerasgan.runs.run import load_run
from kerasgan.training.train import train


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_heads(tmp_path_factory.mktemp("heads"))


@pytest.fixture(scope="module")
def labelled(data):
    return labelled_request(data)


def test_deformation_and_segmentation_leave_plain_generators_and_a_segmenter(labelled, tmp_path):
    run = train(labelled("schedule.steps=2"), tmp_path / "run")
    files = {f"{path.parent.name}/{path.name}" for path in run.path.rglob("*.keras")}
    assert files == {
        *(f"generators/{direction}-{which}.keras" for direction in ("ab", "ba") for which in ("best", "last")),
        *("segmenters/b-best.keras", "segmenters/b-last.keras"),
    }
    with (run.path / "history.csv").open() as file:
        names = set(next(csv.reader(file)))
    assert {"deformed_cycle_a", "deformed_cycle_b", "structure_ab", "segmentation"} <= names
    segmenter = load_run(run.path).segmenter("last")
    assert segmenter(np.zeros((1, 32, 32, 1), "float32")).shape == (1, 32, 32, 3)
    kept = [array for name, array in newest_checkpoint(run.path).items() if name.startswith("segmenter/")]
    for variable, array in zip(segmenter.variables, kept, strict=True):
        np.testing.assert_array_equal(variable, array)
    graph = tf.function(run.generator("ab")).get_concrete_function(tf.TensorSpec((1, 32, 32, 1))).graph
    assert not {operation.type for operation in graph.get_operations()} & {"GatherV2", "GatherNd"}
    for path in (run.path / "segmenters").iterdir():
        path.unlink()
    with pytest.raises(RunError, match=r"no trained segmenter yet; train on with: kerasgan train --resume"):
        run.segmenter()


def test_missing_labels_are_told_before_anything_is_prepared(labelled, data, tmp_path, monkeypatch):
    monkeypatch.setattr("kerasgan.training.cache.prepare", None)
    with pytest.raises(
        DatasetError, match=r"segment liver on MR, but .* has no label 'liver' in domain a; choose from"
    ):
        train(labelled('segmentation.structures=["liver"]'), tmp_path / "run")
    with pytest.raises(DatasetError, match=r"segment bone on MR, but synthrad has no label 'bone'.*segmentation=null"):
        train(request(data, 'segmentation={"structures": ["bone"]}'), tmp_path / "run")
    assert not list(tmp_path.iterdir())
