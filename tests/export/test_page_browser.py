"""The page as a visitor uses it, in headless Chromium, beside `kerasgan translate`."""

import io
import json
import re
import shutil
import threading
import zipfile

import numpy as np
import pydicom
import pytest
import SimpleITK
from made_up_series import SAGITTAL, head, pixels, write_series
from needed import needed, program
from playwright.sync_api import sync_playwright

from kerasgan.cli._app import cache_folder
from kerasgan.errors import ExportError
from kerasgan.export import export_tflite, read_contract
from kerasgan.export.card import LIMITS
from kerasgan.export.page import build_page, page_server
from kerasgan.scans.contract import Contract
from kerasgan.scans.gate import fit_gate
from kerasgan.scans.preparation import preparation_of, prepare
from kerasgan.scans.volume import Volume
from kerasgan.translation.translate import translate

FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
MODEL = "model/model.tflite"  # in the folder of a page


@pytest.fixture(scope="module")
def site(finished_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    model = export_tflite(finished_run.path, folder / "model.tflite")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shutil.which", lambda name: None)  # nothing is downloaded
        try:
            build_page(model, folder / "page", cache_folder())
        except ExportError as error:
            needed(None, f"The page's packages are missing, and `kerasgan demo RUN` fetches them. {error}")
    return folder / "page"


@pytest.fixture(scope="module")
def chromium():
    path = program("chromium", "chromium-browser", "google-chrome", package="chromium")
    with sync_playwright() as runner:
        browser = runner.chromium.launch(executable_path=path, args=[*FLAGS])
        yield browser
        browser.close()


class Visitor:
    """A page that is open, and the hosts it has asked."""

    def __init__(self, browser, folder):
        self.server = page_server(folder)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.page = browser.new_page()
        self.asked, self.errors = [], []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(f"http://127.0.0.1:{self.server.server_port}/")
        self.wait()

    def wait(self):
        self.page.wait_for_selector("body:not(.busy)", timeout=120_000)

    def open(self, *files):
        self.page.set_input_files("#files", [str(file) for file in files])
        self.wait()
        return self.page.inner_text("#error") if self.page.is_visible("#error") else ""

    def save(self, kind):
        with self.page.expect_download() as download:
            self.page.click(f"#save-{kind}")
        return download.value.path()

    def close(self):
        self.page.close()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def visit(chromium):
    visitors = []

    def go(folder):
        visitors.append(Visitor(chromium, folder))
        return visitors[-1]

    yield go
    for visitor in visitors:
        visitor.close()


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
            *("ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing"),
        }:
            assert ours[element.tag].value == element.value, element.keyword
    for keyword in ("ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing"):
        np.testing.assert_allclose([*ours[keyword].value], [*theirs[keyword].value], atol=1e-4)
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


def test_what_is_no_scan_is_left_out(visit, site, tmp_path):
    """By whole words of ImageType: MPRAGE is a sequence, MPR a reformation."""
    visitor = visit(site)
    scan = write_series(tmp_path / "scan", head((3, 24, 22)), ImageType=["ORIGINAL", "PRIMARY", "MPRAGE"])
    phase = write_series(tmp_path / "phase", head((2, 24, 22)), ImageType=["ORIGINAL", "PRIMARY", "PHASE MAP"])
    assert visitor.open(*scan.iterdir(), *phase.iterdir()) == ""
    assert "3 slices of" in visitor.page.inner_text("#status")


def test_keys_move_the_cross_and_the_value_under_it_is_read_out(visit, site, tmp_path):
    source = write_series(tmp_path / "source", head((5, 24, 22)))
    translate(site / MODEL, source, tmp_path / "package")
    page = (visitor := visit(site)).page
    assert visitor.open(*source.iterdir()) == ""
    page.focus("#target")
    for key in ("ArrowRight", "ArrowUp", "ArrowUp", "PageUp"):
        page.keyboard.press(key)
    label = page.get_attribute("#target", "aria-label")
    slice_, row, column, hu = map(int, re.findall(r"-?\d+", label))
    assert (slice_, row, column) == (4, 11, 13)
    assert abs(hu - pixels(tmp_path / "package")[3, 10, 12]) <= 1
    assert page.inner_text("#source-value") == f"{head((5, 24, 22))[3, 10, 12] / 2:.1f}"
    assert page.inner_text("#slice-number") == "4 of 5"
    for text in ("not for diagnosis", "add or remove lesions", "hiasa2018", "-1000 to 1600 HU", *LIMITS):
        assert text in page.inner_text("body")


def test_what_is_said_and_shown_while_scans_come_and_go(visit, site, tmp_path):
    page = (visitor := visit(site)).page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "folder", "there are no images to skip to yet"
    page.evaluate("""() => {
        const status = document.getElementById('status');
        window.said = [];
        new MutationObserver(() => window.said.push(status.textContent)).observe(status, {childList: true});
    }""")
    source = write_series(tmp_path / "source", head((5, 24, 22)))
    assert visitor.open(*source.iterdir()) == ""
    said = page.evaluate("window.said")
    assert said[0] == "Translating 7, 5 slices of 24 x 22." and len(said) == 2, "a screen reader reads all of it out"
    assert said[1].startswith("7, 5 slices of 24 x 22 translated, ")
    assert page.inner_text("#source-name") == "MR: 7"
    page.focus("#skip")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "source"
    (tmp_path / "notes.txt").write_text("no scan")
    error = visitor.open(tmp_path / "notes.txt")
    assert error.endswith(" The images below are still those of 7.") and page.is_visible("#viewer")


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


def test_a_preset_is_named_only_while_it_is_the_window(visit, site, tmp_path):
    page = (visitor := visit(site)).page
    visitor.open(*write_series(tmp_path / "source", head((2, 24, 22))).iterdir())
    assert page.input_value("#preset") == "40 400"
    page.select_option("#preset", "400 1800")
    assert (page.input_value("#target-level"), page.input_value("#target-width")) == ("400", "1800")
    page.fill("#target-level", "41")
    assert page.input_value("#preset") == ""


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
    compressed.write_bytes(compressed.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0"))
    assert "transfer syntax 1.2.840.10008.1.2.5); convert it to uncompressed DICOM" in visitor.open(compressed)
    assert not visitor.page.is_visible("#viewer") and not visitor.errors


@pytest.mark.parametrize(
    ("content", "message"),
    [("{}", "is no contract of kerasgan export"), ("no JSON", "is no contract of kerasgan export")],
)
def test_models_of_other_projects(visit, site, tmp_path, content, message):
    folder = shutil.copytree(site, tmp_path / "page")
    (folder / "model" / "contract.json").write_text(content)
    assert message in visit(folder).page.inner_text("#error")
