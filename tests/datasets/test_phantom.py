import numpy as np
import pytest

from kerasgan import datasets
from kerasgan.datasets import _phantom, phantom
from kerasgan.errors import DatasetError
from kerasgan.phantom import HEAD, Tissue, read_split


@pytest.fixture(scope="module")
def root(phantom_folder):
    return phantom_folder(HEAD).parent


@pytest.fixture(scope="module")
def split(root):
    card, split = datasets.load("phantom", root)
    assert card == phantom.CARD
    return split


def test_the_split_is_that_of_the_generator_whatever_the_seed(root, split):
    assert [len(part.patients()) for part in (split.train, split.validation, split.test)] == [4, 1, 1]
    assert split.train.pairs() == []
    assert datasets.load("phantom", root, seed=7)[1].keys() == split.keys()


def test_pairs_lie_on_one_grid_with_mask_and_labels(split):
    [(mr, ct)] = split.test.pairs()
    first, second = mr.load(), ct.load()
    assert first.same_grid(second)
    assert (first.modality, second.modality) == ("MR", "CT")
    mask, labels = mr.load_mask(like=first), ct.load_labels(like=second)
    np.testing.assert_array_equal(mask, labels != Tissue.AIR)
    assert second.array[~mask].mean() < -950
    assert second.array[labels == Tissue.WHITE_MATTER].mean() == pytest.approx(30, abs=40)


def test_structures_are_what_they_are_called(split):
    [(mr, ct)] = split.test.pairs()
    volume = ct.load()
    for domain, scan in (("a", mr), ("b", ct)):
        classes = phantom.CARD.classes(domain, ["brain", "bone"])[scan.load_labels()]
        assert volume.array[classes == 1].mean() == pytest.approx(35, abs=40)
        assert volume.array[classes == 2].mean() > 300


def test_training_scans_go_without_mask_like_real_data(split):
    assert all(scan.mask is None and scan.labels is None for scan in (*split.train.a, *split.train.b))


def test_no_subject_appears_in_a_patient_key(split):
    assert all("900_S" not in patient for patient in split.train.patients())


def test_prepare_writes_the_default_size_once(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(_phantom, "write_dataset", lambda root, anatomy: asked.append((root, anatomy)))
    phantom.prepare(tmp_path)
    assert asked == [(tmp_path, HEAD)]


def test_scan_without_prepare_says_what_to_run(tmp_path):
    with pytest.raises(DatasetError, match=r"no phantom in .*v\d+; run `kerasgan train --dataset phantom --quick`"):
        phantom.scan(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", '{"size": {}}', '{"parts": {"train": {"MR": [1]}}, "size": {}}'])
def test_a_damaged_split_is_named(tmp_path, content):
    (tmp_path / "split.json").write_text(content)
    with pytest.raises(DatasetError, match=r"split\.json is damaged: .*Delete .*; the next training writes it again"):
        read_split(tmp_path)
