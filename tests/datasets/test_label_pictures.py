"""Stacks of label pictures on the grid of a scan that had to be resampled, and pictures that do not fit."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from kerasgan.datasets import Scan, chaos, folder, labelled_classes
from kerasgan.datasets._label_pictures import read_label_pictures
from kerasgan.errors import DatasetError
from kerasgan.scans.volume import SourceSlice, Volume

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def stack(folder, origins, shape=(4, 5), spacing=(2.0, 2.0)):
    """Picture number `i` is full of `i + 1`; returns the pictures, the files and the acquired slices."""
    files = [folder / f"{index}.dcm" for index in range(len(origins))]
    pictures = [folder / f"{index}.png" for index in range(len(origins))]
    for index, path in enumerate(pictures):
        cv2.imwrite(str(path), np.full(shape, index + 1, np.uint8))
    slices = tuple(
        SourceSlice(file, 0, origin, AXIAL, spacing, shape) for file, origin in zip(files, origins, strict=True)
    )
    return pictures, files, slices


def regular(slices, shape=None):
    shape = shape or (len(slices), *slices[0].shape)
    return Volume(np.zeros(shape), (2.0, 2.0, 3.0), slices[0].origin_mm, source=slices)


def test_uneven_gaps_take_the_nearest_slice(tmp_path):
    pictures, files, slices = stack(tmp_path, [(0, 0, z) for z in (0.0, 3.0, 9.5, 12.0)])
    labels = read_label_pictures(pictures, files, regular(slices, (5, 4, 5)))  # at 0, 3, 6, 9 and 12 mm
    assert labels[:, 0, 0].tolist() == [1, 2, 2, 3, 4]
    assert labels.dtype == np.int32


def test_displaced_slices_take_the_nearest_pixels(tmp_path):
    """As under gantry tilt: the second slice lies 4 mm, that is 2 pixels, further down."""
    pictures, files, slices = stack(tmp_path, [(0, 0, 0), (0, 4.2, 3)])
    labels = read_label_pictures(pictures, files, regular(slices, (2, 7, 5)))
    assert labels[:, :, 0].tolist() == [[1, 1, 1, 1, 0, 0, 0], [0, 0, 2, 2, 2, 2, 0]]


def test_a_slice_that_could_not_be_read_is_filled_from_its_neighbour(tmp_path):
    pictures, files, slices = stack(tmp_path, [(0, 0, 0), (0, 0, 3), (0, 0, 6.5)])
    volume = Volume(np.zeros((3, 4, 5)), (2.0, 2.0, 3.25), source=(slices[0], slices[2]))
    assert read_label_pictures(pictures, files, volume)[:, 0, 0].tolist() == [1, 1, 3]


def test_another_number_of_pictures(tmp_path):
    pictures, files, slices = stack(tmp_path, [(0, 0, 0), (0, 0, 3)])
    with pytest.raises(DatasetError, match="There are 1 label pictures for 2 slices; each slice needs one"):
        read_label_pictures(pictures[:1], files, regular(slices))


@pytest.mark.parametrize("shape", [(5, 4), (4, 5, 3)])
def test_a_picture_of_another_shape(tmp_path, shape):
    pictures, files, slices = stack(tmp_path, [(0, 0, 0), (0, 0, 3)])
    cv2.imwrite(str(pictures[1]), np.ones(shape, np.uint8))
    text = rf"1\.png has shape \({', '.join(map(str, shape))}\), its slice 1\.dcm has \(4, 5\); it must be grey and of"
    with pytest.raises(DatasetError, match=text):
        read_label_pictures(pictures, files, regular(slices))


@pytest.mark.parametrize(
    ("content", "text"), [(None, "is missing"), (b"", "cannot be decoded"), (b"not a picture", "cannot be decoded")]
)
def test_a_picture_that_is_missing_or_damaged(tmp_path, content, text):
    pictures, files, slices = stack(tmp_path, [(0, 0, 0), (0, 0, 3)])
    pictures[0].unlink()
    if content is not None:
        pictures[0].write_bytes(content)
    with pytest.raises(DatasetError, match=rf"label picture 0\.png {text}; restore it"):
        read_label_pictures(pictures, files, regular(slices))


def test_a_scan_reads_itself_where_it_is_not_handed_over(tmp_path, monkeypatch):
    pictures, files, slices = stack(tmp_path, [(0, 0, 0), (0, 0, 3)])
    monkeypatch.setattr(Scan, "load", lambda self: regular(slices))
    scan = Scan("p0", "a", "CT", tuple(files), labels=tuple(pictures))
    assert scan.load_labels()[:, 0, 0].tolist() == [1, 2]


def test_structures_that_a_domain_lacks():
    with pytest.raises(DatasetError, match=r"chaos has no label 'spleen' in domain a; choose from: liver"):
        chaos.CARD.classes("a", ["liver", "spleen"])
    with pytest.raises(DatasetError, match=r"folder has no label 'liver' in domain b; it has no labels there"):
        folder.CARD.classes("b", ["liver"])


def ct_scan(patient: str, labels: Path | None) -> Scan:
    return Scan(patient, "a", "CT", (Path(f"{patient}.dcm"),), labels=labels)


def test_classes_of_labelled_scans_are_those_of_the_card():
    scans = [ct_scan("p0", Path("p0.nii.gz")), ct_scan("p1", Path("p1.nii.gz"))]
    found = labelled_classes(chaos.CARD, scans, ["liver"])
    assert found[255] == 1 and found.sum() == 1


def test_labels_that_a_recipe_needs_and_a_dataset_lacks():
    scans = [ct_scan("p0", Path("p0.nii.gz")), ct_scan("p1", None), ct_scan("p2", None)]
    text = r"segment liver on CT, but 2 of 3 CT scans of chaos for training have no labels; add them.*segmentation=null"
    with pytest.raises(DatasetError, match=text):
        labelled_classes(chaos.CARD, scans, ["liver"])
    text = r"segment spleen on CT, but chaos has no label 'spleen' in domain a; choose from: liver.*segmentation=null"
    with pytest.raises(DatasetError, match=text):
        labelled_classes(chaos.CARD, scans[:1], ["spleen"])
