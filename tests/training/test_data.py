"""Preparing a dataset for training."""

import shutil

import pytest
from tiny import request, write_head, write_heads

from kerasgan.errors import DatasetError
from kerasgan.training.data import prepare_data


def test_validation_pairs_lie_on_one_grid(tmp_path):
    heads = write_heads(tmp_path / "heads", count=16)
    write_head(tmp_path / "smaller", seed=0, shape=(4, 36, 32))
    for folder in heads.iterdir():
        shutil.copy(tmp_path / "smaller" / "ct.nii.gz", folder / "ct.nii.gz")
    with pytest.raises(DatasetError, match=r"^Patient p\w+: .* grids \(4, 40, 32\) and \(4, 36, 32\)\. Register"):
        prepare_data(request(heads), request(heads).build_recipe(), tmp_path / "cache")
