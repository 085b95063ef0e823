"""The phantom datasets whose scans each have a plane, a pose and a grid of their own."""

import numpy as np
import pytest

from kerasgan import datasets
from kerasgan.datasets import _phantom, phantom_abdomen, phantom_pelvis
from kerasgan.errors import DatasetError
from kerasgan.phantom.abdomen import ABDOMEN
from kerasgan.phantom.pelvis import PELVIS
from kerasgan.scans.geometry import orientation, oriented

ANATOMIES = {phantom_pelvis: PELVIS, phantom_abdomen: ABDOMEN}


@pytest.fixture(scope="module", params=ANATOMIES, ids=lambda module: module.CARD.name)
def module(request):
    return request.param


@pytest.fixture(scope="module")
def root(module, phantom_folder):
    return phantom_folder(ANATOMIES[module]).parent


@pytest.fixture(scope="module")
def split(module, root):
    card, split = datasets.load(module.CARD.name, root)
    assert card == module.CARD
    return split


def test_pelves_go_from_mr_to_ct_and_abdomens_from_ct_to_mr(module, split):
    expected = ("MR", "CT") if module is phantom_pelvis else ("CT", "MR")
    assert module.CARD.modalities == expected
    assert (split.train.a[0].modality, split.train.b[0].modality) == expected
    assert (split.test.a[0].domain, split.test.b[0].domain) == ("a", "b")


def test_the_split_is_that_of_the_generator_whatever_the_seed(module, root, split):
    assert [len(part.patients()) for part in (split.train, split.validation, split.test)] == [2, 1, 1]
    assert split.train.pairs() == []
    assert datasets.load(module.CARD.name, root, seed=7)[1].keys() == split.keys()


def test_only_the_mr_of_the_pelvis_is_coronal(module, split):
    planes = [orientation(scan.load()) for scan in (split.train.a[0], split.train.b[0])]
    assert planes == (["LIP", "LPS"] if module is phantom_pelvis else ["LPS", "LPS"])


def test_a_pair_is_the_same_voxels_once_it_is_axial(split):
    [(first, second)] = split.test.pairs()
    one, other = first.load(), second.load()
    assert oriented(one).same_grid(oriented(other))
    labels = [oriented(scan.load().with_array(scan.load_labels(like=scan.load()))).array for scan in (first, second)]
    np.testing.assert_array_equal(*labels)
    assert len(np.unique(labels[0])) >= 6


def test_training_scans_have_labels_but_no_mask(split):
    for scan in (*split.train.a, *split.train.b):
        assert scan.mask is None
        assert scan.load_labels(like=scan.load()).max() == 7


def test_prepare_writes_this_anatomy(module, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(_phantom, "write_dataset", lambda root, anatomy: asked.append((root, anatomy)))
    module.prepare(tmp_path)
    assert asked == [(tmp_path, ANATOMIES[module])]


def test_scan_without_prepare_says_what_to_run(module, tmp_path):
    with pytest.raises(DatasetError, match=rf"no phantom in .*v\d+; run `kerasgan train --dataset {module.CARD.name} "):
        module.scan(tmp_path)
