"""CHAOS: pictures meet their slices by the order of names, whatever the order of positions."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from pydicom.uid import generate_uid

from kerasgan import registry
from kerasgan.datasets import chaos, load, load_scans, patient_key
from kerasgan.errors import DatasetError
from kerasgan.scans.preparation import preparation

SHARED = Path(__file__).parents[3] / "shared" / "data" / "chaos"
FOLDERS = {"CT": ("DICOM_anon", "Ground"), "MR": ("T1DUAL/DICOM_anon/InPhase", "T1DUAL/Ground")}


@pytest.fixture
def write_patient(write_dicom):
    """Slices of 4 x 5 pixels at `heights`, in the order of the file names; picture `i` holds `10 i`, one pixel 255."""

    def write(root: Path, modality: str, number: int, heights=(0, 1, 2), pictures: int | None = None) -> None:
        images, ground = (root / modality / str(number) / folder for folder in FOLDERS[modality])
        uids = {"SeriesInstanceUID": generate_uid(), "FrameOfReferenceUID": generate_uid()}
        for index, height in enumerate(heights):
            write_dicom(images, modality, "", slices=1, ImagePositionPatient=[0, 0, height], **uids)
            (images / "0.dcm").rename(images / f"i{index:04d},0000b.dcm")
        ground.mkdir(parents=True)
        for index in range(len(heights) if pictures is None else pictures):
            picture = np.full((4, 5), 10 * index, np.uint8)
            picture[0, 4] = 255
            cv2.imwrite(str(ground / f"liver_GT_{index:03d}.png"), picture)

    return write


@pytest.mark.parametrize("level", ["", "Train_Sets", "CHAOS_Train_Sets/Train_Sets"])
def test_patients_of_both_modalities_are_different_people(tmp_path, write_patient, level):
    for number in (1, 2, 10):
        write_patient(tmp_path / level, "CT", number)
        write_patient(tmp_path / level, "MR", number)
    card, split = load("chaos", tmp_path)
    assert (card.modalities, card.paired) == (("CT", "MR"), False)
    scans = chaos.scan(tmp_path)
    assert [scan.modality for scan in scans] == ["CT"] * 3 + ["MR"] * 3
    assert scans[2].patient == patient_key("CT 10")
    assert len({scan.patient for scan in scans}) == 6
    assert [len(part.patients()) for part in (split.train, split.validation, split.test)] == [2, 2, 2]


@pytest.mark.parametrize("heights", [(0, 1, 2), (2, 1, 0), (4, 2, 0)])
def test_labels_are_sorted_by_position_as_the_volume_is(tmp_path, write_patient, heights):
    for modality in ("CT", "MR"):
        write_patient(tmp_path, modality, 1, heights)
    for scan in chaos.scan(tmp_path):
        volume = scan.load()
        labels = scan.load_labels(like=volume)
        assert labels.dtype == np.int32 and labels.shape == volume.shape
        assert labels[:, 1, 1].tolist() == ([0, 10, 20] if heights[0] == 0 else [20, 10, 0])
        assert (labels[:, 0, 4] == 255).all() and (labels == 255).sum() == 3  # not flipped
        np.testing.assert_array_equal(scan.load_labels(), labels)


def test_another_number_of_pictures_than_slices(tmp_path, write_patient):
    write_patient(tmp_path, "CT", 1, pictures=2)
    key = patient_key("CT 1")
    with pytest.raises(
        DatasetError, match=rf"CT scan of patient {key} has 3 slices and 2 label pictures; restore its Gro"
    ):
        chaos.scan(tmp_path)


def test_scans_without_pictures_go_without_labels(tmp_path, write_patient):
    write_patient(tmp_path, "CT", 1, pictures=0)
    write_patient(tmp_path, "MR", 1)
    ct, mr = chaos.scan(tmp_path)
    assert ct.labels is None and ct.load_labels() is None
    assert len(mr.labels) == 3


def test_a_folder_with_two_series(tmp_path, write_patient, write_dicom):
    write_patient(tmp_path, "CT", 1)
    write_dicom(tmp_path / "CT/1/DICOM_anon/more", "CT", "")
    with pytest.raises(DatasetError, match=rf"Patient {patient_key('CT 1')} has 2 series in one folder; keep one"):
        chaos.scan(tmp_path)


def test_one_modality_only(tmp_path, write_patient):
    write_patient(tmp_path, "CT", 1)
    (tmp_path / "MR" / "1").mkdir(parents=True)  # a patient of whom only other sequences were unpacked
    with pytest.raises(DatasetError, match=r"has no MR scan that can be used; found: 1 CT"):
        load("chaos", tmp_path)


def test_liver_is_one_class_in_both_modalities():
    ct, mr = (chaos.CARD.classes(domain, ["liver"]) for domain in ("a", "b"))
    assert (ct.dtype, ct.shape, int(ct[255]), int(ct.sum())) == (np.uint8, (256,), 1, 1)
    assert mr[[0, 55, 63, 71, 126, 255]].tolist() == [0, 0, 1, 0, 0, 0]
    every = chaos.CARD.classes("b", ["spleen", "liver", "right kidney", "left kidney"])
    assert every[[0, 252, 63, 126, 189]].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real CHAOS sample is not at ../shared/data/chaos")
def test_real_liver_has_the_attenuation_of_an_enhanced_liver():
    _, scans = load_scans("chaos", SHARED)
    ct, mr = (next(scan for scan in scans if scan.modality == modality) for modality in ("CT", "MR"))
    volume = ct.load()
    liver = ct.load_labels(like=volume) == 255
    values = volume.array[liver]
    # 141 +- 34 HU; flipped upside down, from left to right or from head to foot it is lung, bone and bowel as well.
    assert 100 < values.mean() < 180 and values.std() < 50
    assert volume.array[liver[:, :, ::-1]].std() > 150 and volume.array[liver[::-1]].std() > 150
    labels = mr.load_labels()
    assert np.unique(labels).tolist() == [0, 63, 126, 189, 252]
    classes = chaos.CARD.classes("b", ["right kidney", "left kidney"])[labels]
    right, left = (np.argwhere(classes == number)[:, 2].mean() for number in (1, 2))
    assert right < left  # columns run to the patient's left


@pytest.mark.parametrize(
    ("recipe", "window"), [("kerasgan2026", (-1000, 1600)), ("mujtaba2025", (-160, 240)), ("nehra2021", (-160, 240))]
)
def test_the_windows_that_its_page_names(recipe, window):
    card = chaos.CARD
    found = registry.find("recipes", recipe).RECIPE
    assert preparation(found, card.anatomy, card.ct_window_hu, card.field_of_view_mm).ct_window_hu == window
