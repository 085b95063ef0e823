"""Preparing a dataset for training."""

import shutil

import pytest
from tiny import request, write_head, write_heads

from kerasgan.errors import DatasetError, KerasganError
from kerasgan.training.data import prepare_data
from kerasgan.training.train import train


def test_validation_pairs_lie_on_one_grid(tmp_path):
    heads = write_heads(tmp_path / "heads", count=16)
    write_head(tmp_path / "smaller", seed=0, shape=(4, 36, 32))
    for folder in heads.iterdir():
        shutil.copy(tmp_path / "smaller" / "ct.nii.gz", folder / "ct.nii.gz")
    with pytest.raises(DatasetError, match=r"^Patient p\w+: .* grids \(4, 40, 32\) and \(4, 36, 32\)\. Register"):
        prepare_data(request(heads), request(heads).build_recipe(), tmp_path / "cache")


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
