"""What a training says that it needs: measured in steps, counted on disk, and without a trace."""

import logging
import re
import shutil

import numpy as np
import pytest
import SimpleITK as sitk
from tiny import assert_same_checkpoint, labelled_request, request, write_heads

from kerasgan.config import Recipe
from kerasgan.datasets import Scan
from kerasgan.training import needs
from kerasgan.training.data import split_patients
from kerasgan.training.needs import FirstSteps, Needs, disk_of_slices
from kerasgan.training.probe import probe
from kerasgan.training.train import train

SAID = re.compile(
    r"needs about 1 min \((\d) steps of [\d.]+ s\) beside 2 validations, "
    r"([\d.]+ [MG]B) of memory and (\d+) MB of disk\."
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_heads(tmp_path_factory.mktemp("heads"))


def test_a_training_says_what_it_needs_and_is_the_same_without(data, tmp_path, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    run = train(request(data), tmp_path / "first" / "run")
    [told] = [message for message in caplog.messages if " of memory" in message]
    steps, _, disk = SAID.search(told).groups()
    assert told.startswith(str(run.path)) and steps == "5"  # after the first three of eight
    taken = sum(path.stat().st_size for path in run.path.parent.rglob("*") if path.is_file())
    assert taken / 1e6 <= float(disk) + 0.5 <= 2 * taken / 1e6 + 1.5  # it is said in whole megabytes
    monkeypatch.setattr(FirstSteps, "on_train_batch_end", lambda *_, **__: None)
    assert_same_checkpoint(train(request(data), tmp_path / "second" / "run").path, run.path)


def test_a_full_disk_is_told_before_the_first_step(data, tmp_path, caplog, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(needs.shutil, "disk_usage", lambda _: usage._replace(free=123_000))
    monkeypatch.setattr(needs, "disk_of_slices", lambda *_: 1 / 0)  # ends it before the first step
    with pytest.raises(ZeroDivisionError):
        train(request(data), tmp_path / "run")
    [told] = [record.message for record in caplog.records if "make room" in record.message]
    assert caplog.records[-1].levelno == logging.WARNING
    assert re.search(r"run will take \d+ MB of disk, and 1 MB are free there; make room\.", told)


def test_a_probe_trains_pairs_of_several_planes(data):
    pairs = ("data.pairs=registered", "data.atlases=2", 'data.planes=["axial", "coronal"]')
    asked = request(data, "losses.cycle_weight=0", "optimizer.average_decay=0.9", *pairs)
    recipe = asked.build_recipe()
    found = probe(recipe, *split_patients(asked, recipe), done=3)
    assert (
        found.steps == 5
        and found.validations == 2
        and found.step_seconds > 0
        and found.gpu_memory is None
        and found.memory > 1e8
    )


def test_a_probe_has_labels_and_counts_epochs_by_the_slices_of_headers(tmp_path):
    asked = labelled_request(write_heads(tmp_path / "heads", 4))("schedule.epochs=3", "data.batch_size=2")
    recipe = asked.build_recipe()
    card, split = split_patients(asked, recipe)
    assert probe(recipe, card, split).steps == 3 * 4 * len(split.train.a) / 2


def test_disk_of_prepared_slices():
    recipe = Recipe(name="mine").with_overrides(["data.size=100"])
    assert disk_of_slices(recipe, (7, 5), 4) == 10_000 * (7 * 3 + 5 * 3)  # 16 bits a pixel, and the body
    assert disk_of_slices(recipe, (7, 5), 4, channels=2) == 10_000 * (7 * 5 + 5 * 3)
    pairs = recipe.with_overrides(["data.pairs=registered", "data.atlases=2"])
    assert disk_of_slices(pairs, (7, 5), 4) == 10_000 * (7 * 3 + 5 * 3 + 4 * 2 * 2)


@pytest.mark.parametrize(
    ("direction", "slices"), [((1, 0, 0, 0, 1, 0, 0, 0, 1), 4), ((1, 0, 0, 0, 0, 1, 0, -1, 0), 40)]
)
def test_axial_slices_by_the_header(tmp_path, direction, slices):
    image = sitk.GetImageFromArray(np.zeros((4, 40, 32), np.int16))
    image.SetDirection([float(value) for value in direction])
    sitk.WriteImage(image, str(tmp_path / "mr.nii.gz"))
    assert Scan("p0", "a", "MR", (tmp_path / "mr.nii.gz",)).axial_slices == slices
    (tmp_path / "mr.nii.gz").write_bytes(b"damaged")
    assert Scan("p0", "a", "MR", (tmp_path / "mr.nii.gz",)).axial_slices == 0


def test_epochs_without_data_have_no_number_of_steps():
    assert str(Needs(0, 0.1234, None, None, 1_500_000)) == "0.12 s a step and 2 MB of disk"


def test_memory_of_a_gpu_stands_before_that_of_the_process():
    needs = Needs(200_000, 0.1, 3_000_000_000, 12_100_000_000, 1_500_000_000)
    assert str(needs) == (
        "about 5 h 33 min (200,000 steps of 0.1 s), 12 GB of GPU memory, 3 GB of memory and 1.5 GB of disk"
    )
