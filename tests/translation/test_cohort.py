"""A folder of scans: one output a series, a manifest of all, and nothing done twice or in the dark."""

import csv
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from made_up_series import head, write_series

from kerasgan import translate_folder
from kerasgan.errors import KerasganError, RunError
from kerasgan.io import read_image, read_volume, write_image
from kerasgan.scans.volume import Volume
from kerasgan.translation.cohort import Cohort
from kerasgan.translation.estimate import estimate
from kerasgan.translation.manifest import Manifest, Row
from kerasgan.translation.of_run import RunTranslator
from kerasgan.translation.task import Options
from kerasgan.translation.translate import preview_path, translate
from kerasgan.translation.translator import Translator


class Counted(Translator):
    """A model without weights, which counts the slices that it was asked for."""

    name, origin, batch_size = "counted", "/models/counted", 4

    def __init__(self, run, sources=None):
        self.known, self.asked = RunTranslator(run), 0
        self.taken = sources or self.known.sources()

    def sources(self):
        return self.taken

    def contract(self, direction):
        return self.known.contract(direction)

    def predict(self, direction, images, maps):
        self.asked += len(images)
        return 100 * images


@pytest.fixture
def scans(heads, tmp_path):
    """Three MR and a CT as images and as DICOM series, a localizer, and two damaged files."""
    folder = tmp_path / "scans"
    (folder / "p1").mkdir(parents=True)
    shutil.copy(heads / "1BA000" / "mr.nii.gz", folder / "p1" / "mr.nii.gz")
    shutil.copy(heads / "1BA000" / "ct.nii.gz", folder / "p1" / "ct.nii.gz")
    write_series(folder / "p2", head((5, 40, 40)), PatientID="other")
    write_series(folder / "p3", head((4, 40, 40), 1), SeriesNumber=3)
    write_series(folder / "p4", head((5, 40, 40)), SeriesDescription="localizer")
    (folder / "p5.nii.gz").write_bytes(b"\x1f\x8b")
    (folder / "p6.dcm").write_bytes(b"\0" * 128 + b"DICM")
    return folder


def test_each_series_has_an_output_at_its_place_and_a_row(run, scans, tmp_path):
    out = tmp_path / "out"
    rows = {row.input: row for row in translate_folder(Counted(run), scans, out)}
    assert {name: (row.status, row.output) for name, row in rows.items()} == {
        "p1/mr.nii.gz": ("done", "p1/mr-synthetic-ct.nii.gz"),
        "p1/ct.nii.gz": ("done", "p1/ct-synthetic-mr.nii.gz"),
        "p2": ("done", "p2/series-7-synthetic-ct"),
        "p3": ("done", "p3/series-3-synthetic-ct"),
        "p4": ("left out", ""),
        "p5.nii.gz": ("failed", ""),
        "p6.dcm": ("failed", ""),
    }
    assert rows["p4"].error.startswith("a localizer (Series Description (0008,103E)")
    assert rows["p5.nii.gz"].error and rows["p6.dcm"].error
    assert (rows["p2"].modality, rows["p2"].slices, rows["p2"].series) == ("MR", 5, "series 7")
    assert rows["p1/mr.nii.gz"].gate == "fits"
    translate(Counted(run), scans / "p2", tmp_path / "alone")
    expected, found = read_volume(tmp_path / "alone"), read_volume(out / "p2" / "series-7-synthetic-ct")
    np.testing.assert_array_equal(found.array, expected.array)
    assert read_image(out / "p1" / "mr-synthetic-ct.nii.gz", "CT").same_grid(read_volume(scans / "p1" / "mr.nii.gz"))
    lines = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    with (out / "manifest.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [line["input"] for line in lines] == [line["input"] for line in table] == sorted(rows)
    pictures = {path.relative_to(out).as_posix() for path in out.rglob("*.png")}
    assert pictures == {
        "p1/mr-synthetic-ct-preview.png",
        "p1/ct-synthetic-mr-preview.png",
        "p2/series-7-synthetic-ct-preview.png",
        "p3/series-3-synthetic-ct-preview.png",
    }
    assert all("4711" not in path.read_text() and "Some" not in path.read_text() for path in out.glob("manifest.*"))
    assert not [path for path in out.rglob(".*") if path.name != ".cohort.lock"]


def test_what_is_finished_and_unchanged_is_not_done_again(run, scans, tmp_path):
    model, out = Counted(run), tmp_path / "out"
    translate_folder(model, scans, out)
    asked = model.asked
    former = {path: path.stat().st_mtime_ns for path in out.rglob("*.nii.gz")}
    rows = translate_folder(model, scans, out)
    assert model.asked == asked and {row.status for row in rows} == {"done", "left out", "failed"}
    assert former == {path: path.stat().st_mtime_ns for path in former}

    os.utime(scans / "p1" / "mr.nii.gz", (1, 1))  # as a file that was written anew
    shutil.rmtree(out / "p2" / "series-7-synthetic-ct")  # its picture stays, and is drawn anew
    write_series(scans / "p7", head((3, 40, 40), 2))
    cohort = Cohort(model, scans, out)
    assert [task.row.input for task in cohort.tasks] == ["p1/mr.nii.gz", "p2", "p7"]
    rows = list(cohort.translate())
    assert len(rows) == 8 and sum(row.status == "done" for row in rows) == 5
    assert (out / "p2" / "series-7-synthetic-ct").is_dir()
    assert len(Manifest(out).read()) == 8


class Refusing(Counted):
    """A model that does not like thin scans, and whose disk is full for thick ones."""

    name = "refusing"

    def translate(self, volume, *arguments, **options):
        slices = len(volume[""].array)
        if slices == 4:
            raise RunError("The scan has 4 slices. Name another scan.")
        try:
            if slices == 5:
                raise OSError(28, "No space left on device")
        except OSError as error:
            raise KerasganError("Cannot write: No space left on device. Free some space.") from error
        raise ZeroDivisionError("an oversight")


def test_a_series_that_fails_is_named_and_tried_again_unless_the_scan_is_to_blame(run, tmp_path):
    folder, out = tmp_path / "scans", tmp_path / "out"
    folder.mkdir()
    for slices in (3, 4, 5):
        write_series(folder / f"p{slices}", head((slices, 40, 40)))
    rows = {row.input: row for row in translate_folder(Refusing(run), folder, out)}
    assert {row.status for row in rows.values()} == {"failed"}
    assert rows["p3"].error == "ZeroDivisionError: an oversight"
    assert rows["p4"].error == "The scan has 4 slices. Name another scan."
    assert rows["p5"].error == "Cannot write: No space left on device. Free some space."
    assert [task.row.input for task in Cohort(Refusing(run), folder, out).tasks] == ["p3", "p5"]


def test_a_torn_line_is_left_out_and_a_damaged_one_is_named(tmp_path):
    manifest = Manifest(tmp_path)
    manifest.write([Row(input="a", status="failed", error="one\ntwo"), Row(input="b", status="done")])
    manifest.add(Row(input="b", status="failed", warnings=("cut, twice", "tilted")))
    with manifest.lines.open("a") as file:
        file.write('{"input": "c"')  # a power cut
    assert {row.input: row.status for row in manifest.read().values()} == {"a": "failed", "b": "failed"}
    with manifest.table.open() as file:
        assert [(row["input"], row["warnings"], row["error"]) for row in csv.DictReader(file)] == [
            ("a", "", "one two"),
            ("b", "", ""),
            ("b", "cut, twice; tilted", ""),
        ]
    manifest.lines.write_text('{"input": "c", "status": "eaten"}\n')
    with pytest.raises(KerasganError, match=r"Line 1 of .*manifest\.jsonl is damaged \(status: .*Remove it, and its"):
        manifest.read()


def test_series_of_one_folder_and_number_have_names_of_their_own(run, tmp_path):
    folder = tmp_path / "scans"
    folder.mkdir()
    for number in range(2):
        write_series(folder / "x", head((3, 40, 40), number))
        for file in (folder / "x").iterdir():
            file.rename(folder / f"{number}-{file.name}.dcm")
        (folder / "x").rmdir()
    names = [row.output for row in Cohort(Counted(run), folder, tmp_path / "out").rows]
    assert len(set(names)) == 2 and all(name.startswith("series-7-") for name in names), names


def test_files_of_one_folder_have_outputs_of_their_own(run, tmp_path):
    """A slice of each of two patients, of one series number, and one name with two endings, each with a preview."""
    folder = tmp_path / "scans"
    for number in range(2):
        (file,) = write_series(tmp_path / "x", head((1, 40, 40), number)).iterdir()
        folder.mkdir(exist_ok=True)
        file.rename(folder / f"p{number}.dcm")
        (tmp_path / "x").rmdir()
    for ending in ("nii.gz", "mha"):
        write_image(Volume(head((3, 40, 40)).astype(np.float32), (6, 6, 5)), folder / f"t1.{ending}")
    outputs = [Path(row.output) for row in Cohort(Counted(run), folder, tmp_path / "out").rows]
    assert len({preview_path(path) for path in outputs}) == len(outputs) == 4, outputs


def test_names_that_are_no_utf_8_have_rows(run, heads, tmp_path):
    folder = tmp_path / "scans" / os.fsdecode(b"M\xfcller")
    folder.mkdir(parents=True)
    shutil.copy(heads / "1BA000" / "mr.nii.gz", folder / "mr.nii.gz")
    (row,) = translate_folder(Counted(run), tmp_path / "scans", tmp_path / "out")
    assert (row.status, row.output) == ("done", r"M\xfcller/mr-synthetic-ct.nii.gz")
    assert (tmp_path / "out" / row.output).is_file()


def test_only_series_that_the_model_takes_are_translated(run, scans, tmp_path):
    options = Options(direction="ab")
    left_out = {row.input: row.error for row in Cohort(Counted(run), scans, tmp_path / "out", options).rows}
    assert left_out["p1/ct.nii.gz"] == "counted takes MR"
    only = tmp_path / "only"
    only.mkdir()
    shutil.copy(scans / "p1" / "ct.nii.gz", only / "ct.nii.gz")
    with pytest.raises(KerasganError, match=r"only holds no series that counted can translate: 1 x counted takes MR\."):
        Cohort(Counted(run), only, tmp_path / "out", options)
    assert not (tmp_path / "out").exists()


def test_places_that_cannot_be(run, scans, tmp_path):
    model = Counted(run)
    with pytest.raises(KerasganError, match=r"mr\.nii\.gz is no folder, and a cohort is a folder of scans"):
        Cohort(model, scans / "p1" / "mr.nii.gz", tmp_path / "out")
    with pytest.raises(KerasganError, match=r"out lies inside .*scans, where the next search .* name a folder beside"):
        Cohort(model, scans, scans / "out")
    with pytest.raises(KerasganError, match=r"scans exists; name another output, so that nothing is overwritten"):
        Cohort(model, scans / "p1", scans)
    with pytest.raises(KerasganError, match=r"out\.mha is the name of one image, .* name a folder"):
        Cohort(model, scans, tmp_path / "out.mha")
    (tmp_path / "empty").mkdir()
    with pytest.raises(KerasganError, match=r"empty holds no DICOM series, NIfTI, MHA or NRRD file; name a folder"):
        Cohort(model, tmp_path / "empty", tmp_path / "out")
    with pytest.raises(KerasganError, match=r"Axial slices of 0\.1 mm are not made; expected 0\.3 to 20 mm"):
        Cohort(model, tmp_path / "empty", tmp_path / "out", Options(axial_mm=0.1))


def test_a_folder_of_outputs_belongs_to_one_command(run, scans, tmp_path):
    out = tmp_path / "out"
    first = Cohort(Counted(run), scans, out)
    out.mkdir()
    with (
        FileLock(out / ".cohort.lock"),
        pytest.raises(KerasganError, match=r"Another command translates into .*out; wait until it ends, or name"),
    ):
        next(first.translate())
    list(first.translate(progress=False))
    with pytest.raises(
        KerasganError, match=r"with options their defaults, not flip True\. Name another folder, so that"
    ):
        Cohort(Counted(run), scans, out, Options(flip=True))
    other = Counted(run)
    other.origin = "/models/other"
    with pytest.raises(KerasganError, match=r"with model /models/counted, not /models/other\."):
        Cohort(other, scans, out)
    with pytest.raises(KerasganError, match=r"with folder .*scans, not .*p1\."):
        Cohort(Counted(run), scans / "p1", out)


def test_the_estimate_asks_the_network_for_a_few_slices(run, scans):
    model = Counted(run)
    model.batch_size = 1
    volume = next(task for task in Cohort(model, scans, Path("unused")).tasks if task.row.input == "p2").series
    found = estimate(model, [volume] * 10, None, flip=False)
    assert model.asked == 4 and found.probe_slices == 5 and found.seconds > 0
    assert "About 1 min in one process: a scan of 5 slices took" in str(found)


@pytest.mark.slow
def test_workers_give_the_values_of_one_process(run, scans, tmp_path):
    pytest.importorskip("distributed")
    rows = translate_folder(run, scans, tmp_path / "two", workers=2)
    translate_folder(run.path, scans, tmp_path / "one")
    assert sum(row.status == "done" for row in rows) == 4
    for row in rows:
        if row.status == "done":
            made = "MR" if row.modality == "CT" else "CT"
            one, two = (read_volume(tmp_path / name / row.output, modality=made) for name in ("one", "two"))
            np.testing.assert_allclose(two.array, one.array, atol=1)
