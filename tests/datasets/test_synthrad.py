import json
import logging

import numpy as np
import pytest
import SimpleITK

from kerasgan.datasets import load, load_scans, patient_key
from kerasgan.datasets.synthrad import scan
from kerasgan.errors import DatasetError

NAMES = ("1BA001", "1BA002", "1BA003", "1BA004")


def write_image(path, values, spacing=(1.0, 1.0, 2.0)):
    image = SimpleITK.GetImageFromArray(np.asarray(values))
    image.SetSpacing(spacing)
    SimpleITK.WriteImage(image, str(path))


def write_patient(folder, images=("mr", "ct", "mask"), suffix=".nii.gz"):
    folder.mkdir(parents=True)
    values = {"mr": 100, "ct": 40, "mask": 1}
    for name in images:
        array = np.full((2, 3, 4), values[name], np.int16)
        array[0, 0, 0] += name != "mask"
        write_image(folder / f"{name}{suffix}", array)


def write_patients(root, names=NAMES, **options):
    for name in names:
        write_patient(root / name, **options)
    return root


@pytest.mark.parametrize("below", ["", "brain", "Task1/brain", "Task1"])
@pytest.mark.parametrize("suffix", [".nii.gz", ".mha"])
def test_layouts(tmp_path, below, suffix):
    write_patients(tmp_path / below, suffix=suffix)
    write_patient(tmp_path / below / "overview")
    card, split = load("synthrad", tmp_path)
    assert (card.anatomy, card.ct_window_hu) == ("head", (-1000.0, 1600.0))
    assert len(split.test.pairs()) == len(split.validation.pairs()) == 1
    assert {scan.patient for scan in scan(tmp_path)} == {patient_key(name) for name in NAMES}


def test_single_slices_are_taken_by_their_plane(tmp_path, caplog):
    values = np.arange(64 * 5, dtype=np.int16).reshape(8, 8, 5)
    for name in NAMES:
        (tmp_path / name).mkdir()
        for cut, plane in ((np.s_[:1], "axial"), (np.s_[:, :1], "coronal"), (np.s_[:, :, :1], "sagittal")):
            for kind in ("mr", "ct"):
                write_image(tmp_path / name / f"{kind}_{plane}.nii.gz", values[cut])
    found = scan(tmp_path)
    assert [(one.domain, one.plane) for one in found[:6]] == [
        (domain, plane) for plane in ("axial", "coronal", "sagittal") for domain in ("a", "b")
    ]
    _, split = load("synthrad", tmp_path)
    assert {one.plane for one in (*split.train.a, *split.train.b)} == {"axial"}
    assert "16 scans are left out, single slices of another plane than axial" in caplog.text
    _, split = load("synthrad", tmp_path, planes=("coronal", "axial"))
    assert [(a.plane, b.plane) for a, b in split.test.pairs()] == [("axial", "axial"), ("coronal", "coronal")]


def test_scan_loads_with_its_modality_and_mask(tmp_path):
    mr, ct = scan(write_patients(tmp_path, NAMES[:1]))
    volume = ct.load()
    assert (volume.modality, volume.unit, volume.shape, volume.spacing_mm) == ("CT", "HU", (2, 3, 4), (1.0, 1.0, 2.0))
    assert np.all(volume.array.ravel()[1:] == 40)  # CT by the file's name, although no value is below -200
    assert mr.load().modality == "MR"
    mask = mr.load_mask(volume)
    assert mask.dtype == bool and mask.shape == (2, 3, 4) and mask.all()


def test_mask_on_another_grid_is_refused(tmp_path):
    write_patients(tmp_path, NAMES[:1])
    write_image(tmp_path / NAMES[0] / "mask.nii.gz", np.ones((2, 3, 5), np.uint8))
    mr, _ = scan(tmp_path)
    with pytest.raises(
        DatasetError, match=r"mask of patient p\w+ \(\(2, 3, 5\).*its MR scan \(\(2, 3, 4\).*resample it"
    ):
        mr.load_mask(mr.load())


def test_without_a_mask_and_labels(tmp_path):
    mr, _ = scan(write_patients(tmp_path, NAMES[:1], images=("mr", "ct")))
    assert mr.load_mask() is None
    assert mr.load_labels() is None


@pytest.mark.parametrize(("below", "name"), [("pelvis", "1PA001"), ("", "1PA001")])
def test_pelvis_is_wider_and_keeps_the_recipes_window(tmp_path, below, name):
    write_patients(tmp_path / below, [name, "1PA002"])
    card, _ = load_scans("synthrad", tmp_path)
    assert (card.anatomy, card.ct_window_hu) == ("pelvis", None)
    assert card.field_of_view_mm > 400


def test_two_regions_must_be_told_apart(tmp_path):
    write_patients(tmp_path / "brain")
    write_patients(tmp_path / "pelvis", ["1PA001"])
    with pytest.raises(DatasetError, match="holds patients in brain and pelvis; name one of them with --data-dir"):
        load("synthrad", tmp_path)


def write_split(root, **names):
    (root / "split.json").write_text(json.dumps(names))


def test_split_file_is_honoured(tmp_path):
    write_patients(tmp_path)
    write_split(tmp_path, train_mr=["1BA004"], train_ct=["1BA002"], val=["1BA001"], test=["1BA003"], about="a note")
    _, split = load("synthrad", tmp_path)
    key = dict(zip(NAMES, map(patient_key, NAMES), strict=True))
    assert split.keys() == {
        "train": {"a": [key["1BA004"]], "b": [key["1BA002"]]},
        "validation": {"a": [key["1BA001"]], "b": [key["1BA001"]]},
        "test": {"a": [key["1BA003"]], "b": [key["1BA003"]]},
    }


def test_split_file_without_test(tmp_path):
    write_patients(tmp_path)
    write_split(tmp_path, train_mr=["1BA004"], train_ct=["1BA002"], val=["1BA001"])
    _, split = load("synthrad", tmp_path)
    assert split.test.keys() == {"a": [], "b": []}
    write_split(tmp_path, train_mr=["1BA004"], train_ct=["1BA002"], val=["1BA001", "1BA003"])
    _, split = load("synthrad", tmp_path)
    chooses, reported = sorted(map(patient_key, ("1BA001", "1BA003")))
    assert split.validation.keys() == {"a": [chooses], "b": [chooses]}
    assert split.test.keys() == {"a": [reported], "b": [reported]}
    _, split = load("synthrad", tmp_path, halved=False)
    assert len(split.validation.pairs()) == 2 and not split.test.pairs()


def test_the_centre_is_the_letter_of_a_patients_name(tmp_path):
    write_patients(tmp_path, ["1BA001", "1BC002", "mine", "1BA7x"])
    found = {found.patient: found.centre for found in scan(tmp_path)}
    assert [found[patient_key(name)] for name in ("1BA001", "1BC002", "mine", "1BA7x")] == ["A", "C", "", ""]


def test_patients_of_the_split_that_are_missing_are_counted(tmp_path, caplog):
    write_patients(tmp_path)
    write_split(tmp_path, train_mr=["1BA004", "1BA404"], train_ct=["1BA002"], val=["1BA405", "1BA406"])
    with caplog.at_level(logging.WARNING):
        load("synthrad", tmp_path)
    assert "folders are missing: 1 of train_mr, 2 of val; they are left out" in caplog.text
    assert "1BA404" not in caplog.text


def test_split_that_leaves_a_domain_empty(tmp_path):
    write_patients(tmp_path)
    write_split(tmp_path, train_mr=["1BA004"], train_ct=["1BA404", "1BA405"])
    with pytest.raises(DatasetError, match=r"None of the 2 patients under train_ct of .*split\.json has its image"):
        load("synthrad", tmp_path)


def test_split_with_a_training_patient_in_both_domains(tmp_path):
    write_patients(tmp_path)
    write_split(tmp_path, train_mr=["1BA001", "1BA002"], train_ct=["1BA001"])
    with pytest.raises(DatasetError, match=r"Training patients in both domains: 1; .* each in one"):
        load("synthrad", tmp_path)


@pytest.mark.parametrize("text", ["{not json", "[1, 2]", '{"val": 5}', '{"val": [1]}'])
def test_damaged_split(tmp_path, text):
    write_patients(tmp_path)
    (tmp_path / "split.json").write_text(text)
    with pytest.raises(
        DatasetError, match=r"split\.json cannot be used .* must map train_mr, train_ct, val, test to lists"
    ):
        load("synthrad", tmp_path)


def test_one_modality_only(tmp_path):
    write_patients(tmp_path, images=("mr",))
    with pytest.raises(DatasetError, match=r"has no CT scan that can be used; found: 4 MR. synthrad needs MR and CT"):
        load("synthrad", tmp_path)


def test_one_patient_only(tmp_path):
    write_patients(tmp_path, NAMES[:1])
    with pytest.raises(DatasetError, match=r"Found 1 patient .*Training needs 2 patients"):
        load("synthrad", tmp_path)
