import errno
import os
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from needed import program
from pydicom import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    EnhancedMRImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    MRImageStorage,
    generate_uid,
)

from kerasgan.errors import DicomError, KerasganError
from kerasgan.io import dicom_write, read_volume
from kerasgan.io.dicom_write import write_dicom
from kerasgan.scans.geometry import axial_slices
from kerasgan.scans.volume import SourceSlice, Volume

ROWS, COLUMNS = 6, 5
SPACING = (0.8, 1.2)  # between columns, between rows, in mm
AXIAL = (1, 0, 0, 0, 1, 0)
SAGITTAL = (0, 1, 0, 0, 0, -1)
OBLIQUE = (0.8, 0.6, 0, 0.6 * -0.6, 0.6 * 0.8, 0.8)
TILTED = (1, 0, 0, 0, 0.96, -0.28)


def normal(orientation):
    return np.cross(orientation[:3], orientation[3:])


def places_along(orientation, step, count=4):
    """Origins of evenly spaced slices."""
    return [np.array([-7.5, 11.25, 3.125]) + step * k for k in range(count)]


def make_header(modality="MR"):
    """The attributes of a legal single-frame object that do not depend on the slice."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.SOPClassUID = MRImageStorage if modality == "MR" else CTImageStorage
    ds.Modality = modality
    ds.StudyDate, ds.StudyTime, ds.StudyID, ds.AccessionNumber = "20200102", "030405", "7", "A1"
    ds.ReferringPhysicianName = "Grün^Ada"
    ds.Manufacturer, ds.ManufacturerModelName, ds.DeviceSerialNumber = "ACME", "Tube 3", "42"
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = "Müller^Eva", "P-1", "19700101", "F"
    ds.PatientAge = "050Y"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = (generate_uid() for _ in range(3))
    ds.SeriesNumber, ds.AcquisitionNumber = 3, 1
    ds.PositionReferenceIndicator, ds.PatientPosition, ds.BodyPartExamined = "OM", "HFS", "HEAD"
    ds.SliceThickness = "1.5"
    if modality == "MR":
        ds.ScanningSequence, ds.SequenceVariant, ds.ScanOptions, ds.MRAcquisitionType = "GR", "NONE", None, "3D"
        ds.RepetitionTime, ds.EchoTime, ds.EchoTrainLength = "2000", "3", 1
    else:
        ds.KVP, ds.RescaleSlope, ds.RescaleIntercept = "120", "1", "0"
    ds.add_new(0x00190010, "LO", "ACME PRIVATE")
    ds.add_new(0x00191001, "LO", "secret")
    return ds


def set_pixels(ds, frames=1):
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = ROWS, COLUMNS
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit, ds.PixelRepresentation = 15, 1
    ds.add_new("PixelData", "OW", np.arange(frames * ROWS * COLUMNS, dtype="<i2").tobytes())


def save(ds, path, syntax=ExplicitVRLittleEndian):
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    pydicom.dcmwrite(path, ds, enforce_file_format=True)


def make_slices(folder, orientation, origins, modality="MR", syntax=ExplicitVRLittleEndian, drop=()):
    """Writes one file per slice, under names and instance numbers in the opposite order."""
    folder.mkdir()
    header = make_header(modality)
    for keyword in drop:
        del header[keyword]
    places = []
    for number, origin in enumerate(origins, start=1):
        header.SOPInstanceUID = generate_uid()
        header.InstanceNumber = 100 - number
        header.ImagePositionPatient = [f"{value:.8g}" for value in origin]
        header.ImageOrientationPatient = [f"{value:.8g}" for value in orientation]
        header.PixelSpacing = [str(SPACING[1]), str(SPACING[0])]
        set_pixels(header)
        path = folder / f"{100 - number}.dcm"
        save(header, path, syntax)
        places.append(SourceSlice(path, 0, tuple(origin), tuple(orientation), SPACING, (ROWS, COLUMNS)))
    return tuple(places)


def make_enhanced(folder, orientation, origins):
    """Writes one enhanced multi-frame object, its frames in the opposite order."""
    folder.mkdir()
    ds = make_header()
    del ds.SliceThickness, ds.BodyPartExamined  # an enhanced object has them in its functional groups
    ds.SOPClassUID, ds.SOPInstanceUID = EnhancedMRImageStorage, generate_uid()
    shared, measures = Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [str(SPACING[1]), str(SPACING[0])], "2.5"
    shared.PixelMeasuresSequence = [measures]
    ds.SharedFunctionalGroupsSequence = [shared]
    ds.PerFrameFunctionalGroupsSequence = [Dataset() for _ in origins]
    ds.NumberOfFrames = len(origins)
    set_pixels(ds, len(origins))
    path = folder / "enhanced.dcm"
    save(ds, path)
    frames = range(len(origins))[::-1]
    pairs = zip(frames, origins, strict=True)
    return tuple(
        SourceSlice(path, frame, tuple(origin), orientation, SPACING, (ROWS, COLUMNS)) for frame, origin in pairs
    )


def on_slices(places, modality="MR"):
    """A volume whose grid is the slices themselves."""
    orientation = np.array(places[0].orientation)
    step = np.subtract(places[1].origin_mm, places[0].origin_mm)
    direction = np.stack([orientation[:3], orientation[3:], normal(orientation)], axis=1)
    array = np.zeros((len(places), ROWS, COLUMNS))
    return Volume(
        array, (*SPACING, float(np.linalg.norm(step))), places[0].origin_mm, direction, modality, source=places
    )


@pytest.fixture
def source(tmp_path):
    return on_slices(make_slices(tmp_path / "in", AXIAL, places_along(AXIAL, np.array([0, 0, 2.0]))))


def synthetic(source, modality="CT"):
    array = np.random.default_rng(0).uniform(-1000 if modality == "CT" else 0, 2000, source.shape)
    return source.with_array(array, modality)


def read(files):
    return [pydicom.dcmread(file) for file in files]


def values(ds):
    return ds.pixel_array * float(ds.get("RescaleSlope", 1)) + float(ds.get("RescaleIntercept", 0))


@pytest.mark.parametrize("modality", ["CT", "MR"])
@pytest.mark.parametrize("orientation", [AXIAL, SAGITTAL, OBLIQUE], ids=["axial", "sagittal", "oblique"])
def test_reading_back_gives_values_and_geometry(tmp_path, orientation, modality):
    places = make_slices(tmp_path / "in", orientation, places_along(orientation, 2.0 * normal(orientation)))
    volume = synthetic(on_slices(places), modality)
    files = write_dicom(volume, on_slices(places), tmp_path / "out", "test")
    assert [file.name for file in files] == [f"slice_000{n}.dcm" for n in (1, 2, 3, 4)]
    for number, (ds, place) in enumerate(zip(read(files), places, strict=True), start=1):
        np.testing.assert_allclose(values(ds), volume.array[number - 1], atol=0.5001)
        np.testing.assert_allclose(ds.ImagePositionPatient, place.origin_mm, atol=1e-9)
        np.testing.assert_allclose(ds.ImageOrientationPatient, orientation, atol=1e-9)
        assert (ds.PixelSpacing, ds.SliceThickness, ds.InstanceNumber) == ([1.2, 0.8], 1.5, number)
        assert (ds.BitsStored, ds.PixelRepresentation, ds.Modality) == (16, 1, modality)


def test_tilted_and_uneven_slices_get_the_values_at_their_own_points(tmp_path):
    origins = [np.array([-7.5, 11.25, 3.125 + z]) for z in (0.0, 1.0, 5.0, 12.0)]
    places = make_slices(tmp_path / "in", TILTED, origins)
    z, y, x = np.meshgrid(np.arange(0, 18, 0.5), np.arange(9, 21.0), np.arange(-10, 0.0), indexing="ij")
    field = 30 * x - 20 * y + 50 * z + 7.25  # linear, so that interpolation adds nothing
    volume = Volume(field, (1.0, 1.0, 0.5), (-10.0, 9.0, 0.0), modality="CT", source=places)
    for ds, origin in zip(read(write_dicom(volume, volume, tmp_path / "out", "test")), origins, strict=True):
        row, column = np.mgrid[:ROWS, :COLUMNS]
        x = origin[0] + 0.8 * column
        y = origin[1] + 1.2 * 0.96 * row
        z = origin[2] - 1.2 * 0.28 * row
        np.testing.assert_allclose(values(ds), 30 * x - 20 * y + 50 * z + 7.25, atol=0.51)
        np.testing.assert_allclose(ds.ImagePositionPatient, origin, atol=1e-9)
        np.testing.assert_allclose(ds.ImageOrientationPatient, TILTED, atol=1e-9)


def test_outside_the_grid_lies_air(tmp_path):
    origins = [np.array([0, 0, z]) for z in (0.0, 10.0, 30.0)]
    places = make_slices(tmp_path / "in", AXIAL, origins)
    array = np.full((8, ROWS, COLUMNS), 40.0)
    array[0, 0, 0] = -1000
    volume = Volume(array, (*SPACING, 2.0), modality="CT", source=places)
    slices = [values(ds) for ds in read(write_dicom(volume, volume, tmp_path / "out", "test"))]
    assert (slices[1] == 40).all()
    assert (slices[2] == -1000).all()


def test_slices_read_as_a_regular_grid_are_not_interpolated(tmp_path):
    places = make_slices(tmp_path / "in", AXIAL, [np.array([0, 0, z]) for z in (0.0, 2.09, 3.91, 6.0)])
    volume = Volume(np.zeros((4, ROWS, COLUMNS)), (*SPACING, 2.0), modality="MR", source=places)
    result = synthetic(volume)
    files = write_dicom(result, volume, tmp_path / "out", "test")
    np.testing.assert_allclose([values(ds) for ds in read(files)], result.array, atol=0.5001)


def test_enhanced_source_becomes_single_frame_slices(tmp_path):
    origins = places_along(OBLIQUE, 2.5 * normal(OBLIQUE))
    source = on_slices(make_enhanced(tmp_path / "in", OBLIQUE, origins))
    for number, ds in enumerate(read(write_dicom(synthetic(source), source, tmp_path / "out", "test"))):
        assert ds.SOPClassUID == CTImageStorage
        assert not {"NumberOfFrames", "PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"} & set(
            ds.dir()
        )
        assert ds.SliceThickness == 2.5
        reference = ds.SourceImageSequence[0]
        assert reference.ReferencedSOPClassUID == EnhancedMRImageStorage
        assert reference.ReferencedFrameNumber == 4 - number  # numbered from one; the last frame lies first
        np.testing.assert_allclose(ds.ImagePositionPatient, origins[number], atol=1e-9)


def test_patient_study_and_frame_of_reference_are_the_sources(source, tmp_path):
    files = write_dicom(synthetic(source), source, tmp_path / "out", "test")
    for place, ds in zip(source.source, read(files), strict=True):
        original = pydicom.dcmread(place.path)
        for keyword in """
            PatientName PatientID PatientBirthDate PatientSex SpecificCharacterSet StudyInstanceUID StudyDate
            StudyTime StudyID AccessionNumber ReferringPhysicianName FrameOfReferenceUID PositionReferenceIndicator
            PatientPosition BodyPartExamined SliceThickness AcquisitionNumber
        """.split():  # noqa: SIM905
            assert ds[keyword].value == original[keyword].value, keyword
        assert ds.PatientName == "Müller^Eva"
        assert ds.SourceImageSequence[0].ReferencedSOPInstanceUID == original.SOPInstanceUID
        assert "ReferencedFrameNumber" not in ds.SourceImageSequence[0]


def change_headers(source, **tags):
    for place in source.source:
        header = pydicom.dcmread(place.path)
        for keyword, value in tags.items():
            setattr(header, keyword, value)
        header.save_as(place.path)


def test_only_what_the_standard_asks_for_of_patient_and_study_is_copied(source, tmp_path):
    more = {
        "PatientAge": "050Y",
        "PatientWeight": 70,
        "PatientComments": "x",
        "EthnicGroup": "x",
        "OtherPatientIDs": "x",
    }
    study = {"StudyDescription": "Head of Eva", "PhysiciansOfRecord": "Grün^Ada", "ClinicalTrialSubjectID": "17"}
    removed = {"PatientIdentityRemoved": "YES", "DeidentificationMethod": "by hand"}
    change_headers(source, **more, **study, **removed)
    for ds in read(write_dicom(synthetic(source), source, tmp_path / "out", "test")):
        assert not {*more, *study} & set(ds.dir())
        assert (ds.PatientIdentityRemoved, ds.DeidentificationMethod) == ("YES", "by hand")


def test_a_series_without_identity_is_in_a_study_of_its_own(source, tmp_path):
    files = write_dicom(synthetic(source), source, tmp_path / "out", "test", anonymous=True)
    original, written = pydicom.dcmread(source.source[0].path), read(files)
    content = b"".join(path.read_bytes() for path in files)
    for keyword in ("PatientID", "StudyInstanceUID", "FrameOfReferenceUID", "SOPInstanceUID", "StudyDate"):
        assert str(original[keyword].value).encode() not in content, keyword
    assert b"Eva" not in content and b"Ada" not in content
    assert len({ds.StudyInstanceUID for ds in written}) == 1
    for ds in written:
        assert ds.PatientName == "" and ds.PatientID == ds.PatientBirthDate == ds.StudyDate == ""
        assert ds.PatientIdentityRemoved == "YES" and "left out by kerasgan" in ds.DeidentificationMethod
        assert "SourceImageSequence" not in ds and ds.BodyPartExamined == original.BodyPartExamined
    np.testing.assert_array_equal(read_volume(tmp_path / "out").array, synthetic(source).array.round())


def test_series_and_instances_are_new(source, tmp_path):
    first = read(write_dicom(synthetic(source), source, tmp_path / "one", "test"))
    second = read(write_dicom(synthetic(source), source, tmp_path / "two", "test"))
    originals = read(place.path for place in source.source)
    assert len({ds.SOPInstanceUID for ds in first + second + originals}) == 12
    assert [len({ds.SeriesInstanceUID for ds in series}) for series in (first, second)] == [1, 1]
    assert len({ds.SeriesInstanceUID for ds in first + second + originals}) == 3
    assert {ds.SeriesNumber for ds in first} == {1003}


def test_a_series_uid_that_is_given_decides_those_of_its_images(source, tmp_path):
    for place in source.source:
        header = pydicom.dcmread(place.path)
        del header.FrameOfReferenceUID
        header.save_as(place.path)
    one, same, other = (
        read(write_dicom(synthetic(source), source, tmp_path / name, "test", series_uid=uid))
        for name, uid in [("one", "1.2.3"), ("same", "1.2.3"), ("other", "1.2.4")]
    )
    assert {ds.SeriesInstanceUID for ds in one} == {"1.2.3"}
    for keyword in ("SOPInstanceUID", "FrameOfReferenceUID"):
        uids = [[ds[keyword].value for ds in series] for series in (one, same, other)]
        assert uids[0] == uids[1] and not set(uids[0]) & set(uids[2])
    assert [ds.file_meta.MediaStorageSOPInstanceUID for ds in one] == [ds.SOPInstanceUID for ds in one]
    assert len({ds.SOPInstanceUID for ds in one}) == len(one)


def test_a_series_is_on_the_disk_before_its_folder_has_its_name(source, tmp_path, monkeypatch):
    out, synced, fsync = tmp_path / "out", [], os.fsync

    def seen(descriptor):
        fsync(descriptor)
        synced.append((os.fstat(descriptor).st_ino, out.exists()))

    monkeypatch.setattr(os, "fsync", seen)
    files = write_dicom(synthetic(source), source, out, "test")
    before = {inode for inode, has_name in synced if not has_name}
    assert before == {path.stat().st_ino for path in (*files, out)}
    assert synced[-1] == (tmp_path.stat().st_ino, True)


def test_ct_says_what_it_is(source, tmp_path):
    ds = read(write_dicom(synthetic(source), source, tmp_path / "out", "hiasa2018"))[0]
    assert ds.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert ds.file_meta.ImplementationVersionName.startswith("kerasgan")
    assert (ds.SOPClassUID, ds.ImageType) == (CTImageStorage, ["DERIVED", "SECONDARY", "AXIAL"])
    assert (ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType) == (1, 0, "HU")
    assert (ds.WindowCenter, ds.WindowWidth, ds.BurnedInAnnotation) == (40, 400, "NO")
    assert ds["KVP"].value is None
    assert ds.SeriesDescription == "synthetic CT hiasa2018"
    assert "ynthetic" in ds.ImageComments and "Not for primary diagnosis" in ds.ImageComments
    assert "Synthetic CT computed from MR" in ds.DerivationDescription
    assert "Not for primary diagnosis" in ds.DerivationDescription


def test_equipment_is_kerasgan_and_the_scanner_contributed(source, tmp_path):
    ds = read(write_dicom(synthetic(source), source, tmp_path / "out", "test"))[0]
    scanner, software = ds.ContributingEquipmentSequence
    assert (ds.Manufacturer, software.Manufacturer) == ("kerasgan", "kerasgan")
    assert (scanner.Manufacturer, scanner.ManufacturerModelName) == ("ACME", "Tube 3")
    assert scanner.PurposeOfReferenceCodeSequence[0].CodeValue == "109101"
    assert software.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
    assert software.SoftwareVersions


def test_mr_from_ct(tmp_path):
    places = make_slices(tmp_path / "in", AXIAL, places_along(AXIAL, np.array([0, 0, 2.0])), "CT")
    source = on_slices(places, "CT")
    array = np.linspace(0, 1000, source.array.size).reshape(source.shape)
    ds = read(write_dicom(source.with_array(array, "MR"), source, tmp_path / "out", "test"))[0]
    assert (ds.SOPClassUID, ds.ImageType) == (MRImageStorage, ["DERIVED", "SECONDARY", "OTHER"])
    assert (ds.ScanningSequence, ds.SequenceVariant, ds["EchoTime"].value) == ("RM", "NONE", None)
    assert (ds.WindowCenter, ds.WindowWidth) == (502, 985)  # from the 1st to the 99.5th percentile, 10 to 995
    assert not {"KVP", "RescaleSlope", "RescaleType"} & set(ds.dir())


def test_an_mr_of_few_grey_levels_is_refused(source, tmp_path):
    """As of a model that was trained on MR between 0 and 1; whole numbers would leave black and white."""
    array = np.linspace(0, 1, source.array.size).reshape(source.shape)
    with pytest.raises(KerasganError, match=r"values from 0 to 1, .* 2 grey levels would be left\. Write it as \.nii"):
        write_dicom(source.with_array(array, "MR"), source, tmp_path / "out", "test")
    assert not (tmp_path / "out").exists()


def test_no_private_element_is_copied(source, tmp_path):
    nested = pydicom.dcmread(source.source[0].path)
    nested.AnatomicRegionSequence = [Dataset()]
    nested.AnatomicRegionSequence[0].CodeMeaning = "kept"
    nested.AnatomicRegionSequence[0].add_new(0x00190010, "LO", "ACME PRIVATE")
    nested.save_as(source.source[0].path)
    for ds in read(write_dicom(synthetic(source), source, tmp_path / "out", "test")):
        assert not [element.tag for element in ds.iterall() if element.tag.is_private]
    assert read([tmp_path / "out" / "slice_0001.dcm"])[0].AnatomicRegionSequence[0].CodeMeaning == "kept"


def test_elements_that_are_not_copied_need_not_be_legal(source, tmp_path):
    path = source.source[0].path
    broken = pydicom.dcmread(path)
    broken.add_new(0x00290010, "LO", "ACME PRIVATE 2")
    broken.add_new(0x00291010, "LO", "NOT A VR")
    broken.save_as(path)
    content = path.read_bytes()
    at = content.index(b"\x29\x00\x10\x10LO")
    path.write_bytes(content[: at + 4] + b"QQ" + content[at + 6 :])
    assert len(write_dicom(synthetic(source), source, tmp_path / "out", "test")) == 4


def test_a_big_endian_source_is_written_little_endian(tmp_path):
    places = make_slices(tmp_path / "in", AXIAL, places_along(AXIAL, np.array([0, 0, 2.0])), syntax=ExplicitVRBigEndian)
    source = on_slices(places)
    ds = read(write_dicom(synthetic(source), source, tmp_path / "out", "test"))[0]
    assert (ds.PatientID, ds.SliceThickness, ds.Rows) == ("P-1", 1.5, ROWS)


def test_what_the_source_lacks_is_empty(tmp_path):
    drop = ["PatientSex", "StudyDate", "PositionReferenceIndicator", "PatientPosition", "SliceThickness"]
    drop += ["AcquisitionNumber", "BodyPartExamined", "Manufacturer", "SeriesNumber", "FrameOfReferenceUID"]
    places = make_slices(tmp_path / "in", AXIAL, places_along(AXIAL, np.array([0, 0, 2.0])), drop=drop)
    source = on_slices(places)
    series = read(write_dicom(synthetic(source), source, tmp_path / "out", "test"))
    for keyword in [*drop[:6], "Laterality"]:
        assert not series[0][keyword].value, keyword
    assert (series[0].Manufacturer, series[0].SeriesNumber) == ("kerasgan", 1000)
    assert len(series[0].ContributingEquipmentSequence) == 1
    assert len({ds.FrameOfReferenceUID for ds in series}) == 1


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        ("Synthetic CT, run 5", "Synthetic CT, run 5"),
        ("run 5", "synthetic CT run 5"),
        ("synthetic a\\b", "synthetic a/b"),
        ("synthetic é", "synthetic ?"),
        ("x" * 80, "synthetic CT " + "x" * 51),
    ],
)
def test_series_description_is_marked_and_legal(source, tmp_path, description, expected):
    assert read(write_dicom(synthetic(source), source, tmp_path / "out", description))[0].SeriesDescription == expected


def test_an_empty_folder_is_filled_and_a_full_one_refused(source, tmp_path):
    out = tmp_path / "new" / "out"
    out.mkdir(parents=True)
    assert len(write_dicom(synthetic(source), source, out, "test")) == 4
    with pytest.raises(KerasganError, match=r"out exists and is not an empty folder\. Name a new folder"):
        write_dicom(synthetic(source), source, out, "test")
    assert len(list(out.iterdir())) == 4
    with pytest.raises(KerasganError, match=r"slice_0001\.dcm exists and is not an empty folder"):
        write_dicom(synthetic(source), source, out / "slice_0001.dcm", "test")


def test_a_source_without_dicom_slices_is_refused(tmp_path):
    volume = Volume(np.zeros((2, 3, 4)), (1, 1, 1), modality="CT")
    with pytest.raises(ValueError, match=r"not read from DICOM.*write NIfTI, MHA or NRRD"):
        write_dicom(volume, volume, tmp_path / "out", "test")


def test_another_grid_is_refused(source, tmp_path):
    volume = Volume(np.zeros((2, 3, 4)), (1, 1, 1), modality="CT")
    with pytest.raises(ValueError, match=r"\(4, 6, 5\).*got \(2, 3, 4\).*Resample it first"):
        write_dicom(volume, source, tmp_path / "out", "test")


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (40000.0, r"Slice 3 of out.*40000 do not fit the 16-bit range.*Clip or rescale"),
        (np.nan, "1 of 30 voxels are NaN"),
    ],
)
def test_values_that_do_not_fit_are_refused_and_nothing_is_left(source, tmp_path, bad, message):
    array = np.zeros(source.shape)
    array[2, 1, 1] = bad
    with pytest.raises(KerasganError, match=message):
        write_dicom(source.with_array(array, "CT"), source, tmp_path / "out", "test")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_full_disk_leaves_nothing(source, tmp_path, monkeypatch):
    def full(path, *args, **options):
        if Path(path).name == "slice_0003.dcm":
            raise OSError(errno.ENOSPC, "No space left on device")
        pydicom.dcmwrite(path, *args, **options)

    monkeypatch.setattr(dicom_write, "dcmwrite", full)
    with pytest.raises(KerasganError, match=r"Cannot write .*out: No space left on device\. Free some space"):
        write_dicom(synthetic(source), source, tmp_path / "out", "test")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_source_that_is_gone_or_not_dicom_is_named(source, tmp_path):
    path = source.source[1].path
    path.write_bytes(b"no DICOM at all")
    with pytest.raises(
        DicomError, match=r"The source has no Study Instance UID \(0020,000D\).*Export the source again"
    ):
        write_dicom(synthetic(source), source, tmp_path / "out", "test")
    path.unlink()
    with pytest.raises(DicomError, match=r"file of the source cannot be read again.*Keep the source"):
        write_dicom(synthetic(source), source, tmp_path / "out", "test")


@pytest.mark.parametrize(("text", "number"), [("REMOVD", 1000), ("2147483600", 2**31 - 1), ("7\\8", 1007)])
def test_a_series_number_of_any_kind_is_followed(tmp_path, with_text, text, number):
    source = on_slices(make_slices(tmp_path / "in", AXIAL, places_along(AXIAL, np.array([0, 0, 2.0]))))
    for place in source.source:
        with_text(place.path, "SeriesNumber", text)
    (first, *_) = write_dicom(synthetic(source), source, tmp_path / "out", "test")
    assert pydicom.dcmread(first).SeriesNumber == number


def test_words_in_place_of_numbers_are_left_out(tmp_path, with_text):
    source = on_slices(make_slices(tmp_path / "in", AXIAL, places_along(AXIAL, np.array([0, 0, 2.0]))))
    for place in source.source:
        for keyword in ("SliceThickness", "AcquisitionNumber", "PatientWeight", "SliceLocation"):
            with_text(place.path, keyword, "5,5 ab")
    (first, *_) = write_dicom(synthetic(source), source, tmp_path / "out", "test")
    written = pydicom.dcmread(first)
    assert (written.SliceThickness, written.AcquisitionNumber) == (None, None)
    assert "PatientWeight" not in written and "SliceLocation" not in written


def complaints(tool, *files):
    """What a validator of dicom3tools reports as an error."""
    result = subprocess.run(
        [program(tool, package="dicom3tools"), *map(str, files)], capture_output=True, text=True, check=False
    )
    return {line for line in (result.stdout + result.stderr).splitlines() if "Error" in line}


@pytest.mark.parametrize(("given", "made"), [("MR", "CT"), ("CT", "MR"), ("MR", "MR"), ("CT", "CT")])
def test_a_validator_finds_no_error(tmp_path, given, made):
    source = on_slices(
        make_slices(tmp_path / "in", OBLIQUE, places_along(OBLIQUE, 2.0 * normal(OBLIQUE)), given), given
    )
    files = write_dicom(synthetic(source, made), source, tmp_path / "out", "test")
    assert complaints("dciodvfy", source.source[0].path) == set()
    assert [complaints("dciodvfy", file) for file in files] == [set()] * 4
    assert complaints("dcentvfy", *files) == set()


def test_a_validator_finds_no_error_in_slices_of_an_enhanced_source(tmp_path):
    source = on_slices(make_enhanced(tmp_path / "in", AXIAL, places_along(AXIAL, np.array([0, 0, 2.0]))))
    files = write_dicom(synthetic(source), source, tmp_path / "out", "test")
    assert [complaints("dciodvfy", file) for file in files] == [set()] * 4
    assert complaints("dcentvfy", *files) == set()


def test_slices_of_its_own_make_a_series_in_the_sources_frame_of_reference(tmp_path):
    source = on_slices(make_slices(tmp_path / "in", SAGITTAL, places_along(SAGITTAL, 2.0 * normal(SAGITTAL))))
    axial = axial_slices(synthetic(source), 2.5)
    files = write_dicom(axial, source, tmp_path / "out", "test", resliced=True)
    assert [complaints("dciodvfy", file) for file in files] == [set()] * len(axial.array)
    assert complaints("dcentvfy", *files) == set()
    first, last = pydicom.dcmread(files[0]), pydicom.dcmread(files[-1])
    acquired = pydicom.dcmread(source.source[0].path)
    assert first.FrameOfReferenceUID == acquired.FrameOfReferenceUID and first.PatientID == "P-1"
    assert first.ImageOrientationPatient == [1, 0, 0, 0, 1, 0]
    assert first.SliceThickness == first.SpacingBetweenSlices == 2.5 and "SourceImageSequence" not in first
    assert last.ImagePositionPatient[2] - first.ImagePositionPatient[2] == 2.5 * (len(files) - 1)
    again = read_volume(tmp_path / "out")
    assert again.same_grid(axial)
    np.testing.assert_allclose(again.array, np.rint(axial.array), atol=0.01)


def test_spacing_between_slices_is_that_of_regular_ones(source, tmp_path):
    (first, *_) = write_dicom(synthetic(source), source, tmp_path / "out", "test")
    assert pydicom.dcmread(first).SpacingBetweenSlices == pytest.approx(source.spacing_mm[2])
    uneven = [np.array([-7.5, 11.25, 3.125 + z]) for z in (0.0, 2.0, 4.0, 7.0)]
    make_slices(tmp_path / "in uneven", AXIAL, uneven)
    source = read_volume(tmp_path / "in uneven")
    (first, *_) = write_dicom(synthetic(source), source, tmp_path / "out uneven", "test")
    assert "SpacingBetweenSlices" not in pydicom.dcmread(first)


def test_the_reader_takes_the_series_back(tmp_path):
    origins = [np.array([-7.5, 11.25, 3.125 + z]) for z in (0.0, 2.0, 4.0, 7.0)]
    make_slices(tmp_path / "in", TILTED, origins)
    source = read_volume(tmp_path / "in")
    write_dicom(source.with_array(np.full(source.shape, 37.0), "CT"), source, tmp_path / "out", "test")
    back = read_volume(tmp_path / "out")
    assert (back.modality, len(back.source)) == ("CT", 4)
    assert back.same_grid(source, tolerance_mm=1e-4)
    assert [place.origin_mm for place in back.source] == [place.origin_mm for place in source.source]
