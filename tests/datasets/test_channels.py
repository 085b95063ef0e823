"""Channels of a dataset: found by name, joined by patient, refused where one is missing."""

import logging

import pytest

from kerasgan.datasets import create_secret, load, load_scans, patient_key, phantom, phantom_contrasts
from kerasgan.datasets.folder import CARD
from kerasgan.errors import DatasetError
from kerasgan.io.discovery import find_listed
from kerasgan.phantom import HEAD, HEAD_CONTRASTS, Tissue

MR, CT = (0, 400), (-1000, 0)


@pytest.fixture
def folder(tmp_path, write_image):
    """A function that writes image files into a folder with channels T1 and T2."""

    def write(*names, channels="T1, T2"):
        (tmp_path / "channels").write_text(channels)
        for name in names:
            write_image(tmp_path / name, MR if name.startswith("a") else CT)
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("t1", "t2", "ct", "patient"),
    [
        ("7_T1.nii.gz", "7_T2.mha", "7.nii", "7"),
        ("T1/7.nii.gz", "T2/7.nii.gz", "7.nii", "7"),
        ("anna/T1.nii.gz", "anna/T2.nii.gz", "anna/ct.nii", "anna"),
        ("anna/T1/x.nii", "anna/scan-T2.nii", "anna/ct.nii", "anna"),
        ("sub-01_T1.nii.gz", "sub-01_T2.nii.gz", "sub-01_ct.nii.gz", "sub-01"),
    ],
)
def test_the_channel_is_a_part_of_the_path_and_the_patient_is_the_rest(folder, t1, t2, ct, patient):
    root = folder(f"a/{t2}", f"a/{t1}", f"b/{ct}")
    card, scans = load_scans("folder", root)
    [first], [other] = ([scan for scan in scans if scan.domain == domain] for domain in "ab")
    assert card.channels == ("T1", "T2") and first.patient == other.patient == patient_key(patient)
    assert (first.channel, first.files) == ("T1", (root / "a" / t1,))
    assert [(scan.channel, scan.files) for scan in first.further] == [("T2", (root / "a" / t2,))]
    assert [volume.shape for volume in first.load_channels()] == [(5, 6, 7), (5, 6, 7)]


def test_dicom_series_of_a_patient_are_joined_by_their_folders(tmp_path, write_dicom):
    (tmp_path / "channels").write_text("in\nopposed\n")
    for channel in ("in", "opposed"):
        write_dicom(tmp_path / "a" / "x" / channel, "MR", "anna")
    write_dicom(tmp_path / "b", "CT", "anna")
    scan = load_scans("folder", tmp_path)[1][0]
    assert scan.patient == patient_key("anna") and [scan.channel, scan.further[0].channel] == ["in", "opposed"]


def test_scans_that_name_no_channel_are_left_out(folder, caplog):
    root = folder("a/7_T1.nii", "a/7_T2.nii", "a/7_FLAIR.nii", "a/7_T1w.nii", "b/7.nii")
    with caplog.at_level(logging.WARNING):
        assert len(load_scans("folder", root)[1]) == 2
    assert "2 series of a left out: not one of T1, T2 in their path" in caplog.text


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        (["a/8_T1.nii"], "lacks T2"),
        (["a/8_T2.nii"], "lacks T1"),
        (["a/8_T1.nii", "a/8_T2.nii", "a/T1/8.nii"], "has T1 2 times"),
    ],
)
def test_a_patient_without_each_channel_once_is_named_by_the_key_that_finds_the_files(folder, more, fault):
    root = folder("a/7_T1.nii", "a/7_T2.nii", "b/7.nii", *more)
    create_secret(root)
    with pytest.raises(
        DatasetError, match=rf"needs channels T1, T2, each once; 1 of 2 have others: p\w+ {fault}\."
    ) as caught:
        load("folder", root)
    key = str(caught.value).split("others: ")[1].split()[0]
    assert {series.files[0] for series in find_listed(root, key=key)} == {root / name for name in more}


def test_a_patient_is_found_by_key_where_the_name_of_a_channel_has_a_hyphen(folder):
    root = folder("a/7_T1.nii", "a/7_T1-C.nii", "b/7.nii", channels="T1, T1-C")
    files = {series.files[0] for series in find_listed(root, key=patient_key("7"))}
    assert files == {root / name for name in ("a/7_T1.nii", "a/7_T1-C.nii", "b/7.nii")}


def test_no_file_of_any_channel_says_how_to_name_them(folder):
    root = folder("a/7.nii", "b/7.nii")
    with pytest.raises(
        DatasetError, match=r"named after one of the channels T1, T2.* Name files such as 7_T1\.nii\.gz"
    ):
        load("folder", root)


@pytest.mark.parametrize("names", ["T1", "T1, T1", "T1, a=b", "T1, ../x", ""])
def test_names_that_cannot_be_channels(folder, names):
    root = folder("a/7_T1.nii", "b/7.nii", channels=names)
    with pytest.raises(DatasetError, match=r"channels is invalid: channels needs two names or more, each once"):
        load("folder", root)


def test_channels_on_two_grids_are_refused_when_they_are_read(folder, tmp_path):
    import SimpleITK as sitk

    root = folder("a/7_T1.nii", "a/7_T2.nii", "b/7.nii")
    image = sitk.ReadImage(str(root / "a/7_T2.nii"))
    image.SetSpacing((1, 1, 2))
    sitk.WriteImage(image, str(root / "a/7_T2.nii"))
    scan = load_scans("folder", root)[1][0]
    with pytest.raises(DatasetError, match=r"patient p\w+ cannot be used: Channel T2 is on another grid"):
        scan.load_channels()


def test_a_scan_of_a_channel_that_no_card_names_is_refused(folder, tmp_path):
    root = folder("a/7_T1.nii", "a/7_T2.nii", "b/7.nii")
    dataset = tmp_path / "mine.py"
    dataset.write_text(
        "from dataclasses import replace\nfrom kerasgan.datasets import folder\n"
        "CARD = replace(folder.CARD, name='mine')\nscan = folder.scan\n"
    )
    with pytest.raises(DatasetError, match="names no channels, and its scans are of T1, T2"):
        load(str(dataset), root)
    assert CARD.channels == ()


def test_phantoms_in_two_contrasts(phantom_folder):
    card, split = load("phantom_contrasts", phantom_folder(HEAD_CONTRASTS).parent)
    assert card == phantom_contrasts.CARD and card.channels == ("T1", "T2")
    former = load("phantom", phantom_folder(HEAD).parent)[1]
    assert split.keys() == former.keys() and phantom.CARD.channels == ()
    [(mr, ct)], [(alone, _)] = split.test.pairs(), former.test.pairs()
    t1, t2 = mr.load_channels()
    assert mr.files[0].read_bytes() == alone.files[0].read_bytes() and not alone.further
    assert t1.same_grid(t2) and t1.same_grid(ct.load())
    labels = mr.load_labels(like=t1)

    def mean(volume, tissue):
        return float(volume.array[labels == tissue].mean())

    for volume, brighter, darker in ((t1, Tissue.WHITE_MATTER, Tissue.CSF), (t2, Tissue.CSF, Tissue.WHITE_MATTER)):
        assert mean(volume, brighter) > 1.5 * mean(volume, darker)
    assert {scan.further[0].files[0].parents[2].name for scan in split.train.a} == {"T2_TSE_phantom"}
