"""Preparing a dataset for training."""

import shutil

import pytest
from tiny import request, write_head, write_heads

from kerasgan import datasets
from kerasgan.datasets import Scan
from kerasgan.errors import DatasetError, KerasganError
from kerasgan.scans.preparation import preparation
from kerasgan.training.cache import build
from kerasgan.training.data import Data, prepare_data
from kerasgan.training.train import train


def test_validation_pairs_lie_on_one_grid(tmp_path):
    heads = write_heads(tmp_path / "heads", count=16)
    write_head(tmp_path / "smaller", seed=0, shape=(4, 36, 32))
    for folder in heads.iterdir():
        shutil.copy(tmp_path / "smaller" / "ct.nii.gz", folder / "ct.nii.gz")
    with pytest.raises(DatasetError, match=r"^Patient p\w+: .* grids: 4 x 40 x 32 .*, and 4 x 36 x 32 .*\. Register"):
        prepare_data(request(heads), request(heads).build_recipe(), tmp_path / "cache")


@pytest.mark.parametrize(("patients_a", "patients_b", "rows"), [(2, 9, 2), (9, 1, 1), (3, 3, 3), (9, 11, 4)])
def test_previews_show_as_many_slices_of_both_domains(tmp_path, patients_a, patients_b, rows):
    """Whatever the number of patients, as each row of the picture has a slice of each domain."""
    write_head(tmp_path / "head", seed=0)
    scans = [Scan("p0", "a", "CT", (tmp_path / "head" / "ct.nii.gz",))]
    settings = preparation(request(tmp_path).build_recipe(), "head", (-1000.0, 1600.0), 256.0)
    (cached,) = build(scans, settings, tmp_path / "cache")
    train_a, train_b = [cached] * patients_a, [cached] * patients_b
    card, none = datasets.synthrad.CARD, datasets.Part()
    data = Data(card, datasets.Split(none, none, none), settings, (train_a, train_b), [], ([], []))
    assert [images.shape for images in data.previews()] == [(rows, 32, 32, 1)] * 2


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("generator.filter=4", r"'resnet' has no option 'filter'\. Did you mean filters"),
        ("losses.cycle.name=absolute_eror", r"'absolute_eror'.* absolute_error"),
    ],
)
def test_misspelt_components_are_refused_before_any_scan_is_looked_for(tmp_path, setting, text):
    with pytest.raises(KerasganError, match=text):
        train(request(tmp_path / "missing", setting), tmp_path / "run")
    assert not list(tmp_path.iterdir())
