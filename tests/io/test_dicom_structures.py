"""SEG and RTSTRUCT beside a synthetic series, read back by other code, and held to the Standard by a validator."""

import subprocess
import sys
from datetime import datetime

import highdicom
import numpy as np
import pydicom
import pytest
from made_up_series import AXIAL, SAGITTAL, datasets, head, write_series
from needed import program
from skimage.measure import points_in_poly

from kerasgan.errors import KerasganError
from kerasgan.io import discover, read_volume
from kerasgan.io.dicom_structures import require_highdicom, write_structures
from kerasgan.io.dicom_write import write_dicom
from kerasgan.scans.geometry import axial_slices
from kerasgan.scans.structures import Structures

OBLIQUE = (0.8, 0.6, 0, -0.36, 0.48, 0.8)
NAMES = ("Leber, groß\\klein", "left kidney", "spleen")
SERIES = {
    "axial": (AXIAL, [0, 3, 6, 9]),
    "sagittal": (SAGITTAL, [0, 3, 6, 9]),
    "oblique": (OBLIQUE, [0, 3, 6, 9]),
    "uneven": (AXIAL, [0, 3, 7, 13]),
    "one slice": (AXIAL, [5]),
}
FRAME = "1.2.826.0.1.3680043.8.498.12"
ABOUT = {
    "PatientName": "Müller^Eva",
    "PatientID": "ID-4711",
    "PatientBirthDate": "19700102",
    "PatientSex": "F",
    "StudyDate": "20260301",
    "StudyTime": "101112",
    "StudyID": "STUDY77",
    "AccessionNumber": "ACC8899",
    "ReferringPhysicianName": "Grün^Ada",
    "FrameOfReferenceUID": FRAME,
    "SpecificCharacterSet": "ISO_IR 100",
}
ELSEWHERE = {  # what belongs to images, or to nobody
    "InstitutionName": "Clinic-C", "DeviceSerialNumber": "SN55", "BodyPartExamined": "ABDOMEN",
    "PatientPosition": "HFS",
}  # fmt: skip


def labels_in(shape):
    """A ring with an island in it and a second structure around a corner; nothing of the third."""
    labels = np.zeros(shape)
    labels[:, 2:12, 2:11] = 1
    labels[:, 4:9, 4:9] = 0
    labels[:, 6, 6] = 1
    labels[0, 13:, 3:] = labels[0, 8:, 12:] = 2
    return labels


@pytest.fixture
def written(tmp_path):
    """Writes a series with its structures; the labels on its slices, its images, SEG and RTSTRUCT, and their files."""

    def write(orientation=AXIAL, heights=(0, 3, 6, 9), labels=None, modality="CT", thickness=None, **options):
        about = ABOUT | ELSEWHERE | options.pop("about", {})
        scan = head((len(heights), 18, 16))
        source = read_volume(write_series(tmp_path / "scan", scan, orientation, heights, **about))
        structures = Structures(NAMES, source.with_array(labels_in(source.shape) if labels is None else labels))
        volume = source.with_array(np.where(structures.labels.array > 0, 400.0, 0), modality)
        if thickness:
            volume, structures = axial_slices(volume, thickness), structures.in_axial_slices(thickness)
        series = write_dicom(volume, source, tmp_path / "out", "test", resliced=bool(thickness), **options)
        files = tmp_path / "out-seg.dcm", tmp_path / "out-rtstruct.dcm"
        write_structures(structures, series, *files)
        return structures.labels, datasets(tmp_path / "out"), *map(pydicom.dcmread, files), [*series, *files]

    return write


def segments(path, images):
    """The labels of a SEG on images, as highdicom reads them."""
    found = highdicom.seg.segread(path)
    return found.get_pixels_by_source_instance(
        [image.SOPInstanceUID for image in images], combine_segments=True, assert_missing_frames_are_empty=True
    )


def filled(contoured, images):
    """The labels of an RTSTRUCT on images: which centres lie inside, even-odd."""
    uids, labels = [image.SOPInstanceUID for image in images], np.zeros((len(images), 18, 16))
    rows, columns = np.indices(labels.shape[1:])
    centres = np.stack([columns.ravel(), rows.ravel()], axis=1)
    for region in contoured.ROIContourSequence:
        for contour in region.get("ContourSequence", []):
            number = uids.index(contour.ContourImageSequence[0].ReferencedSOPInstanceUID)
            image = images[number]
            axes = np.reshape(image.ImageOrientationPatient, (2, 3)).astype(float)
            points = np.reshape(contour.ContourData, (-1, 3)).astype(float) - np.array(
                image.ImagePositionPatient, float
            )
            assert len(points) == contour.NumberOfContourPoints
            np.testing.assert_allclose(points @ np.cross(*axes), 0, atol=2e-4)  # in the plane of the slice
            corners = points @ axes.T / np.array(image.PixelSpacing, float)[::-1]
            inside = points_in_poly(centres, corners).reshape(labels.shape[1:])
            assert not labels[number][inside].any()
            labels[number][inside] = region.ReferencedROINumber
    return labels


def complaints(files):
    """All that the validators of dicom3tools say: of each file, and of all together."""
    said = []
    for tool, groups in (("dciodvfy", [[file] for file in files]), ("dcentvfy", [files])):
        for group in groups:
            done = subprocess.run([program(tool, package="dicom3tools"), *group], capture_output=True, text=True)
            said += [line for line in (done.stdout + done.stderr).splitlines() if line.startswith(("Error", "Warning"))]
    return said


@pytest.mark.parametrize("series", SERIES)
def test_other_programs_read_the_same_voxels(written, series, tmp_path):
    orientation, heights = SERIES[series]
    labels, images, _, contoured, files = written(orientation, heights)
    z = np.array(heights) - heights[0]
    expected = labels.array[np.rint(z / labels.spacing_mm[2]).astype(int)]  # the nearest; of even slices each its own
    np.testing.assert_array_equal(segments(tmp_path / "out-seg.dcm", images), expected)
    np.testing.assert_array_equal(filled(contoured, images), expected)
    assert complaints(files) == []


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_both_belong_to_the_series_and_say_who_made_them(written, modality):
    _, images, segmented, contoured, _ = written(modality=modality)
    first, uids = images[0], [image.SOPInstanceUID for image in images]
    for one in (segmented, contoured):
        for keyword in (*ABOUT, "StudyInstanceUID", "SeriesDate"):
            assert one[keyword].value == first[keyword].value, keyword
        assert one.Manufacturer == "kerasgan" and "synthetic" in one.SeriesDescription
        assert "InstitutionName" not in one and "ContributingEquipmentSequence" not in one
        assert one.SeriesInstanceUID != first.SeriesInstanceUID
    assert segmented.SeriesNumber == first.SeriesNumber + 1000 and contoured.SeriesNumber == first.SeriesNumber + 2000
    referenced = segmented.ReferencedSeriesSequence[0]
    assert referenced.SeriesInstanceUID == first.SeriesInstanceUID
    assert [one.ReferencedSOPInstanceUID for one in referenced.ReferencedInstanceSequence] == uids
    assert segmented.SegmentationType == "BINARY"
    described = segmented.SegmentSequence
    assert [one.SegmentLabel for one in described] == ["Leber, gro?/klein", "left kidney", "spleen"]
    assert {one.SegmentAlgorithmType for one in described} == {"AUTOMATIC"}
    types = [one.SegmentedPropertyTypeCodeSequence[0] for one in described]
    assert [one.CodeMeaning for one in types] == ["Anatomical Structure", "Kidney", "Spleen"]
    assert types[1].SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning == "Left"

    frame = contoured.ReferencedFrameOfReferenceSequence[0]
    assert frame.FrameOfReferenceUID == first.FrameOfReferenceUID
    referenced = frame.RTReferencedStudySequence[0].RTReferencedSeriesSequence[0]
    assert referenced.SeriesInstanceUID == first.SeriesInstanceUID
    assert [one.ReferencedSOPInstanceUID for one in referenced.ContourImageSequence] == uids
    regions = contoured.StructureSetROISequence
    assert [one.ROIName for one in regions] == ["Leber, gro?/klein", "left kidney", "spleen"]
    assert {one.ROIGenerationAlgorithm for one in regions} == {"AUTOMATIC"}
    assert contoured.ApprovalStatus == "UNAPPROVED"
    assert ["ContourSequence" in one for one in contoured.ROIContourSequence] == [True, True, False]


def test_a_ring_is_one_polygon_with_its_hole(written):
    _, images, _, contoured, _ = written()
    ring = contoured.ROIContourSequence[0].ContourSequence
    assert len(ring) == 2 * len(images) and {one.ContourGeometricType for one in ring} == {"CLOSED_PLANAR"}


def test_axial_slices_of_a_sagittal_series(written, tmp_path):
    labels, images, _, contoured, files = written(SAGITTAL, np.arange(12) * 1.5, thickness=2)
    assert len(images) == len(labels.array) and labels.array.max() == 2
    np.testing.assert_array_equal(segments(tmp_path / "out-seg.dcm", images), labels.array)
    drawn = sum(len(one.get("ContourSequence", [])) for one in contoured.ROIContourSequence)
    assert drawn and complaints(files) == []


def test_where_nothing_was_found_each_structure_is_named_and_empty(written):
    _, images, segmented, contoured, files = written(labels=np.zeros((4, 18, 16)))
    assert len(segmented.SegmentSequence) == len(contoured.StructureSetROISequence) == segmented.NumberOfFrames == 3
    assert not segmented.pixel_array.any() and not filled(contoured, images).any()
    assert complaints(files) == []


@pytest.mark.parametrize("options", [{"anonymous": True}, {"key": b"0123456789abcdef0123456789abcdef"}])
def test_nothing_of_the_patient_is_in_them_that_is_not_in_the_series(written, options):
    _, images, *both, files = written(**options)
    secrets = ["Müller", "ID-4711", "19700102", "20260301", "101112", "STUDY77", "ACC8899", "Grün", "Clinic", "SN55"]
    if "key" in options:
        secrets.append(datetime.now().strftime("%Y%m%d"))  # which would tell by how much dates were shifted
    secrets.append(FRAME)
    for one, file in zip(both, files[-2:], strict=True):
        assert not [text for text in secrets if text.encode("latin-1") in file.read_bytes()]
        for keyword in ("PatientName", "PatientID", "StudyInstanceUID", "StudyDate", "PatientIdentityRemoved"):
            assert one[keyword].value == images[0][keyword].value
        assert one.DeidentificationMethod == images[0].DeidentificationMethod
    assert not [line for line in complaints(files) if line.startswith("Error")]  # it warns of what was left out


def test_words_that_the_standard_does_not_allow_stay_as_the_series_has_them(written):
    with pytest.warns(UserWarning):  # pydicom's, when they are made up here
        *_, segmented, contoured, _ = written(
            about={"StudyTime": "10:11", "PatientBirthDate": "1970-01", "PatientSex": "?"}
        )
    assert segmented.StudyTime == contoured.StudyTime == "10:11"
    assert segmented.PatientSex == contoured.PatientSex == "?"


def test_they_are_no_scans(written, tmp_path):
    written()
    found = {series.modality: series.usable for series in discover(tmp_path)}
    assert found == {"MR": True, "CT": True, "SEG": False, "RTSTRUCT": False}


def test_what_is_missing_is_named_with_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(KerasganError, match=r"highdicom, which is not installed: pip install 'kerasgan\[structures\]'"):
        require_highdicom()
