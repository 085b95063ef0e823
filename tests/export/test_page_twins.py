"""The page's own code beside the Python package on the same files: voxel by voxel, attribute by attribute."""

import gzip
import json
import re
import struct
import subprocess
import threading
import zlib
from importlib.metadata import version
from pathlib import Path
from typing import get_args

import numpy as np
import pydicom
import pytest
import SimpleITK
from made_up_series import AXIAL, SAGITTAL, head, write_series
from needed import program
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian, generate_uid

from kerasgan.errors import ExportError, KerasganError
from kerasgan.export import export_tflite, read_contract
from kerasgan.export.page import WEB, page_server
from kerasgan.io import discover, read_volume, write_dicom
from kerasgan.io.frames import TRAITS, FrameHeader
from kerasgan.io.stacks import split_crowded
from kerasgan.runs.contract import contract as contract_of_run
from kerasgan.scans.bias_field import correct_bias
from kerasgan.scans.contract import Contract
from kerasgan.scans.expected_error import ExpectedError
from kerasgan.scans.gate import fit_gate
from kerasgan.scans.geometry import Enlarging, SliceGrid, grown, oriented, slice_grid
from kerasgan.scans.intensity import body_mask
from kerasgan.scans.preparation import preparation_of, prepare
from kerasgan.scans.volume import SourceSlice, Volume
from kerasgan.translation.of_tflite import TFLiteTranslator
from kerasgan.translation.tflite_metadata import with_digest

PIXEL_MM, SIZE = 2.5, (36, 32)


def rotated(*degrees):
    """Image Orientation (Patient) of axial slices that are turned about the three axes of the patient."""
    matrix = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees)):
        one, other = (axis + 1) % 3, (axis + 2) % 3
        turn = np.eye(3)
        turn[[one, other], [one, other]] = np.cos(angle)
        turn[one, other], turn[other, one] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    return tuple(matrix[:, :2].T.ravel().round(6).tolist())


ORIENTATIONS = {
    "axial": AXIAL,
    "feet first, face down": (-1, 0, 0, 0, 1, 0),
    "sagittal": SAGITTAL,
    "coronal": (1, 0, 0, 0, 0, -1),
    "tilted": rotated(25, 0, 0),
    "oblique": rotated(30, -25, 20),
    "nearly undecided": rotated(-45, -40, 20),
}


def body(modality, shape=(14, 48, 44)):
    """A head in noise that fades towards both ends; in CT upon a thin table, with air inside."""
    array = head(shape, modality=modality).astype(float)
    fading = 1 - 0.3 * np.abs(np.linspace(-1, 1, shape[0]))[:, None, None]
    array = array * fading if modality == "MR" else np.where(array > -500, array * fading, array)
    if modality == "CT":
        array[:, -4:-2, 4:-4] = 200
    return np.rint(array).astype(np.int16)


@pytest.fixture
def in_node(tmp_path):
    """Runs the page's modules on files; gives a reader of the arrays they wrote, their geometry and the folder.

    In place of all that, it gives the text with which the page refuses the files.
    """
    node = program("node", package="nodejs")

    def run(files, modality, contract=None):
        job = {"files": [str(file) for file in files], "modality": modality, "pixel_mm": PIXEL_MM, "size": SIZE}
        folder = tmp_path / f"page {len(list(tmp_path.glob('page *')))}"
        folder.mkdir()
        (folder / "job.json").write_text(json.dumps(job | {"contract": contract}))
        script = Path(__file__).with_name("page_twins.mjs")
        done = subprocess.run([node, script, WEB, folder], capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        if (folder / "refusal.txt").exists():
            return (folder / "refusal.txt").read_text()
        geometry = json.loads((folder / "geometry.json").read_text())
        return lambda name, kind=np.float32: np.fromfile(folder / f"{name}.{kind.__name__}", kind), geometry, folder

    return run


def check_scan(volume, array, geometry):
    """Compares reading, turning, body mask and resampling of the page with those of the package."""
    axial = oriented(volume)
    for ours, theirs in ((geometry["scan"], volume), (geometry["axial"], axial)):
        assert tuple(ours["shape"]) == theirs.shape
        np.testing.assert_allclose(ours["spacing"], theirs.spacing_mm[::-1], atol=1e-4)
        np.testing.assert_allclose(ours["axes"], theirs.direction.T[::-1], atol=1e-5)
        np.testing.assert_allclose(ours["origin"], theirs.origin_mm, atol=1e-3)
    np.testing.assert_array_equal(array("scan"), volume.array.ravel())
    np.testing.assert_array_equal(array("axial"), axial.array.ravel())
    np.testing.assert_array_equal(array("returned"), volume.array.ravel())
    mask = body_mask(axial)
    assert 0.1 < mask.mean() < 0.9
    np.testing.assert_array_equal(array("body", np.uint8), mask.ravel())
    np.testing.assert_array_equal(array("grown", np.uint8), np.ravel([*grown(mask, axial.spacing_mm, 4.0)]))
    grid = slice_grid(axial, PIXEL_MM, min(SIZE), crop=False)
    assert tuple(geometry["scaled"]) == grid.scaled
    grid = SliceGrid(grid.source, grid.scaled, SIZE)
    network = grid.to_network(axial.array, -7)
    np.testing.assert_allclose(array("network"), network.ravel(), atol=2e-3)
    for enlarging in get_args(Enlarging):
        np.testing.assert_allclose(array(enlarging), grid.to_source(network, -7, enlarging).ravel(), atol=4e-3)


@pytest.mark.parametrize("modality", ["MR", "CT"])
@pytest.mark.parametrize("orientation", ORIENTATIONS.values(), ids=ORIENTATIONS)
def test_dicom_series(in_node, tmp_path, modality, orientation):
    series = write_series(tmp_path / "series", body(modality), orientation, modality=modality)
    array, geometry, _ = in_node(sorted(series.iterdir()), modality)
    check_scan(read_volume(series), array, geometry)


def without_air(shape, coil):
    """Fat and muscle from border to border; through a coil in their middle, what is far from it is dark."""
    y, x = np.mgrid[-1 : 1 : shape[1] * 1j, -1 : 1 : shape[2] * 1j]
    muscle = np.abs(np.sin(4 * x) + np.cos(5 * y)) < 0.9
    values = np.where(muscle, 90, 360) / (0.1 + x**2 + y**2 if coil else 1)
    return np.rint(values + np.random.default_rng(0).normal(0, 5, shape)).astype(np.int16)


@pytest.mark.parametrize("coil", [False, True])
def test_an_mr_that_the_body_fills(in_node, tmp_path, coil):
    series = write_series(tmp_path / "series", without_air((3, 60, 54), coil))
    array, _, _ = in_node(series.iterdir(), "MR")
    assert array("body", np.uint8).all() and body_mask(oriented(read_volume(series))).all()


@pytest.mark.parametrize("noise", [0, 12, 60])
@pytest.mark.parametrize("modality", ["MR", "CT"])
def test_legs_in_air(in_node, tmp_path, modality, noise):
    values = np.abs(np.random.default_rng(0).normal(0, noise, (4, 48, 60)))
    for left, side in ((4, 26), (38, 12), (54, 5)):  # the second is a fifth of the first, the third less than a tenth
        values[:, 8 : 8 + side, left : left + side] += 300
    values = np.rint(values if modality == "MR" else values * 3 - 900).astype(np.int16)
    series = write_series(tmp_path / "series", values, modality=modality)
    array, geometry, _ = in_node(series.iterdir(), modality)
    check_scan(read_volume(series), array, geometry)
    mask = array("body", np.uint8).reshape(values.shape)
    assert mask[:, 20, 16].all() and mask[:, 14, 44].all() and not mask[:, 10, 56].any()


@pytest.mark.parametrize("modality", ["MR", "CT"])
@pytest.mark.parametrize("spacing", [[3.2, 1.6], [0.9, 0.9], [1.0, 5.0]])
def test_pixels_of_other_sizes(in_node, tmp_path, modality, spacing):
    """Radii of half a pixel, such as 8 mm at 3.2 mm, are rounded alike."""
    series = write_series(tmp_path / "series", body(modality, (6, 70, 60)), modality=modality, PixelSpacing=spacing)
    array, geometry, _ = in_node(series.iterdir(), modality)
    check_scan(read_volume(series), array, geometry)


@pytest.mark.parametrize("name", ["scan.nii.gz", "scan.nii", "scan.mha"])
def test_other_formats(in_node, tmp_path, name):
    image = SimpleITK.GetImageFromArray(body("MR").astype(np.float32))
    image.SetSpacing((1.9, 2.1, 3.0))
    image.SetOrigin((5.0, -7.0, 11.0))
    cosines = np.reshape(rotated(30, -25, 20), (2, 3))
    image.SetDirection(np.stack([*cosines, np.cross(*cosines)], axis=1).ravel().tolist())
    SimpleITK.WriteImage(image, str(tmp_path / name), name.endswith("mha"))
    array, geometry, _ = in_node([tmp_path / name], "MR")
    check_scan(read_volume(tmp_path / name), array, geometry)


def patched(offset, content):
    """A change of a NIfTI header."""
    return lambda path: path.write_bytes(
        path.read_bytes()[:offset] + content + path.read_bytes()[offset + len(content) :]
    )


def replaced(old, new):
    """A change of a MetaImage header."""

    def change(path):
        assert old in path.read_bytes()
        path.write_bytes(path.read_bytes().replace(old, new, 1))

    return change


def negative_side(path):
    patched(80, struct.pack("<f", -1))(path)
    patched(254, struct.pack("<h", 0))(path)


SHEAR = struct.pack("<12f", 1, 0, 0.2, 0, 0, 1, 0, 0, 0, 0, 1, 0)
DAMAGE = {
    "no orientation": ("nii", patched(252, struct.pack("<hh", 0, 0))),
    "negative side": ("nii", negative_side),
    "sheared": ("nii", patched(280, SHEAR)),
    "other sides": ("nii", patched(80, struct.pack("<f", 3))),
    "half of a pair": ("nii", patched(344, b"ni1")),
    "unknown unit": ("nii", patched(123, b"\x07")),
    "moved qform": ("nii", patched(268, struct.pack("<f", 40))),
    "three components": ("nii", patched(40, struct.pack("<6h", 5, 44, 48, 4, 1, 3))),
    "cut": ("nii", lambda path: path.write_bytes(path.read_bytes()[:-100])),
    "followed by as much": ("nii", lambda path: path.write_bytes(path.read_bytes() + bytes(100_000))),
    "sheared axes": ("mha", replaced(b"1 0 0 0 1 0 0 0 1", b"1 0 0 .1 .995 0 0 0 1")),
    "in cm": ("mha", replaced(b"NDims", b"DistanceUnits = cm\nNDims")),
    "two channels": ("mha", replaced(b"NDims", b"ElementNumberOfChannels = 2\nNDims")),
    "a metre apart": ("mha", replaced(b"ElementSpacing = 1 1 1", b"ElementSpacing = 1 1 1000")),
    "far away": ("mha", replaced(b"Offset = 0 0 0", b"Offset = 0 0 1e9")),
    "mirrored": ("mha", replaced(b"ElementSpacing = 1 1 1", b"ElementSpacing = 1 1 -1")),
    "scaled": ("mha", replaced(b"NDims", b"ElementToIntensityFunctionSlope = 2\nNDims")),
    "whole": ("mha", lambda path: None),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_the_package_refuses_the_page_refuses(in_node, tmp_path, damage):
    kind, change = DAMAGE[damage]
    path = tmp_path / f"scan.{kind}"
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(body("MR", (4, 48, 44)).astype(np.float32)), str(path))
    change(path)
    compare(in_node, path, "MR")


def compare(in_node, path, modality):
    """The page and the package refuse a file both, or read the same values and places from it."""
    found = in_node([path], modality)
    try:
        volume = read_volume(path, modality=modality)
    except KerasganError:
        assert isinstance(found, str) and path.name in found
        return False
    assert not isinstance(found, str), found
    check_scan(volume, *found[:2])
    return True


def packed_bombs(folder):
    """Files of some 300 kB that would inflate to 256 MiB, and such whose header says what so few bytes cannot hold."""
    image = SimpleITK.GetImageFromArray(body("MR", (4, 48, 44)).astype(np.float32))
    for kind, window in (("nii", zlib.MAX_WBITS | 16), ("mha", zlib.MAX_WBITS)):
        SimpleITK.WriteImage(image, str(folder / f"plain.{kind}"))
        content = (folder / f"plain.{kind}").read_bytes()
        packer = zlib.compressobj(1, wbits=window)
        if kind == "nii":
            packed = packer.compress(content)
            vast = gzip.compress(content[:42] + struct.pack("<3h", 4000, 4000, 60) + content[48:])
        else:
            end = content.index(b"LOCAL\n") + len(b"LOCAL\n")
            head = content[:end].replace(b"CompressedData = False", b"CompressedData = True")
            packed = packer.compress(content[end:])
            vast = head.replace(b"44 48 4\n", b"4000 4000 60\n") + zlib.compress(content[end:])
        packed += b"".join(packer.compress(bytes(2**24)) for _ in range(16)) + packer.flush()
        suffix = "nii.gz" if kind == "nii" else kind
        (folder / f"bomb.{suffix}").write_bytes(packed if kind == "nii" else head + packed)
        (folder / f"vast.{suffix}").write_bytes(vast)
        (folder / f"plain.{kind}").unlink()
    return sorted(folder.iterdir())


def test_what_a_packed_file_inflates_to_is_bounded(tmp_path):
    files = packed_bombs(tmp_path)
    script = f"""
        const {{readImage}} = await import({(WEB / "images.js").as_uri()!r});
        const {{existsSync, readFileSync}} = await import('node:fs');
        const status = '/proc/self/status';  // maxRSS begins with what the parent process takes, on Linux
        const peak = () => existsSync(status)
            ? Number(/VmHWM:\\s+(\\d+)/.exec(readFileSync(status, 'utf8'))[1]) : process.resourceUsage().maxRSS;
        const [said, before] = [[], peak()];
        for (const file of {[str(file) for file in files]}) {{
            const bytes = new Uint8Array(readFileSync(file)).buffer;
            said.push(await readImage(file.split('/').pop(), bytes, 'MR').catch(({{message}}) => message));
        }}
        console.log(JSON.stringify([said, peak() - before]));
    """
    words = [program("node", package="nodejs"), "--input-type=module", "--eval", script]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=120)
    said, taken_kib = json.loads(done.stdout)
    for file, message in zip(files, said, strict=True):
        needed = "many more bytes" if file.name.startswith("bomb") else r"is truncated: .* cannot hold so many; copy it"
        assert re.search(f"^{file.name} .*{needed}", message)
        with pytest.raises(KerasganError, match=r"many more bytes|cut short"):
            read_volume(file, modality="MR")
    assert taken_kib < 50 * 1024


VALUES = {
    "CT": body("CT", (4, 48, 44)),
    "MR": body("MR", (4, 48, 44)),
    "HU + 1024": body("CT", (4, 48, 44)) + 1024,
    "8 bits": np.rint(body("MR", (4, 48, 44)).clip(0, 400) / 2),
    "windowed": (body("CT", (4, 48, 44)).clip(-160, 240) + 160.0) * 10,
    "inside a body": body("CT", (4, 48, 44))[:, 12:30, 8:16] + 0.5,
    "labels": np.digitize(body("MR", (4, 48, 44)), [50, 200]),
    "constant": np.full((4, 48, 44), 7),
    "NaN": np.where(body("MR", (4, 48, 44)) > 350, np.nan, body("MR", (4, 48, 44))),
}


@pytest.mark.parametrize("modality", ["CT", "MR"])
@pytest.mark.parametrize("values", VALUES)
def test_values_that_are_of_another_modality_or_of_none(in_node, tmp_path, values, modality):
    array = VALUES[values]
    path = tmp_path / "scan.nii"
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(array.astype(np.float32)), str(path))
    found = in_node([path], modality)
    try:
        taken = read_volume(path, modality=modality).modality == modality
    except KerasganError:
        taken = False
    assert isinstance(found, str) != taken, found


def every_second(keyword, value):
    """A change of every second file of a series."""

    def change(folder):
        for path in sorted(folder.iterdir())[::2]:
            dataset = pydicom.dcmread(path)
            setattr(dataset, keyword, value)
            dataset.save_as(path)

    return change


def twice(keyword, *values):
    """A series with a second one of other pixels at its positions, each with a value of an attribute."""

    def change(folder):
        for path in sorted(folder.iterdir()):
            dataset = pydicom.dcmread(path)
            for value in values:
                setattr(dataset, keyword, value)
                dataset.SOPInstanceUID = generate_uid()
                dataset.save_as(path.with_name(f"{path.name}-{value}"))
                dataset.PixelData = (dataset.pixel_array // 2).tobytes()
            path.unlink()

    return change


def changed(keyword, value, numbers):
    """A change of the files of some numbers, from the top of the scan."""

    def change(folder):
        for path in [sorted(folder.iterdir())[number] for number in numbers]:
            dataset = pydicom.dcmread(path)
            setattr(dataset, keyword, value)
            dataset.save_as(path)

    return change


def repeated(folder):
    """Writes a slice twice, under another UID."""
    dataset = pydicom.dcmread(path := sorted(folder.iterdir())[2])
    dataset.SOPInstanceUID = generate_uid()
    dataset.save_as(path.with_name("again"))


def without_vr(change):
    """A change, after which the files are in implicit VR."""

    def convert(folder):
        change(folder)
        for path in folder.iterdir():
            to_implicit(path)

    return convert


def to_implicit(path):
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    dataset.save_as(path, implicit_vr=True, little_endian=True)


UPPER = range(3)
HEADERS = {
    "two b values": ("MR", {}, without_vr(twice("DiffusionBValue", 0.0, 1000.0))),
    "a b value of its upper half": ("MR", {}, changed("DiffusionBValue", 800.0, UPPER)),
    "two effective echo times": ("MR", {}, twice("EffectiveEchoTime", 20.0, 80.0)),
    "two time indices": ("MR", {}, without_vr(twice("TemporalPositionIndex", 1, 2))),
    "acquired in turn": ("MR", {"AcquisitionNumber": 1}, every_second("AcquisitionNumber", 2)),
    "an image type of one slice": ("MR", {}, changed("ImageType", ["ORIGINAL", "PRIMARY", "M", "NORM"], [2])),
    "two images that nothing tells apart": ("MR", {}, twice("InstanceNumber", 1, 2)),
    "a slice that is there twice": ("MR", {}, repeated),
    "two frames of reference": ("MR", {}, changed("FrameOfReferenceUID", "1.2", UPPER)),
    "rounded cosines": ("MR", {}, changed("ImageOrientationPatient", [1, 0, 0.0006, 0, 1, 0], [2])),
    "slope 0": ("CT", {"RescaleSlope": 0}, None),
    "padding that is water": ("CT", {"PixelPaddingValue": 30}, None),
    "padding that is dark tissue": ("MR", {"PixelPaddingValue": 20, "PixelPaddingRangeLimit": 0}, None),
    "padding that nothing else has": ("MR", {"PixelPaddingValue": -30, "PixelPaddingRangeLimit": 4}, None),
    "another modality": ("MR", {"Modality": "CT"}, None),
    "scout": ("MR", {"SeriesDescription": "3-plane Scout"}, None),
    "MIP": ("MR", {"ImageType": ["DERIVED", "SECONDARY", "MIP"]}, None),
    "phase": ("MR", {"ComplexImageComponent": "PHASE"}, None),
    "atomic numbers": ("CT", {"RescaleType": "Z_EFF"}, None),
    "bits at the upper end": ("MR", {"BitsStored": 12, "HighBit": 15}, None),
    "colour": ("MR", {"PhotometricInterpretation": "PALETTE COLOR"}, None),
    "not orthogonal": ("MR", {"ImageOrientationPatient": [1, 0, 0, 0.5, 0.8, 0]}, None),
    "a metre wide": ("MR", {"PixelSpacing": [1000, 1000]}, None),
    "two patients": ("MR", {}, every_second("PatientID", "another one")),
    "two echoes": ("MR", {}, every_second("EchoTime", 90)),
    "two kernels": ("CT", {"ConvolutionKernel": "B30"}, every_second("ConvolutionKernel", "B70")),
    "values that no CT has": ("CT", {"RescaleSlope": 1000}, None),
}


@pytest.mark.parametrize("header", HEADERS)
def test_a_series_that_the_package_refuses_the_page_refuses(in_node, tmp_path, header):
    modality, attributes, change = HEADERS[header]
    series = write_series(tmp_path / "series", body(modality, (6, 48, 44)), modality=modality, **attributes)
    if change:
        change(series)
    found = in_node(series.iterdir(), modality)
    try:
        volume = read_volume(series)
    except KerasganError:
        assert isinstance(found, str)
        traits = [trait for scan in discover(series) if scan.usable for trait in scan.traits]
        assert all(trait.removesuffix(".0") in found for trait in traits), found
    else:
        assert not isinstance(found, str), found
        np.testing.assert_array_equal(found[0]("scan"), volume.array.ravel())


def made_up_frames(rng):
    """Slices of up to three scans at the same places, in turn or end to end, with attributes of all kinds."""
    slices, scans = int(rng.integers(2, 8)), int(rng.integers(2, 4))
    apart_mm = rng.choice([0.0, 0.0, 0.005, 1.0, 1.5, 3.0 * slices])
    chosen = [*rng.choice(len(TRAITS), 2, replace=False)]
    frames = []
    for scan, number in np.ndindex(scans, slices):
        if rng.random() < 0.02:
            continue  # a slice is missing
        values = [""] * len(TRAITS)
        for index, kind in zip(chosen, rng.choice(4, 2, p=[0.6, 0.1, 0.2, 0.1]), strict=True):
            values[index] = str((scan, number % 2, 2 * number // slices, int(rng.random() < 0.1))[kind] or "")
        place = SourceSlice(Path(), 0, (0.0, 0.0, 3.0 * number + scan * apart_mm), AXIAL, (1.0, 1.0), (8, 8))
        header = dict.fromkeys(("study_uid", "series_uid", "series_number", "description", "frame_of_reference"), "")
        header |= {"patient": "", "number": None, "modality": "MR", "thickness_mm": 0.0, "synthetic": False}
        frames.append(FrameHeader(path=Path(str(len(frames))), traits=tuple(values), reason="", slice=place, **header))
    return frames


def test_slices_are_split_into_scans_as_the_package_splits_them():
    script = f"""
        const {{splitCrowded, TRAITS}} = await import({(WEB / "stacks.js").as_uri()!r});
        const {{readFileSync}} = await import('node:fs');
        const names = (slices) => slices.map(({{name}}) => name);
        const split = (slices) => splitCrowded(slices).map((scan) => [names(scan.slices), scan.traits]);
        console.log(JSON.stringify([Object.keys(TRAITS), JSON.parse(readFileSync(0)).map(split)]));
    """
    rng = np.random.default_rng(0)
    cases = [frames for frames in (made_up_frames(rng) for _ in range(400)) if frames]
    expected = [
        [[[str(frame.path) for frame in part], list(traits)] for part, traits in split_crowded(frames)]
        for frames in cases
    ]
    assert 60 < sum(len(parts) > 1 for parts in expected) < 340
    job = [
        [{"name": str(one.path), "distance": one.slice.origin_mm[2], "traits": one.traits} for one in frames]
        for frames in cases
    ]
    words = [program("node", package="nodejs"), "--input-type=module", "--eval", script]
    done = subprocess.run(words, input=json.dumps(job), capture_output=True, text=True, check=True, timeout=120)
    assert json.loads(done.stdout) == [list(TRAITS), expected]


def test_a_hole_in_a_series_that_the_package_refuses_the_page_refuses(in_node, tmp_path):
    series = write_series(tmp_path / "series", body("MR", (4, 48, 44)), heights=[0, 3, 6, 66])
    assert "A hole of 60" in in_node(series.iterdir(), "MR")
    with pytest.raises(KerasganError, match="hole"):
        read_volume(series)


RICH_HEADER = {  # of a patient and a study as they come: some of it the series must keep, and some not
    "SpecificCharacterSet": ["", "ISO 2022 IR 87"],
    "PatientName": "Yamada^Tarou=山田^太郎",
    "PatientSex": "M",
    "PatientAge": "061Y",
    "PatientWeight": "70.50",
    "StudyDate": "20240229",
    "StudyTime": "101112.5",
    "StudyDescription": "Skull base",
    "AccessionNumber": "A1",
    "PhysiciansOfRecord": ["One^A", "Two^B"],
    "AcquisitionDate": "20240229",
    "AcquisitionNumber": 3,
    "BodyPartExamined": "HEAD",
    "Laterality": "L",
    "PatientPosition": "HFS",
    "BurnedInAnnotation": "YES",
    "LossyImageCompression": "01",
    "LossyImageCompressionRatio": "10",
    "PatientIdentityRemoved": "YES",
    "DeidentificationMethod": "by hand",
    "ManufacturerModelName": "A Model",
    "SoftwareVersions": ["1", "2"],
    "PatientComments": "two\r\nlines",
    "EthnicGroup": "",
    "ClinicalTrialSubjectID": "S1",
    "PatientSize": "1.8",
    "ReferencedStudySequence": [Dataset()],
    "OtherPatientIDsSequence": [Dataset()],
}


@pytest.mark.parametrize("implicit", [False, True], ids=["explicit", "implicit"])
@pytest.mark.parametrize(("modality", "target"), [("MR", "CT"), ("CT", "MR")])
def test_attributes_of_the_synthetic_series(in_node, tmp_path, modality, target, implicit):
    array = body(modality, (4, 24, 22))
    series = write_series(tmp_path / "series", array, rotated(30, -25, 20), modality=modality, **RICH_HEADER)
    for path in series.iterdir() if implicit else ():
        to_implicit(path)
    sides = {"source": {"modality": modality}, "target": {"modality": target}}
    about = {"kerasgan": version("kerasgan"), "recipe": "hiasa2018", "quick": True, "weights": "float16"}
    _, _, folder = in_node(series.iterdir(), modality, sides | about)
    volume = read_volume(series)
    synthetic, name = volume.with_array(2 * volume.array - 100.25, target), f"Synthetic {target} (hiasa2018, quick run)"
    expected = write_dicom(synthetic, volume, tmp_path / "package", name, engine="LiteRT float16")
    written = sorted((folder / "written").iterdir())
    assert [path.name for path in written] == [path.name for path in expected]
    for ours, theirs in zip(map(pydicom.dcmread, written), map(pydicom.dcmread, expected), strict=True):
        check_attributes(ours, theirs)
        assert ours.file_meta.dir() == theirs.file_meta.dir()
        assert ours.file_meta.MediaStorageSOPInstanceUID == ours.SOPInstanceUID
    assert complaints(written[0]) <= complaints(expected[0])


def complaints(path):
    """Returns what a validator finds wrong; the made-up source itself has errors, which go along."""
    command = [program("dciodvfy", package="dicom3tools"), path]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    return {line for line in (said.stdout + said.stderr).splitlines() if "Error" in line}


def check_attributes(ours, theirs):
    assert ours.dir() == theirs.dir()
    for element in theirs:
        found, name = ours[element.tag], element.keyword
        assert found.VR == element.VR, name
        if element.VR == "SQ":
            for one, other in zip(found.value, element.value, strict=True):
                check_attributes(one, other)
        elif name in ("ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing"):
            np.testing.assert_allclose([*found.value], [*element.value], atol=1e-4)
        elif name == "SpacingBetweenSlices":
            assert found.value == pytest.approx(element.value, abs=1e-6)
        elif element.VR in ("DA", "TM", "DT") and ("Creation" in name or "Content" in name or "Contribution" in name):
            assert len(found.value) == len(element.value)
        elif name not in ("SOPInstanceUID", "SeriesInstanceUID", "SeriesDate", "SeriesTime"):
            assert found.value == element.value, name


def changed_head(seed, modality="MR"):
    """A head of its own size and brightness."""
    rng = np.random.default_rng(seed)
    array = body(modality, (8, 60, 52)).astype(float)
    array[:, 20:30, 20:30] *= rng.uniform(0.5, 1.5)
    return np.rint(array + rng.normal(0, 10, array.shape)).astype(np.int16)


@pytest.mark.parametrize("spacing", [[2.0, 2.0], [3.5, 1.2]], ids=["fits", "foreign"])
@pytest.mark.parametrize("modality", ["MR", "CT"])
def test_the_input_gate(in_node, tmp_path, finished_run, modality, spacing):
    """The page measures what the package measures and gives its answer, whatever the pixels of the scan."""
    described = contract_of_run(finished_run, "ab" if modality == "MR" else "ba", (1, 32, 32), "float32")
    contract, rng = described.model_copy(update={"pixel_mm": PIXEL_MM}), np.random.default_rng(0)
    settings = preparation_of(contract)
    slope, intercept = (2, -8) if modality == "CT" else (0.5, 0)  # as `write_series` says of its files
    arrays = [changed_head(seed, modality) * slope + intercept for seed in range(10)]
    volumes = [Volume(array, (rng.uniform(1.8, 2.2), rng.uniform(1.8, 2.2), 3), modality=modality) for array in arrays]
    gate = fit_gate([(prepare(one, settings, crop=False).measurements(), str(n)) for n, one in enumerate(volumes)])
    series = write_series(tmp_path / "series", changed_head(99, modality), modality=modality, PixelSpacing=spacing)
    measured = prepare(read_volume(series), settings, crop=False).measurements()
    expected = gate.judge(measured)
    about = json.loads(contract.model_copy(update={"gate": gate}).model_dump_json())
    _, _, folder = in_node(series.iterdir(), modality, about)
    found = json.loads((folder / "verdict.json").read_text())
    np.testing.assert_allclose(found["values"][:-1], measured[: len(found["values"]) - 1], atol=0.02)
    assert found["deviation"] == pytest.approx(expected.deviation, rel=1e-3)
    assert (found["answer"], found["reason"]) == (expected.answer, expected.reason)
    assert (expected.answer == "foreign") == (spacing == [3.5, 1.2])


@pytest.mark.parametrize("slices", [5, 21])
def test_the_bias_field(in_node, tmp_path, finished_run, slices):
    """N4 of whole scans and of thin stacks; a model that was trained without it gets the scan as it is."""
    drift = np.exp(np.linspace(-0.4, 0.4, 44) + np.linspace(0.2, -0.2, 48)[:, None])
    series = write_series(tmp_path / "series", np.rint(body("MR", (slices, 48, 44)) * drift).astype(np.int16))
    described = contract_of_run(finished_run, "ab", (1, 32, 32), "float32")
    axial = oriented(read_volume(series))
    for is_corrected in (True, False):
        scaling = described.mr_scaling.model_copy(update={"bias_correction": is_corrected})
        about = json.loads(described.model_copy(update={"mr_scaling": scaling}).model_dump_json())
        array, *_ = in_node(sorted(series.iterdir()), "MR", about)
        expected = axial.with_array(axial.array.copy())
        if is_corrected:
            expected = correct_bias(expected, body_mask(axial))
        assert (np.abs(expected.array - axial.array).max() > 20) == is_corrected
        np.testing.assert_allclose(array("corrected"), expected.array.ravel(), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("spacing", [[2.0, 2.0], [0.9, 3.5]])
def test_the_map_of_expected_error(in_node, tmp_path, finished_run, spacing):
    """A head with a hole of air in it, whose voxels are of most of the classes."""
    table = tuple(tuple(10.0 * row + column for column in range(1, 7)) for row in range(1, 7))
    expected = ExpectedError(patients=4, part="test", weights="", table=table)
    rng = np.random.default_rng(0)
    hu = np.linspace(-850, 1000, 44) + np.linspace(0, 300, 48)[:, None] * rng.normal(0, 1, (14, 48, 44))
    hu = np.where(body("CT") > -500, hu, -1000)
    hu[:, 24:27, 20:23] = -1000  # as around the head
    values = np.rint((hu + 8) / 2)  # stored, see `write_series`
    series = write_series(tmp_path / "series", values.astype(np.int16), modality="CT", PixelSpacing=spacing)
    about = contract_of_run(finished_run, "ab", (1, 32, 32), "float32").model_copy(update={"expected_error": expected})
    array, _, _ = in_node(series.iterdir(), "CT", json.loads(about.model_dump_json()))
    errors = expected.map_of(oriented(read_volume(series))).array.ravel()
    assert len(set(errors)) > 20 and 0.3 < np.mean(errors == 0) < 0.9
    np.testing.assert_array_equal(array("errors"), errors)


def test_the_contract(finished_run, tmp_path):
    node = program("node", package="nodejs")
    model = export_tflite(finished_run.path, tmp_path / "model.tflite")
    contract = read_contract(model)
    changes = {"good": {}, "newer": {"format": 2}, "foreign": {"signatures": {}}}
    for name, change in changes.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "contract.json").write_text(json.dumps(contract | change))
    with page_server(tmp_path) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        script = f"""
            const {{loadContract}} = await import({(WEB / "contract.js").as_uri()!r});
            const read = (name) => loadContract(`http://127.0.0.1:{server.server_port}/${{name}}`).catch(String);
            console.log(JSON.stringify(await Promise.all({[*changes]}.map(read))));
        """
        words = [node, "--input-type=module", "--eval", script]
        done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=120)
        server.shutdown()
    good, newer, foreign = json.loads(done.stdout)
    assert Contract.model_validate(good) == TFLiteTranslator(model).contract("ab")
    assert "has format 2, this page reads 1; build the page" in newer
    assert "is no contract of kerasgan export; build the page again" in foreign
    model.write_bytes(with_digest(model.read_bytes().replace(b'"format":1', b'"format":2')))
    with pytest.raises(ExportError, match="this version of kerasgan reads format 1"):
        TFLiteTranslator(model)
