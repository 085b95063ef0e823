"""The page as a visitor uses it, in headless Chromium, beside `kerasgan translate`."""

import base64
import io
import itertools
import json
import re
import shutil
import threading
import zipfile

import numpy as np
import pydicom
import pytest
import SimpleITK
from made_up_series import SAGITTAL, compress, head, pixels, write_series
from pydicom import uid
from pydicom.encaps import encapsulate

from kerasgan.export import read_contract
from kerasgan.export.page import page_server
from kerasgan.io import read_volume
from kerasgan.scans.contract import Contract
from kerasgan.scans.expected_error import ExpectedError
from kerasgan.scans.gate import fit_gate
from kerasgan.scans.geometry import oriented
from kerasgan.scans.preparation import preparation_of, prepare
from kerasgan.scans.volume import Volume
from kerasgan.translation.translate import translate

MODEL = "model/model.tflite"  # in the folder of a page


@pytest.mark.parametrize("orientation", [(1, 0, 0, 0, 1, 0), SAGITTAL])
def test_a_dicom_series(visit, site, tmp_path, orientation):
    source = write_series(tmp_path / "source", head((20, 14, 24)), orientation)
    translate(site / MODEL, source, tmp_path / "package")
    expected = pixels(tmp_path / "package")
    visitor = visit(site)
    assert visitor.open(*source.iterdir()) == ""
    assert re.search(r"slices of \d+ x \d+ translated, \d+ ms a slice", visitor.page.inner_text("#status"))
    archive = zipfile.ZipFile(io.BytesIO(visitor.save("dicom").read_bytes()))
    assert archive.testzip() is None
    written = [pydicom.dcmread(io.BytesIO(archive.read(name))) for name in sorted(archive.namelist())]
    assert np.abs(np.stack([dataset.pixel_array for dataset in written]).astype(int) - expected).max() <= 1
    ours, theirs = written[3], pydicom.dcmread(tmp_path / "package" / "slice_0004.dcm")
    assert ours.dir() == theirs.dir()
    for element in theirs:
        if "Time" not in element.keyword and element.keyword not in {
            *("SOPInstanceUID", "SeriesInstanceUID", "PixelData", "ContributingEquipmentSequence"),
            *("ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing", "SpacingBetweenSlices"),
        }:
            assert ours[element.tag].value == element.value, element.keyword
    for keyword in ("ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing", "SpacingBetweenSlices"):
        np.testing.assert_allclose(np.array(ours[keyword].value), np.array(theirs[keyword].value), atol=1e-4)
    assert not visitor.errors
    assert {re.match(r"\w+://[^/]+", url)[0] for url in visitor.asked if not url.startswith(("blob:", "data:"))} == {
        f"http://127.0.0.1:{visitor.server.server_port}"
    }


def test_the_input_gate_is_shown(visit, site, tmp_path):
    folder, contract = shutil.copytree(site, tmp_path / "page"), read_contract(site / MODEL)
    settings = preparation_of(Contract.model_validate(contract))
    known = [Volume(head((6, 28, 24), seed), (2.0 - seed / 50, 2.0, 3.0)) for seed in range(10)]
    gate = fit_gate([(prepare(one, settings, crop=False).measurements(), str(n)) for n, one in enumerate(known)])
    (folder / "model" / "contract.json").write_text(json.dumps(contract | {"gate": gate.model_dump()}))
    visitor = visit(folder)
    assert visitor.open(*write_series(tmp_path / "a", head((6, 28, 24), 0), PixelSpacing=[2, 2]).iterdir()) == ""
    assert visitor.page.inner_text("#gate") == "Input gate: fits."
    assert visitor.open(*write_series(tmp_path / "b", head((6, 28, 24), 11), PixelSpacing=[1, 1]).iterdir()) == ""
    assert re.fullmatch(
        r"Input gate: foreign: .*, training [\d.]+ to [\d.]+ (cm|%)\.", visitor.page.inner_text("#gate")
    )
    assert not visitor.errors and not visit(site).page.is_visible("#gate")


def with_contract(site, folder, **change):
    """A copy of the page, whose contract is changed."""
    about = json.loads((shutil.copytree(site, folder) / "model/contract.json").read_text())
    (folder / "model/contract.json").write_text(json.dumps(about | change))
    return folder


def test_the_phantom_patient(visit, site, tmp_path):
    visitor = visit(with_contract(site, tmp_path / "page", pixel_mm=8.0))  # the model is small
    visitor.page.click("#example")
    visitor.wait()
    assert not visitor.page.is_visible("#error") and not visitor.errors
    assert visitor.page.inner_text("#series").startswith("MR series 1 head phantom: 20 slices of 96 x 96, ")
    archive = zipfile.ZipFile(io.BytesIO(visitor.save("dicom").read_bytes()))
    written = pydicom.dcmread(io.BytesIO(archive.read("slice_0010.dcm")))
    assert len(archive.namelist()) == 20 and written.PatientID == "PHANTOM" and written.Modality == "CT"


def test_the_map_of_expected_error(visit, site, tmp_path):
    table = tuple(tuple(10.0 * row + column for column in range(1, 7)) for row in range(1, 7))
    expected = ExpectedError(patients=4, part="test", weights="", table=table)
    visitor = visit(with_contract(site, tmp_path / "page", expected_error=json.loads(expected.model_dump_json())))
    page = visitor.page
    source = write_series(tmp_path / "source", head((5, 24, 22)))
    assert visitor.open(*source.iterdir()) == ""
    assert "error" not in page.inner_text("#target-value")
    page.check("#error-map")
    saved = shutil.copy(visitor.save("nifti"), tmp_path / "page.nii")
    error = oriented(expected.map_of(read_volume(saved, modality="CT"))).array
    page.focus("#target")
    for _ in range(2):
        label = page.get_attribute("#target", "aria-label")
        slice_, row, column, _, shown = map(int, re.findall(r"-?\d+", label))
        assert shown == error[slice_ - 1, row - 1, column - 1] and label.endswith(f", error {shown} HU")
        page.keyboard.press("PageUp")
    assert page.inner_text("#error-most") == f"{error.max():.0f} HU"


def test_a_scan_that_is_cancelled_leaves_the_page_as_it_was(visit, site, tmp_path):
    page = (visitor := visit(site)).page
    first = write_series(tmp_path / "first", head((5, 24, 22)))
    assert visitor.open(*first.iterdir()) == "" and len(page.workers) == 1
    before = page.inner_text("#viewer"), page.get_attribute("#target", "aria-label")
    page.evaluate("""() => {
        const status = document.getElementById('status');
        const cancel = () => status.textContent.startsWith('Translating') && document.getElementById('cancel').click();
        window.cancelling = new MutationObserver(cancel);
        window.cancelling.observe(status, {childList: true});
    }""")
    second = write_series(tmp_path / "second", head((30, 24, 22)), SeriesNumber=8)
    assert visitor.open(*second.iterdir()) == ""
    assert page.inner_text("#status") == "Cancelled. The images below are still those of 7."
    assert not page.is_visible("#job") and page.evaluate("document.activeElement.id") == "folder"
    archive = zipfile.ZipFile(io.BytesIO(visitor.save("dicom").read_bytes()))
    assert len(archive.namelist()) == 5, "what is saved is the scan that is shown"
    assert (page.inner_text("#viewer"), page.get_attribute("#target", "aria-label")) == before
    page.evaluate("window.cancelling.disconnect()")
    assert visitor.open(*second.iterdir()) == "" and page.inner_text("#source-name") == "MR: 8"
    assert not visitor.errors


def test_the_worker_can_ask_no_other_host(visit, site, tmp_path):
    worker = visit(site).page.workers[0]
    with page_server(tmp_path) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        ask = "(address) => fetch(address, {mode: 'no-cors'}).then(() => 'answered', (error) => error.name)"
        assert worker.evaluate(ask, f"http://127.0.0.1:{other.server_port}/") == "TypeError"
        other.shutdown()


READ = """async ([modality, files]) => {
    const {readSeries} = await import('./dicom.js');
    const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer;
    const sources = files.map((text, number) => ({name: String(number), buffer: bytes(text)}));
    return readSeries(sources, modality).then(({data}) => [...data], (error) => error.message);
}"""
SYNTAXES = {
    "RLE": uid.RLELossless,
    "JPEG lossless": uid.JPEGLosslessSV1,
    "JPEG lossless, any predictor": uid.JPEGLossless,
    "JPEG-LS": uid.JPEGLSLossless,
    "JPEG-LS, nearly lossless": uid.JPEGLSNearLossless,
    "JPEG 2000": uid.JPEG2000Lossless,
    "JPEG 2000 with loss": uid.JPEG2000,
    "deflated": uid.DeflatedExplicitVRLittleEndian,
    "big endian": uid.ExplicitVRBigEndian,
}


def test_compressed_series(visit, site, tmp_path):
    """All kinds in one browser: signed and unsigned, of 16, 12 and 8 bits."""
    page = visit(site).page
    depths = {"MR": (16, 1), "MR of 12 bits": (12, 0), "CT": (16, 1), "CT of 12 bits": (12, 1), "MR of 8 bits": (8, 0)}
    for (kind, syntax), (depth, (bits, signed)) in itertools.product(SYNTAXES.items(), depths.items()):
        modality = depth[:2]
        values = head((3, 24, 22), modality=modality).clip(None if signed else 0, 255 if bits == 8 else 2047)
        described = {"BitsStored": bits, "HighBit": bits - 1, "PixelRepresentation": signed}
        if bits == 8:
            described |= {"BitsAllocated": 8, "PixelData": b""}
        series = write_series(tmp_path / f"{kind} {depth}", values, modality=modality, **described)
        if bits == 8:
            for path, array in zip(sorted(series.iterdir()), values[::-1], strict=True):
                dataset = pydicom.dcmread(path)
                dataset.PixelData = array.astype(np.uint8).tobytes()
                dataset.save_as(path)
        if bits == 8 and syntax == uid.ExplicitVRBigEndian:
            continue  # whose bytes are swapped, too
        expected = read_volume(series).array.ravel()
        compress(series, syntax)
        files = [base64.b64encode(path.read_bytes()).decode() for path in series.iterdir()]
        found = page.evaluate(READ, [modality, files])
        assert not isinstance(found, str), (kind, depth, found)
        np.testing.assert_array_equal(found, expected, err_msg=f"{kind}, {depth}")


def test_damaged_compression_is_refused_and_what_follows_is_read(visit, site, tmp_path):
    page = visit(site).page
    for name in ("RLE", "JPEG lossless", "JPEG-LS", "JPEG 2000"):
        series = write_series(tmp_path / name, head((3, 24, 22)))
        expected = read_volume(series).array.ravel()
        compress(series, SYNTAXES[name])
        good = [path.read_bytes() for path in sorted(series.iterdir())]
        item = good[0].index(b"\xe0\x7f\x10\0OB\0\0") + 12  # the table of offsets; the stream is in the next one
        start = item + 16 + int.from_bytes(good[0][item + 4 : item + 8], "little")
        rows = b"\x28\0\x10\0US\2\0"
        damaged = {
            "is truncated": [good[0][: start + 60], *good[1:]],
            "cannot be decoded": [good[0][: start + 4] + bytes(60) + good[0][start + 64 :], *good[1:]],
            "damaged|its stream has 24 x 22": [each.replace(rows + b"\x18", rows + b"\x17") for each in good],
        }
        for reason, contents in damaged.items():
            found = page.evaluate(READ, ["MR", [base64.b64encode(each).decode() for each in contents]])
            if not (name == "RLE" and "24 x 22" in reason):  # RLE does not say its size
                assert isinstance(found, str) and re.search(reason, found), (name, reason, found)
        files = [base64.b64encode(content).decode() for content in good]
        np.testing.assert_array_equal(page.evaluate(READ, ["MR", files]), expected)


def test_what_is_no_scan_is_left_out(visit, site, tmp_path):
    """By whole words of ImageType: MPRAGE is a sequence, MPR a reformation."""
    visitor = visit(site)
    scan = write_series(tmp_path / "scan", head((3, 24, 22)), ImageType=["ORIGINAL", "PRIMARY", "MPRAGE"])
    phase = write_series(tmp_path / "phase", head((2, 24, 22)), ImageType=["ORIGINAL", "PRIMARY", "PHASE MAP"])
    assert visitor.open(*scan.iterdir(), *phase.iterdir()) == ""
    assert "3 slices of" in visitor.page.inner_text("#status")


def test_of_scans_that_are_chosen_one_after_the_other_the_last_is_shown(visit, site, tmp_path):
    page = (visitor := visit(site)).page
    for number, slices in enumerate((40, 30, 4), start=1):
        folder = write_series(
            tmp_path / str(number), head((slices, 24, 22)), SeriesNumber=number, SeriesDescription=f"scan {number}"
        )
        page.set_input_files("#files", [str(path) for path in folder.iterdir()])
    visitor.wait()
    assert page.inner_text("#status").startswith("3 scan 3, 4 slices of 24 x 22 translated")
    assert page.inner_text("#source-name") == "MR: 3 scan 3" and page.inner_text("#slice-number") == "3 of 4"
    assert not page.is_visible("#error") and not visitor.errors
    archive = zipfile.ZipFile(io.BytesIO(visitor.save("dicom").read_bytes()))
    assert len(archive.namelist()) == 4


def test_irregular_slices_are_translated_as_they_are(visit, site, tmp_path):
    visitor = visit(site)
    uneven = write_series(tmp_path / "uneven", head((4, 24, 22)), heights=[0, 3, 6, 12])
    assert visitor.open(*uneven.iterdir()) == ""
    assert "uneven gaps: the slices were translated as they are" in visitor.page.inner_text("#status")
    tilted = write_series(tmp_path / "tilted", head((4, 24, 22)))
    for number, path in enumerate(sorted(tilted.iterdir())):
        dataset = pydicom.dcmread(path)
        dataset.ImagePositionPatient[1] += number
        dataset.save_as(path)
    assert visitor.open(*tilted.iterdir()) == ""
    assert "(gantry tilt): the slices were translated" in visitor.page.inner_text("#status")


@pytest.mark.parametrize("name", ["scan.nii.gz", "scan.nii", "scan.mha"])
def test_other_formats_in_any_orientation(visit, site, tmp_path, name):
    image = SimpleITK.GetImageFromArray(head((24, 6, 22)).astype(np.float32))
    image.SetSpacing((2.0, 3.0, 2.0))
    image.SetOrigin((5.0, -7.0, 11.0))
    image.SetDirection((-1, 0, 0, 0, 0, -1, 0, -1, 0))  # coronal, mirrored
    SimpleITK.WriteImage(image, str(tmp_path / name), name.endswith("mha"))
    translate(site / MODEL, tmp_path / name, tmp_path / "package.mha")
    visitor = visit(site)
    assert visitor.open(tmp_path / name) == ""
    assert visitor.page.inner_text("#source-name") == f"MR: {name}" and not visitor.page.is_visible("#save-dicom")
    saved = shutil.copy(visitor.save("nifti"), tmp_path / "page.nii")
    ours, theirs = (
        SimpleITK.DICOMOrient(SimpleITK.ReadImage(str(path)), "LPS") for path in (saved, tmp_path / "package.mha")
    )
    np.testing.assert_allclose(ours.GetOrigin(), theirs.GetOrigin(), atol=1e-3)
    np.testing.assert_allclose(ours.GetSpacing(), theirs.GetSpacing(), atol=1e-5)
    arrays = [SimpleITK.GetArrayFromImage(each).astype(float) for each in (ours, theirs)]
    assert np.abs(arrays[0] - arrays[1]).max() <= 1 and np.ptp(arrays[0]) > 500


def test_bad_input(visit, site, tmp_path):
    visitor = visit(site)
    notes = tmp_path / "notes.txt"
    notes.write_text("no scan")
    assert "notes.txt is not a scan; open DICOM slices" in visitor.open(notes)
    (tmp_path / "list.csv").write_text("no scan either")
    assert "None of 2 files is a scan; open DICOM slices" in visitor.open(notes, tmp_path / "list.csv")
    broken = tmp_path / "broken.nii"
    broken.write_bytes(b"no scan")
    assert "broken.nii is not NIfTI-1" in visitor.open(broken)
    assert "One scan is needed; got 2 files" in visitor.open(broken, notes)
    ct = write_series(tmp_path / "ct", head((2, 24, 22), modality="CT"), modality="CT")
    assert "hold CT; the model takes single-frame MR slices" in visitor.open(*ct.iterdir())
    one, two = (write_series(tmp_path / name, head((2, 24, 22))) for name in ("one", "two"))
    assert "hold 2 MR series; choose the folder of one" in visitor.open(*one.iterdir(), *two.iterdir())
    heights = [0, 3, 6, 12]
    sagittal = write_series(tmp_path / "sagittal", head((4, 24, 22)), SAGITTAL, heights=heights)
    assert "has uneven gaps and is not axial; resample it first" in visitor.open(*sagittal.iterdir())
    large = write_series(tmp_path / "large", head((3, 60, 22)))
    assert "beyond the 32 x 32 pixels of the model; export one with --size 60 32" in visitor.open(*large.iterdir())
    localizer = write_series(tmp_path / "localizer", head((2, 24, 22)), ImageType=["ORIGINAL", "PRIMARY", "Localizer"])
    assert "the model takes single-frame MR slices" in visitor.open(*localizer.iterdir())
    cut = next(one.iterdir())
    cut.write_bytes(cut.read_bytes()[:-100])
    assert "truncated; copy" in visitor.open(cut)
    compressed = next(two.iterdir())
    dataset = pydicom.dcmread(compressed)
    dataset.file_meta.TransferSyntaxUID = uid.JPEGBaseline8Bit
    dataset.PixelData = encapsulate([b"\xff\xd8\xff\xd9"])
    dataset.save_as(compressed)
    assert "transfer syntax 1.2.840.10008.1.2.4.50); convert it to uncompressed DICOM" in visitor.open(compressed)
    assert not visitor.page.is_visible("#viewer") and not visitor.errors


@pytest.mark.parametrize(
    ("content", "message"),
    [("{}", "is no contract of kerasgan export"), ("no JSON", "is no contract of kerasgan export")],
)
def test_models_of_other_projects(visit, site, tmp_path, content, message):
    folder = shutil.copytree(site, tmp_path / "page")
    (folder / "model" / "contract.json").write_text(content)
    assert message in visit(folder).page.inner_text("#error")


def test_a_part_of_the_worker_that_is_missing_is_said(visit, site, tmp_path):
    folder = shutil.copytree(site, tmp_path / "page")
    (folder / "dicom_write.js").unlink()
    visitor = visit(folder)
    assert re.fullmatch(
        r"A part of the page did not load \(.*work\.js\)\. Reload the page; if that does not help, build it again\.",
        visitor.page.inner_text("#error"),
    )
    assert visitor.page.inner_text("#status") == "" and not visitor.page.is_visible("#job")


def test_a_page_that_cannot_start_says_what_to_do(chromium, site, tmp_path):
    folder = shutil.copytree(site, tmp_path / "page")
    (folder / "viewer.js").unlink()
    server = page_server(folder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    page = chromium.new_page()
    page.goto(f"http://127.0.0.1:{server.server_port}/", wait_until="networkidle")
    assert page.inner_text("#status").startswith("Starting. If this stays, JavaScript is off or a file of the page")
    page.close()
    server.shutdown()
    server.server_close()
