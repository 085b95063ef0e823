import logging
import os
import re

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.fileset import FileSet
from pydicom.uid import DeflatedExplicitVRLittleEndian, generate_uid

from kerasgan.errors import DicomError
from kerasgan.io import discover, headers, patient_key, read_volume

TILTED = [1, 0, 0, 0, 0.8, -0.6]


def heights(series):
    return [slice_.origin_mm[2] for slice_ in series.slices]


def test_slices_are_sorted_by_position_not_by_name_or_instance_number(slices):
    (series,) = discover(slices(6, 0, 3, InstanceNumber=1))
    assert heights(series) == [0, 3, 6]
    assert [file.name for file in series.files] == ["01", "02", "00"]
    assert (series.usable, series.reason, series.notes) == (True, "", ())


def test_a_sagittal_series_runs_along_row_times_column(tmp_path, dicom):
    for x in (4, 2, 0):
        dicom.save(dicom.make_slice((x, 0, 0), ImageOrientationPatient=[0, 1, 0, 0, 0, -1]), tmp_path / f"{x}")
    (series,) = discover(tmp_path)
    assert [slice_.origin_mm[0] for slice_ in series.slices] == [4, 2, 0]  # y x (-z) = -x


def test_what_a_series_says_of_itself(slices):
    (series,) = discover(slices(0, 3, 6, 9))
    assert (series.modality, series.shape, series.spacing_mm) == ("CT", (4, 4, 5), (1.5, 2.0, 3.0))
    assert str(series) == "CT, 4 files, 4 x 4 x 5 voxels of 3 x 2 x 1.5 mm"
    assert series.patient == patient_key("ID-4711")
    assert "4711" not in repr(series)


def test_a_patient_key_is_the_start_of_the_sha256():
    assert patient_key("abc") == "pba7816bf8f"


def test_series_are_told_apart_by_uid_and_by_orientation(slices):
    slices(0, 3, folder="scan/a")
    slices(0, 3, folder="scan/b", SeriesInstanceUID=generate_uid())
    folder = slices(0, 3, folder="scan/c", ImageOrientationPatient=TILTED)
    assert [len(series.files) for series in discover(folder.parent)] == [2, 2, 2]


def test_a_single_image_of_another_size_is_left_out_and_noted(slices, dicom):
    folder = slices(*range(11))
    dicom.save(dicom.make_slice((0, 0, 99), np.zeros((8, 8), np.int16)), folder / "zz")
    scan, stray = discover(folder)
    assert scan.usable and scan.shape[0] == 11
    assert scan.notes == ("left out: 1 of the series' images, next to 11 of another size, spacing or orientation",)
    assert scan.losses == scan.notes
    assert not stray.usable and "next to 11 of another size" in stray.reason


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "a localizer .*holds LOCALIZER"),
        ({"SeriesDescription": "AAHead Scout"}, r"a localizer \(Series Description \(0008,103E\) says scout"),
        ({"ImageType": ["DERIVED", "SECONDARY", "MPR"]}, "a reformat of another series"),
        ({"ImageType": ["DERIVED", "SECONDARY", "PROJECTION IMAGE"]}, "a projection of another series"),
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, "a screen capture"),
        ({"ImageType": ["DERIVED", "PRIMARY", "PERFUSION", "RCBF"]}, "a map of a computed quantity"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "P", "ND"]}, "a phase or complex image"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]}, "a mosaic of many slices"),
        ({"ComplexImageComponent": "PHASE"}, r"a phase or complex image \(Complex Image Component .* is PHASE"),
        ({"RescaleType": "Z_EFF"}, r"not in Hounsfield units \(Rescale Type \(0028,1054\) is Z_EFF"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "Secondary Capture Image Storage .* is not a CT or MR image"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.481.3"}, "RT Structure Set Storage .* is not a CT or MR image"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.11.1"}, "Softcopy Presentation State .* is not a CT or MR image"),
        ({"SOPClassUID": "1.2.840.10008.1.3.10"}, "Media Storage Directory Storage .* is not a CT or MR image"),
        ({"Modality": "PT"}, r"Modality \(0008,0060\) is PT"),
        ({"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3}, "a colour image .* is RGB"),
        ({"NumberOfFrames": 4}, "several frames without Per-Frame Functional Groups"),
        (
            {"ImagePositionPatient": None},
            r"Image Position \(Patient\) \(0020,0032\) is missing: the position of the image",
        ),
        ({"ImagePositionPatient": ["nan", "0", "0"]}, r"0020,0032\) is \[nan, 0, 0\]; expected 3 numbers"),
        ({"ImagePositionPatient": [0, 0, 200_000]}, r"0020,0032\) is 0, 0, 200000; expected at most 100000 mm"),
        ({"PixelSpacing": [0, 1]}, r"Pixel Spacing \(0028,0030\) is 0, 1; expected 0.01 to 100 mm"),
        ({"PixelSpacing": [1000, 1000]}, r"\(0028,0030\) is 1000, 1000; expected 0.01 to 100 mm"),
        (
            {"Columns": 5000},
            r"Rows x Columns \(0028,0010\), \(0028,0011\) is 4 x 5000; expected 1 to 4096 pixels a side",
        ),
        ({"BitsAllocated": None}, r"Bits Allocated \(0028,0100\) is missing"),
        ({"BitsStored": 12}, "12 bits stored of 16 allocated, the highest being 15 .*stored ones at the lower end"),
        ({"PixelRepresentation": 2}, r"Pixel Representation \(0028,0103\) is 2; expected 0 or 1"),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "two orthogonal unit vectors"),
    ],
)
def test_what_is_not_a_scan_says_why(slices, attributes, reason):
    (series,) = discover(slices(0, 3, **attributes))
    assert not series.usable
    assert re.search(reason, series.reason)
    assert "not used: " in str(series)


@pytest.mark.parametrize(
    ("keyword", "text", "reason"),
    [
        ("PixelSpacing", "2,0\\1,5", "is ['2,0', '1,5']; expected 2 numbers"),
        ("SOPClassUID", "", "SOP Class UID (0008,0016) is missing"),
        ("RescaleIntercept", "-1024,5", "'-1024,5'; expected 1 number"),
        ("RescaleSlope", "1\\1", r"[1, 1]"),
        ("RescaleSlope", "inf", "is inf; expected 1 number"),
        ("PixelPaddingValue", "abc", "'abc'; expected 1 number"),
        ("NumberOfFrames", "1e400", "'1e400'; expected 1 number"),
        ("SamplesPerPixel", "one", "'one'; expected 1 number"),
    ],
)
def test_a_needed_number_that_is_none_is_shown(slices, with_text, keyword, text, reason):
    folder = slices(0, 3, RescaleSlope=1)
    for file in folder.iterdir():
        with_text(file, keyword, text)
    (series,) = discover(folder)
    assert not series.usable and reason in series.reason


@pytest.mark.parametrize("text", ["5,0", "thin", "nan", "-4", "1e400"])
def test_a_word_in_a_number_that_is_not_needed_is_as_if_it_were_missing(slices, with_text, text):
    folder = slices(0, 3)
    for file in folder.iterdir():
        with_text(file, "SliceThickness", text)
        with_text(file, "EchoTime", text)
        with_text(file, "SeriesNumber", text)
    (series,) = discover(folder)
    assert series.usable and series.thickness_mm == 0


def test_slices_that_are_too_far_apart_for_one_scan_are_refused(slices):
    (series,) = discover(slices(0, 150))
    assert series.reason == "distance between slices is 150; expected 0.01 to 100 mm"


def test_gaps_that_would_fill_the_memory_are_refused(slices):
    """Slices of 0.02 mm, and one that is 20 mm away: 1,004 slices of four."""
    (series,) = discover(slices(0, 0.02, 0.04, 20.06))
    assert series.reason == "gaps and shifts of its slices would make it 1004 x 4 x 5 voxels"


def test_a_series_that_a_derived_one_cannot_refer_to_has_a_note(slices):
    (series,) = discover(slices(0, 3, StudyInstanceUID=None))
    note = "Study Instance UID (0020,000D) is missing: what is made of it cannot be written as DICOM"
    assert series.usable and series.notes == (note,)


def test_what_the_values_say_is_known_before_they_are_all_read(tmp_path, dicom):
    tissue = np.full((40, 40), 1064, np.int16)
    tissue[:20] = 24
    for number in range(3):
        dicom.save(dicom.make_slice((0, 0, number), tissue, RescaleIntercept=None), tmp_path / "ct" / f"{number}")
        signed = dicom.make_slice((0, 0, number), np.int16([[-1000, 40]]).view(np.uint16))
        dicom.save(signed, tmp_path / "signed" / f"{number}")
    (series,) = discover(tmp_path / "ct")
    assert series.usable and series.notes == (
        "no Rescale Intercept (0028,1052): stored values were taken as HU",
        "no air near -1000 HU: percentiles 1, 50 and 99 are 24, 544 and 1064 HU; check that these are Hounsfield units",
    )
    (series,) = discover(tmp_path / "signed")
    assert not series.usable and "values are 40 to 64536 HU; expected -33792 to 32767 HU in CT" in series.reason


def test_a_deflated_file_that_would_fill_the_memory_is_refused(tmp_path, dicom, monkeypatch):
    dataset = dicom.make_slice(values=np.zeros((64, 64), np.int16))
    file = dicom.save(dataset, tmp_path / "small.dcm", DeflatedExplicitVRLittleEndian)
    monkeypatch.setattr(headers, "_LARGEST_FILE", 2**20)
    assert "all voxels are 0" in discover(file)[0].reason
    dataset.PixelData = bytes(2**21)
    dicom.save(dataset, file, DeflatedExplicitVRLittleEndian)
    assert file.stat().st_size < 10_000
    assert discover(file)[0].reason == "inflates to more than 1 MiB; decompress it"


def test_derived_axial_images_are_used(slices):
    (series,) = discover(slices(0, 3, ImageType=["DERIVED", "SECONDARY", "AXIAL"]))
    assert series.usable


@pytest.mark.parametrize(
    ("keyword", "values", "texts"),
    [
        ("EchoTime", (2.3, 4.6), ("EchoTime 2.3", "EchoTime 4.6")),
        ("TemporalPositionIdentifier", (1, 2), ("TemporalPositionIdentifier 1", "TemporalPositionIdentifier 2")),
    ],
)
def test_images_at_the_same_positions_are_split_by_what_tells_them_apart(slices, keyword, values, texts):
    for value in values:
        folder = slices(0, 3, 6, folder=f"scan/{value}", modality="MR", **{keyword: value})
    found = discover(folder.parent)
    assert [series.notes for series in found] == [(text,) for text in texts]
    assert all(heights(series) == [0, 3, 6] for series in found)


def test_echoes_of_several_time_points_are_split_twice(slices):
    for echo, time in ((2, 1), (2, 2), (4, 1), (4, 2)):
        folder = slices(
            0, 3, folder=f"scan/{echo}{time}", modality="MR", EchoTime=echo, TemporalPositionIdentifier=time
        )
    found = discover(folder.parent)
    assert len(found) == 4
    assert found[0].notes == ("EchoTime 2.0", "TemporalPositionIdentifier 1")


def test_two_halves_that_overlap_in_one_slice_stay_together(slices):
    slices(0, 3, 6, folder="scan/a", AcquisitionNumber=1)
    folder = slices(6, 9, 12, folder="scan/b", AcquisitionNumber=2)
    (series,) = discover(folder.parent)
    assert series.shape[0] == 5
    assert series.notes == ("1 of 6 images are at the position of another one",)


@pytest.mark.parametrize("offset", [0.02, 0.6, 9.0])
def test_acquisitions_that_reach_into_each_other_are_two_scans(slices, offset):
    """A little apart, clearly apart, and with a part of the positions in common."""
    first, second = [3.0 * number for number in range(6)], [offset + 3.0 * number for number in range(6)]
    slices(*first, folder="scan/a", AcquisitionNumber=1)
    folder = slices(*second, folder="scan/b", AcquisitionNumber=2)
    found = discover(folder.parent)
    assert [series.notes for series in found] == [("AcquisitionNumber 1",), ("AcquisitionNumber 2",)]
    assert [heights(series) for series in found] == [first, second]


def test_slices_that_two_acquisitions_took_in_turn_are_one_scan(slices):
    slices(0, 6, 12, 18, folder="scan/odd", modality="MR", AcquisitionNumber=1)
    folder = slices(3, 9, 15, 21, folder="scan/even", modality="MR", AcquisitionNumber=2)
    (series,) = discover(folder.parent)
    assert series.shape[0] == 8 and series.notes == ()


@pytest.mark.parametrize("start", [3, 24], ids=["half a gap apart", "one above the other"])
@pytest.mark.parametrize(
    ("keyword", "values"),
    [("EchoTime", (10, 90)), ("ConvolutionKernel", ("B30", "B70")), ("DiffusionBValue", (0, 800))],
)
def test_images_of_another_contrast_are_another_scan_wherever_they_are(slices, keyword, values, start):
    for first, value in zip((0, start), values, strict=True):
        folder = slices(*range(first, first + 24, 6), folder=f"scan/{value}", modality="MR", **{keyword: value})
    found = discover(folder.parent)
    assert [heights(series) for series in found] == [[0, 6, 12, 18], list(range(start, start + 24, 6))]
    assert [len(series.notes) for series in found] == [1, 1] and keyword in found[1].notes[0]


def test_images_of_another_type_between_the_slices_are_another_scan(slices):
    slices(0, 6, 12, 18, folder="scan/a", ImageType=["ORIGINAL", "PRIMARY", "AXIAL"])
    folder = slices(3, 9, 15, 21, folder="scan/b", ImageType=["DERIVED", "SECONDARY", "AXIAL"])
    assert [heights(series) for series in discover(folder.parent)] == [[0, 6, 12, 18], [3, 9, 15, 21]]


@pytest.mark.parametrize("keyword", ["PatientID", "StudyInstanceUID"])
def test_two_patients_or_studies_under_one_series_uid_are_two_scans(slices, keyword):
    for start, value in ((0, "1.2.3"), (3, "1.2.4")):
        folder = slices(*range(start, start + 24, 6), folder=f"scan/{value}", **{keyword: value})
    found = discover(folder.parent)
    assert [heights(series) for series in found] == [[0, 6, 12, 18], [3, 9, 15, 21]]
    assert "also that of another patient or study" in found[0].notes[0]


def in_one_folder(slices, count=5, start=0, name="s", **attributes):
    """Single slices 3 mm apart in one folder, numbered; an attribute given as a function has a value for each."""
    for number in range(count):
        own = {keyword: value() if callable(value) else value for keyword, value in attributes.items()}
        folder = slices(start + 3 * number, folder="one", **{"InstanceNumber": number + 1, **own})
        (folder / "00").rename(folder / f"{name}{number}.dcm")
    return folder


@pytest.mark.parametrize(
    ("attributes", "note"),
    [
        (("FrameOfReferenceUID",), "Frame of Reference UID (0020,0052) is another one in every image"),
        (("SeriesInstanceUID", "FrameOfReferenceUID"), "Series Instance UID (0020,000E) is another one in every image"),
        (("SeriesInstanceUID", "StudyInstanceUID"), "Series Instance UID (0020,000E) is another one in every image"),
        (("PatientID",), "Patient ID (0010,0020) is another one in every image"),
        (("StudyInstanceUID",), ""),
    ],
)
def test_identifiers_that_differ_in_every_image_do_not_tear_a_scan_apart(slices, attributes, note):
    (series,) = discover(in_one_folder(slices, **dict.fromkeys(attributes, generate_uid)))
    assert series.usable and heights(series) == [0, 3, 6, 9, 12]
    assert note in "; ".join(series.notes)


@pytest.mark.parametrize("uid", [generate_uid, None])
def test_scans_that_no_series_uid_tells_apart_are_refused(slices, uid):
    """A series for each image, or none: two scans reach into each other, and both count from 1."""
    in_one_folder(slices, SeriesInstanceUID=uid, name="a")
    (series,) = discover(in_one_folder(slices, SeriesInstanceUID=uid, name="b", start=1.5))
    state = "another one in every image" if uid else "missing"
    assert not series.usable and len(series.files) == 10
    assert f"Series Instance UID (0020,000E) is {state}, and Instance Number (0020,0013) does not" in series.reason
    assert "put each scan into a folder of its own" in series.reason


def test_a_scan_without_series_uid_is_read_if_its_numbers_count_through_it(slices):
    (series,) = discover(in_one_folder(slices, SeriesInstanceUID=None))
    assert series.usable and "Series Instance UID (0020,000E) is missing; taken as one scan" in series.notes[0]
    for series in discover(slices(0, 3, 6, SeriesInstanceUID=None)):  # no Instance Number either
        assert not series.usable or series.files[0].name.startswith("s")


def test_images_at_one_position_that_nothing_tells_apart(slices):
    slices(0, 3, 6, folder="scan/a", SeriesDescription="in")
    folder = slices(0, 3, folder="scan/b", SeriesDescription="out")
    assert discover(folder.parent)[0].usable  # the same values: a copy
    for number in (0, 1):
        path = folder / f"0{number}"
        dataset = pydicom.dcmread(path)
        dataset.PixelData = bytes(40)
        dataset.InstanceNumber = 7
        dataset.save_as(path)
    (series,) = discover(folder.parent)
    assert "different images at one position (Instance Numbers None and 7), and no attribute tells" in series.reason


def test_slices_that_cannot_be_used_are_losses_of_their_series(slices):
    slices(0, 6, 12, 18, folder="scan/a")
    slices(3, 9, folder="scan/b", ImageType=["DERIVED", "SECONDARY", "MPR"])
    slices(15, folder="scan/c", ImagePositionPatient=None)
    slices(0, 6, folder="scan/d", ImageType=["ORIGINAL", "PRIMARY", "P"])  # at positions that the scan has
    folder = slices(50, folder="scan/e", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], ImageOrientationPatient=TILTED)
    scan, *others = discover(folder.parent)
    assert scan.usable and len(others) == 4
    assert scan.losses == (
        "left out: 2 of 6 images of the series: a reformat of another series (Image Type (0008,0008) holds MPR)",
        "left out: 1 of 5 images of the series: Image Position (Patient) (0020,0032) is missing: the position of the "
        "image is unknown",
    )


@pytest.mark.parametrize("patient_id", ["", " ", "ANONYMOUS", "removed", None])
def test_a_patient_without_id_is_the_study_or_else_the_folder(slices, patient_id):
    for number in (1, 2):
        slices(0, 3, folder=f"all/{number}/T1", PatientID=patient_id, StudyInstanceUID=f"1.{number}")
        slices(0, 3, folder=f"all/{number}/CT", PatientID=patient_id, StudyInstanceUID=None)
    found = discover(slices(0, folder="all").parent / "all")
    found = [series for series in found if series.files[0].parent.name != "all"]
    assert [series.patient for series in found] == [patient_key(name) for name in ("1/CT", "1.1", "2/CT", "1.2")]
    assert found[1].notes[-1] == "Patient ID (0010,0020) names no patient, so the study stands for one"
    assert "Patient ID (0010,0020) names no patient, so the folder stands for one" in found[0].notes


def test_fine_slices_beside_coarse_ones_are_one_scan(slices):
    slices(0, 1, 2, 3, folder="scan/fine", AcquisitionNumber=1)
    folder = slices(6, 9, 12, folder="scan/coarse", AcquisitionNumber=2)
    (series,) = discover(folder.parent)
    assert series.shape[0] == 7


def test_the_list_of_a_disc_is_passed_over(slices, tmp_path):
    ids = {"StudyDate": "20200101", "StudyTime": "10", "StudyID": "1", "SeriesNumber": 1, "AccessionNumber": ""}
    disc = FileSet()
    for file in sorted(slices(0, 3, 6, InstanceNumber=1, **ids).iterdir()):
        disc.add(file)
    disc.write(tmp_path / "disc")
    assert (tmp_path / "disc" / "DICOMDIR").is_file()
    (series,) = discover(tmp_path / "disc")
    assert series.usable and len(series.files) == 3 and series.losses == ()


def test_gaps_and_tilt_are_seen_in_the_headers(slices):
    (series,) = discover(slices(0, 3, 6, 12, ImageOrientationPatient=TILTED))
    assert series.irregularities == (
        "uneven slice gaps of 2.4 to 4.8 mm (median 2.4 mm)",
        "slices displaced within their plane (gantry tilt of 36.9 degrees)",  # arccos 0.8
    )
    assert series.notes == series.irregularities


def test_a_hole_too_wide_to_fill_makes_a_series_unusable(slices):
    (series,) = discover(slices(0, 3, 6, 60, 63))
    assert not series.usable and "too wide to fill" in series.reason


def test_a_text_file_called_dcm_is_named_and_one_without_suffix_is_passed_over(slices):
    folder = slices(0, 3)
    (folder / "notes.dcm").write_text("not an image" * 20)
    (folder / "LICENSE").write_text("some words" * 20)
    (folder / "._00").write_bytes(b"\0\x05\x16\x07")
    scan, text = discover(folder)
    assert not text.usable and text.reason == "not a DICOM file"
    assert scan.usable and scan.losses == ("skipped 1 file that kerasgan inspect lists: not a DICOM file",)


def test_a_file_cut_within_its_header_is_named(slices):
    folder = slices(0, 3, 6)
    file = folder / "02"
    file.write_bytes(file.read_bytes()[:600])
    scan, damaged = discover(folder)
    assert damaged.files == (file,) and damaged.reason == "truncated: its header ends too early"
    assert scan.losses == ("skipped 1 file that kerasgan inspect lists: truncated: its header ends too early",)


def test_each_damaged_file_is_listed_and_together_they_make_one_loss(slices):
    folder = slices(0, 3)
    for number in range(14):
        (folder / f"x{number:02d}.dcm").write_text("x")
    scan, *others = discover(folder)
    assert [series.files[0].name for series in others] == [f"x{number:02d}.dcm" for number in range(14)]
    assert scan.losses == ("skipped 14 files that kerasgan inspect lists: not a DICOM file",)


def test_a_file_without_preamble_is_read(tmp_path, dicom):
    file = dicom.save(dicom.make_slice(), tmp_path / "00")
    file.write_bytes(file.read_bytes()[132:])
    (series,) = discover(file)
    assert series.usable


def test_nifti_files_are_series_too(tmp_path):
    image = sitk.GetImageFromArray(np.linspace(0, 1, 60, dtype=np.float32).reshape(3, 4, 5))
    image.SetSpacing((1.0, 2.0, 3.0))
    sitk.WriteImage(image, tmp_path / "mr.nii.gz")
    (tmp_path / "broken.nii.gz").write_bytes(b"no image")
    broken, series = discover(tmp_path)
    assert (series.modality, series.shape, series.spacing_mm) == ("MR", (3, 4, 5), (1.0, 2.0, 3.0))
    assert not broken.usable and broken.reason.startswith("it is no NIfTI file, or cut short.")


def test_several_volumes_or_values_in_one_nifti_file_are_no_scan(tmp_path):
    for name, shape, is_vector in (("time", (4, 3, 8, 8), False), ("colour", (3, 8, 8, 2), True)):
        sitk.WriteImage(sitk.GetImageFromArray(np.zeros(shape, np.float32), is_vector), tmp_path / f"{name}.nii.gz")
    colour, time = discover(tmp_path)
    assert not colour.usable and "got (8, 8, 3, 1, 2)" in colour.reason
    assert not time.usable and "got (8, 8, 3, 4)" in time.reason


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("head.mnc", r"MINC \(\.mnc\), which is not read; convert it to \.nii\.gz"),
        ("head.HDR", "one half of an Analyze or NIfTI pair"),
        ("head.img", "one half of an Analyze or NIfTI pair"),
        ("head.mgz", "FreeSurfer"),
        ("1.dcm.gz", r"a packed file \(\.gz\) inside the input; unpack it first"),
        ("more.zip", "a packed file"),
    ],
)
def test_a_scan_in_a_format_that_is_not_read_says_so(tmp_path, name, reason):
    (tmp_path / name).write_bytes(b"x" * 500)
    (tmp_path / "notes.txt").write_text("no scan")
    (series,) = discover(tmp_path)
    assert not series.usable and re.match(reason, series.reason)
    with pytest.raises(DicomError, match=f"holds no series that can be used: .*{reason}"):
        read_volume(tmp_path)


def test_a_pipe_is_no_scan(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(tmp_path / "pipe.nii")
    os.mkfifo(tmp_path / "pipe.dcm")
    with pytest.raises(DicomError, match="pipe is a pipe or a device, neither a file nor a folder"):
        discover(tmp_path / "pipe")
    assert not any(series.usable for series in discover(tmp_path))


def test_a_dicom_file_of_the_suffix_of_another_format_is_read(tmp_path, dicom):
    (series,) = discover(dicom.save(dicom.make_slice(), tmp_path / "00.img"))
    assert series.usable


def test_the_list_of_a_disc_without_the_disc(slices, tmp_path):
    disc = FileSet()
    ids = {"StudyDate": "20200101", "StudyTime": "10", "StudyID": "1", "SeriesNumber": 1, "AccessionNumber": ""}
    disc.add(slices(0, InstanceNumber=1, **ids) / "00")
    disc.write(tmp_path / "disc")
    (tmp_path / "alone").mkdir()
    (tmp_path / "disc" / "DICOMDIR").rename(tmp_path / "alone" / "DICOMDIR")
    (series,) = discover(tmp_path / "alone")
    assert not series.usable
    assert series.reason == "DICOMDIR, the list of a disc's files, none of which is here; copy the whole disc"


def test_a_series_is_named_by_its_number_and_the_patients_key(slices, tmp_path):
    slices(0, 3, folder="all", SeriesNumber=4, SeriesDescription="Secret^Person")
    (tmp_path / "all" / "Secret Person.nii").write_bytes(b"x")
    (tmp_path / "all" / "Secret Person.dcm").write_bytes(b"x")
    names = sorted(series.name for series in discover(tmp_path / "all"))
    key, image = patient_key("ID-4711"), patient_key("Secret Person")
    assert names == ["1 file that cannot be read", f"image of patient {image}", f"series 4 of patient {key}"]


def test_a_series_without_number_is_named_by_the_patients_key(slices):
    (series,) = discover(slices(0, 3))
    assert series.name == f"series of patient {patient_key('ID-4711')}" and series.number == ""


def test_links_are_followed_but_not_in_circles(slices, tmp_path):
    folder = slices(0, 3)
    (folder / "back").symlink_to(tmp_path)
    linked = tmp_path / "linked"
    linked.symlink_to(folder)
    assert [len(series.files) for series in discover(linked)] == [2]


def test_a_link_upwards_is_not_followed_and_named(slices, caplog):
    folder = slices(0, 3)
    (folder / "root").symlink_to("/")
    (series,) = discover(folder)
    assert len(series.files) == 2
    assert caplog.messages == ["A link to a folder that holds this one is not followed."]


def test_folders_without_end_are_refused(tmp_path):
    deep = tmp_path / "deep"
    deep.joinpath(*["d"] * 101).mkdir(parents=True)
    with pytest.raises(DicomError, match=r"deep has folders more than 100 deep\. Name the folder of the scans"):
        discover(deep)


def test_a_pipe_among_the_files_is_passed_over(slices):
    folder = slices(0, 3)
    os.mkfifo(folder / "pipe.dcm")
    scan, pipe = discover(folder)
    assert scan.usable and pipe.reason == "not a DICOM file"


def test_a_path_that_does_not_exist(tmp_path):
    with pytest.raises(DicomError, match=r"no file or folder .*nowhere\. Check the path"):
        discover(tmp_path / "nowhere")


def test_reading_headers_is_quiet(slices, caplog, recwarn):
    folder = slices(0, 3)
    (folder / "cut.dcm").write_bytes((folder / "00").read_bytes()[:300])
    with caplog.at_level(logging.WARNING):
        discover(folder)
    assert not caplog.records and not [found for found in recwarn.list if found.category is not ResourceWarning]
