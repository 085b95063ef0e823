"""What each command prints, and the whole line from scans to artifacts on a network of a few weights."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from evaluated_runs import write_run
from typer.testing import CliRunner

from kerasgan import api, io
from kerasgan.cli import _console, app, main
from kerasgan.cli._console import Stopped
from kerasgan.datasets import create_secret
from kerasgan.errors import KerasganError
from kerasgan.files import staging_folder
from kerasgan.scans.geometry import oriented
from kerasgan.scans.volume import Volume
from kerasgan.training import start
from kerasgan.training.request import Request

COMMANDS = [
    *("train", "inspect", "translate", "evaluate", "score", "compare", "runs", "export", "pack", "info"),
    *("challenge", "serve"),
    *("node", "demo", "distill", "reproduce", "datasets", "phantom", "recipes"),
]


def test_help_lists_the_commands_in_the_order_of_work(kerasgan):
    result = kerasgan("--help")
    assert result.exit_code == 0
    lines = [line for line in result.stdout.split("Commands:")[1].splitlines() if line.strip()]
    assert [line.split()[0] for line in lines] == COMMANDS
    assert all(line.endswith(".") and not line.endswith("...") for line in lines), "a summary does not fit its line"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_explained_and_there_are_few(kerasgan, command):
    result = kerasgan(command, "--help")
    options = [line for line in result.stdout.split("Options:")[1].splitlines() if line.startswith("  -")]
    assert result.exit_code == 0
    limit = {"train": 17, "translate": 21, "evaluate": 12, "serve": 12}.get(
        command, 10
    )  # the page on the architecture says why
    assert len(options) - 1 <= limit  # --help itself does not count


def test_help_is_quick():
    before = os.times()
    subprocess.run([sys.executable, "-m", "kerasgan", "--help"], check=True, capture_output=True, cwd="/")
    after = os.times()
    # Processor time, because the clock depends on what else the machine does.
    assert after.children_user + after.children_system - before.children_user - before.children_system < 0.7


@pytest.mark.parametrize(
    "options", [["--dataset", "nosuch"], ["--recipe", "nosuch"], ["--dataset", "phantom", "--set", "a=1"]]
)
def test_a_misspelt_name_is_told_before_anything_heavy_is_loaded(options, tmp_path):
    program = f"""
import sys
from kerasgan.cli import main
try:
    main(["train", *{options}])
except SystemExit as end:
    assert end.code == 2
sys.exit(len({{"numpy", "SimpleITK", "pydicom", "tensorflow"}} & sys.modules.keys()))
"""
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, cwd=tmp_path).returncode == 0


@pytest.mark.parametrize("words", [["--ray", "auto"], ["--workers", "2"]])
def test_ray_needs_a_number_of_workers_and_they_need_ray(kerasgan, words):
    result = kerasgan("train", "--dataset", "phantom", *words)
    assert result.exit_code == 2
    assert "--ray ADDRESS and --workers N are given together" in " ".join(result.stderr.split())


def test_training_on_ray_names_what_is_to_be_installed(kerasgan, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "ray", None)
    result = kerasgan("train", "--dataset", "phantom", "--quick", "--ray", "auto", "--workers", "2")
    assert result.exit_code == 2
    assert "pip install 'kerasgan[ray]'" in result.stderr
    assert not list(tmp_path.iterdir())


def test_version(kerasgan):
    import kerasgan as package

    assert kerasgan("--version").stdout.strip() == package.__version__


def test_datasets(kerasgan):
    listed = kerasgan("datasets").stdout
    assert all(name in listed for name in ("adni", "folder", "phantom", "synthrad"))
    card = kerasgan("datasets", "adni").stdout
    assert "ADNI Data Use Agreement" in card and "https://ida.loni.usc.edu" in card and "datasets/adni" in card
    assert "Labels" not in card
    assert "liver (a, b), right kidney (b), left kidney (b), spleen (b)" in kerasgan("datasets", "chaos").stdout


def test_recipes(kerasgan):
    assert "hiasa2018" in kerasgan("recipes").stdout
    shown = kerasgan("recipes", "hiasa2018").stdout
    assert "https://arxiv.org/abs/1803.06629" in shown
    assert "  losses.cycle_weight=3.0" in shown and "  generator.blocks=9" in shown
    assert "Not reported by the paper:\n  - " in shown and "Deviations from the paper:\n  - " in shown


def test_a_length_in_epochs_and_the_papers_names_are_shown(kerasgan):
    shown = kerasgan("recipes", "nehra2021").stdout
    assert "  schedule.epochs=200" in shown and "schedule.steps=" not in shown
    assert re.search(r"^The paper's names of settings:\n  paper +here$", shown, re.MULTILINE)
    assert re.search(r"^  lambda_BAB +losses.cycle_weight_b$", shown, re.MULTILINE)
    assert "paper's names" not in kerasgan("recipes", "hiasa2018").stdout


@pytest.mark.parametrize("name", ["hiasa2018", "nehra2021", "rajnish2022"])
def test_every_shown_setting_can_be_set(kerasgan, name):
    shown = kerasgan("recipes", name).stdout
    block = shown.split("which --set can change:\n")[1].split("\n\n")[0]
    settings = [
        line.strip().replace("intensity.windows=auto", "intensity.windows=recipe") for line in block.splitlines()
    ]
    assert len(settings) > 20
    assert (
        Request(recipe=name, overrides=tuple(settings)).build_recipe()
        == Request(recipe=name, overrides=("intensity.windows=recipe",)).build_recipe()
    )


def test_inspect_shows_every_series_and_no_patient(kerasgan, tmp_path, write_dicom, write_nifti):
    write_dicom(tmp_path / "scans/series", "CT")
    write_nifti(tmp_path / "scans/t1.nii.gz", "MR")
    lines = kerasgan("inspect", "scans").stdout.splitlines()
    heads = lines[0].split("  ")
    assert heads[0] == "path"
    dicom, nifti = lines[1:3]
    key = io.patient_key("Doe-4711")
    assert dicom.split() == f"series {key} - CT 40 x 40 5 6 x 6 x 4 axial LPS yes".split()
    assert nifti.split()[:2] == ["t1.nii.gz", io.patient_key("scans/t1")] and nifti.endswith("  axial LPS    yes")
    assert lines[-1] == "2 of 2 series can be used."


@pytest.mark.parametrize(
    ("code", "plane"), [("LPS", "axial"), ("RAI", "axial"), ("LIP", "coronal"), ("PIR", "sagittal")]
)
def test_inspect_tells_how_an_image_lies(kerasgan, tmp_path, head, code, plane):
    io.write_image(oriented(head("MR"), code), tmp_path / "scan.mha")
    assert f"  {plane} {code}  " in kerasgan("inspect", "scan.mha").stdout


def test_inspect_as_json_says_what_the_table_does(kerasgan, tmp_path, write_dicom, write_nifti):
    write_dicom(tmp_path / "scans" / "x", "CT", "4711", SeriesDescription="T1 axial")
    write_nifti(tmp_path / "scans" / "mr.nii.gz", "MR")
    (tmp_path / "scans" / "bad.dcm").write_text("no DICOM")
    result = kerasgan("inspect", "scans", "--json")
    series = json.loads(result.stdout)["series"]
    assert result.exit_code == 0 and [one["path"] for one in series] == ["bad.dcm", "mr.nii.gz", "x"]
    assert [(one["usable"], one["modality"], one["reason"]) for one in series] == [
        *((False, "", "not a DICOM file"), (True, "MR", ""), (True, "CT", "")),
    ]
    assert series[2]["patient"] == io.patient_key("4711") and series[2]["description"] == "T1 axial"
    assert series[2]["shape"] == [5, 40, 40] and series[2]["axes"] == "LPS" and series[2]["notes"] == []
    assert kerasgan("inspect", "scans/bad.dcm", "--json").exit_code == 2


def test_inspect_keeps_an_index_unless_it_is_told_not_to(kerasgan, tmp_path, write_dicom, cache, monkeypatch):
    first, *_ = write_dicom(tmp_path / "scans" / "x", "CT", "4711")
    plain = kerasgan("--no-index", "inspect", "scans")
    assert plain.exit_code == 0 and not cache.exists()
    monkeypatch.setattr(io.index, "SETTLED_SECONDS", 0.0)
    assert [kerasgan("inspect", "scans").stdout for _ in range(2)] == [plain.stdout] * 2
    assert (cache / io.index.FILE).stat().st_mode & 0o777 == 0o600
    (cache / io.index.FILE).unlink()
    with pytest.raises(SystemExit, match="0"):
        main(["inspect", "scans", "--no-index"])  # wherever it stands
    assert not list(cache.iterdir())
    monkeypatch.setenv("XDG_CACHE_HOME", str(first))
    result = kerasgan("inspect", "scans")
    assert result.stdout == plain.stdout and result.stderr.count("The index of headers") == 1


def test_a_folder_that_the_index_knows_is_listed_without_a_dicom_library(tmp_path, write_dicom, cache):
    write_dicom(tmp_path / "scans", "CT", "4711")
    program = """
import sys
from kerasgan.cli import main
from kerasgan.io import index
index.SETTLED_SECONDS = 0.0
try:
    main(["inspect", "scans"])
except SystemExit as end:
    assert end.code == 0
print(*sorted({"SimpleITK", "cv2", "pydicom", "kerasgan.config"} & sys.modules.keys()))
"""
    ask = {"capture_output": True, "text": True, "cwd": tmp_path}
    runs = [subprocess.run([sys.executable, "-c", program], **ask) for _ in range(2)]
    (*first, loaded), (*second, none) = [run.stdout.splitlines() for run in runs]
    assert loaded == "pydicom" and none == "" and first == second != []


def test_inspect_finds_the_files_of_a_key(kerasgan, refused, tmp_path, write_dicom, write_nifti):
    """A key is that of Patient ID, or of a folder or name from which a dataset takes the patient; salted or not."""
    write_dicom(
        tmp_path / "scans/b/x", "CT", SeriesNumber=7, SeriesDescription="Head\x1b[2J 1.0 B30f and a long text more"
    )
    write_nifti(tmp_path / "scans/a/sub-01_T1w.nii.gz", "MR")
    for name, place in (("Doe-4711", "b/x"), ("sub-01", "a/sub-01_T1w.nii.gz"), ("a", "a/sub-01_T1w.nii.gz")):
        lines = kerasgan("inspect", "scans", "--key", io.patient_key(name)).stdout.splitlines()
        assert len(lines) == 4 and lines[1].split()[:2] == [place, io.patient_key(name)]
    create_secret(tmp_path / "scans")
    (row,) = (line for line in kerasgan("inspect", "scans/b").stdout.splitlines() if line.startswith("x "))
    key = row.split()[1]
    assert key != io.patient_key("Doe-4711") and "7 Head?[2J 1.0 B30f and a long …" in row
    assert kerasgan("inspect", "scans", "--key", key).stdout.splitlines()[1].split()[:2] == ["b/x", key]
    assert kerasgan("inspect", "scans", "--series", "7").stdout.endswith("1 of 1 series can be used.\n")
    for option, asked in (("--key", "of patient p0"), ("--series", "called 'p0'")):
        error = refused("inspect", "scans", option, "p0")
        assert f"holds no DICOM series, NIfTI, MHA or NRRD file {asked}; without --key and --series all are" in error


def test_inspect_of_a_folder_without_scans(kerasgan, tmp_path):
    (tmp_path / "empty").mkdir()
    result = kerasgan("inspect", "empty")
    assert result.exit_code == 2
    assert "empty holds no DICOM series, NIfTI, MHA or NRRD file" in result.stderr


def test_dry_run_writes_nothing(kerasgan, tmp_path, two_folders, small):
    before = sorted(tmp_path.rglob("*"))
    words = ("--dataset", "folder", "--data-dir", two_folders, "--quick", "--out", "run", "--dry-run", *small)
    result = kerasgan("train", *words)
    assert result.exit_code == 0, result.output
    assert "Recipe kerasgan2026 (quick)" in result.stdout and "schedule.steps=8000" in result.stdout
    assert "  train       1       1" in result.stdout and "  validation  1       1" in result.stdout
    assert result.stdout.index("  train       1") < result.stdout.index("Recipe kerasgan2026")
    assert "Device: " in result.stdout and "Would write run\nNeeds about " in result.stdout
    assert re.search(
        r"\(8,000 steps of [\d.]+ s\) beside 8 validations, [\d.]+ [MG]B of memory and \d+ MB of disk$",
        result.stdout.rstrip(),
    )
    assert result.stderr.startswith("Run run; loading TensorFlow.")
    assert sorted(tmp_path.rglob("*")) == before


def test_dry_run_warns_where_no_patient_is_left_to_judge_by(kerasgan, tmp_path, write_nifti, small):
    write_nifti(tmp_path / "scans/a/one.nii.gz", "MR")
    write_nifti(tmp_path / "scans/b/two.nii.gz", "CT")
    result = kerasgan("train", "--dataset", "folder", "--data-dir", "scans", "--dry-run", *small)
    assert result.exit_code == 0 and "  train       1       1" in result.stdout
    assert "Warning: Too few patients to hold any out for validation and test: that needs 3 in each" in result.stderr


def test_dry_run_of_the_phantom_generates_nothing(kerasgan, tmp_path, small):
    result = kerasgan("train", "--dataset", "phantom", "--dry-run", *small)
    assert result.exit_code == 0 and result.stdout.endswith(" MB of disk, and the data\n")
    assert "would first be written to datasets/phantom" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_new_run_is_named_after_dataset_recipe_and_time(monkeypatch):
    monkeypatch.setattr(time, "strftime", lambda form: "20300102-030405")
    assert start.new_run_name(Request("adni")) == Path("runs/adni-kerasgan2026-20300102-030405")
    own = Request("my/clinic.py", recipe="my/fast.py", quick=True)
    assert start.new_run_name(own) == Path("runs/clinic-fast-quick-20300102-030405")


def test_newest_run_that_fits_is_resumed(tmp_path, untrained_run):
    runs = tmp_path / "runs"
    runs.mkdir()
    for name, age in (("old", 200), ("new", 100)):
        copy = runs / name
        copy.mkdir()
        for file in untrained_run.iterdir():
            (copy / file.name).write_bytes(file.read_bytes())
        os.utime(copy / "run.json", (time.time() - age,) * 2)
    (runs / "damaged").mkdir()
    (runs / "damaged/run.json").write_text("{")
    assert start.newest_run(Request("folder"), runs) == runs / "new"
    assert start.newest_run(Request(), runs) == runs / "new"
    own = tmp_path / "own.py"
    name = json.loads((runs / "new/recipe.json").read_text())["name"]
    own.write_text(f"from kerasgan.config import Recipe\nRECIPE = Recipe(name={name!r})\n")
    assert start.newest_run(Request("folder", recipe=str(own)), runs) == runs / "new"
    with pytest.raises(KerasganError, match="holds no run of adni to resume; name the run directory with --out"):
        start.newest_run(Request("adni"), runs)
    with pytest.raises(KerasganError, match="holds no run of folder quick to resume"):
        start.newest_run(Request("folder", quick=True), runs)


@pytest.mark.parametrize("began", [True, False])
@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt, 130), (Stopped(signal.SIGTERM), 143)])
def test_interruption_tells_how_to_go_on(kerasgan, two_folders, tmp_path, monkeypatch, began, error, code):
    from kerasgan.training import train as training

    def interrupted(request, out, resume, callbacks):
        if began:
            out.mkdir()
            (out / "run.json").write_text("{}")
        raise error

    monkeypatch.setattr(training, "train", interrupted)
    result = kerasgan("train", "--dataset", "folder", "--data-dir", two_folders, "--out", "my run")
    assert result.exit_code == code
    wanted = "kerasgan train --resume --out 'my run'" if began else "the same command goes on from there"
    assert wanted in result.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_nothing_temporary(tmp_path, untrained_run, monkeypatch, capsys, number):
    def export(run, output, *_):
        with staging_folder(output):
            assert list(tmp_path.glob(".served.*"))
            signal.raise_signal(number)

    monkeypatch.setattr(api, "export_serving", export)
    monkeypatch.setattr(_console, "LAST_SECONDS", 3600)  # the tests go on in this process
    former = signal.signal(number, signal.SIG_DFL)
    try:
        with pytest.raises(SystemExit) as ended:
            main(["export", str(untrained_run), str(tmp_path / "served")])
    finally:
        signal.signal(number, former)
    assert ended.value.code == 128 + number
    assert capsys.readouterr().err.splitlines()[-1] == "Stopped."
    assert not list(tmp_path.glob(".served.*"))


@pytest.mark.parametrize("words", [["--debug", "recipes", "hiasa"], ["recipes", "hiasa", "--debug"]])
def test_debug_shows_the_traceback_wherever_it_stands(words):
    with pytest.raises(KerasganError, match="hiasa2018"):
        main(words)


def test_a_reader_that_leaves_is_no_error(kerasgan, monkeypatch):
    def left(text=""):
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr("kerasgan.cli.recipes.say", left)
    result = kerasgan("recipes")
    assert result.exit_code == 1 and "Error" not in result.stderr


def test_compare_prints_the_table_and_writes_the_folder(kerasgan, tmp_path):
    runs = [write_run(tmp_path / name, maes) for name, maes in (("plain", [150, 160, 170]), ("gc", [140, 155, 168]))]
    result = kerasgan("compare", *runs, "--out", "comparison")
    assert result.exit_code == 0, result.output
    assert "MR to CT, 3 test patients" in result.stdout and "-5.67 [-15.7, 4.37]" in result.stdout
    assert result.stdout.splitlines()[-1] == "Page, table, CSV, JSON and pictures: comparison"
    assert {path.suffix for path in (tmp_path / "comparison").iterdir()} == {".md", ".csv", ".json", ".png", ".html"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory, head, tiny) -> Path:
    """A folder with six paired patients in `scans` and a run of two steps in `run`."""
    folder = tmp_path_factory.mktemp("trained")
    for number in range(6):
        patient = folder / "scans" / f"1BA00{number}"
        patient.mkdir(parents=True)
        for modality, name in (("MR", "mr"), ("CT", "ct")):
            io.write_image(head(modality, number), patient / f"{name}.nii.gz")
        mask = (head("CT", number).array > -500).astype("float32")
        io.write_image(Volume(mask, (6.0, 6.0, 4.0)), patient / "mask.nii.gz")
    words = ["train", "--dataset", "synthrad", "--data-dir", str(folder / "scans"), "--out", str(folder / "run"), *tiny]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    (folder / "printed").write_text(result.stdout)
    return folder


@pytest.mark.slow
def test_after_training_the_next_commands_are_shown(trained):
    printed, run = (trained / "printed").read_text(), trained / "run"
    assert printed.startswith("Trained 2 steps of kerasgan2026.\nMR to CT: ")
    assert re.search(r"^CT to MR: [\d.]+ in arbitrary units on 1 validation patient at step 2 \(kept\)$", printed, re.M)
    for command in (
        f"kerasgan evaluate {run}",
        f"kerasgan translate {run} INPUT OUTPUT",
        f"kerasgan export {run} OUTPUT",
    ):
        assert command in printed
    for name in ("history.csv", "losses.png", "previews", "tensorboard", "recipe.json", "split.json"):
        assert (run / name).exists()


@pytest.mark.slow
def test_resume_of_a_finished_run(kerasgan, trained):
    result = kerasgan("train", "--resume", "--out", trained / "run")
    assert result.exit_code == 0 and "Trained 2 steps" in result.stdout


@pytest.mark.slow
def test_translate_image_and_series(kerasgan, trained, tmp_path, write_dicom):
    source = next((trained / "scans").glob("*/mr.nii.gz"))
    result = kerasgan("translate", trained / "run", source, "ct.nii.gz")
    assert result.exit_code == 0, result.output
    assert "MR to CT (--direction ab)." in result.output
    assert "Wrote ct.nii.gz; a picture of it: ct-preview.png. Synthetic, not for diagnosis" in result.stdout
    assert io.read_image(tmp_path / "ct.nii.gz").same_grid(io.read_image(source))
    write_dicom(tmp_path / "series", "MR")
    result = kerasgan("translate", trained / "run", "series", "synthetic")
    assert result.exit_code == 0, result.output
    assert io.read_volume(tmp_path / "synthetic").modality == "CT"


@pytest.mark.slow
def test_translate_by_the_best_engine_a_named_one_or_the_exact_one(kerasgan, trained, tmp_path, cache):
    source, words = next((trained / "scans").glob("*/mr.nii.gz")), ["translate", trained / "run"]
    best = kerasgan(*words, source, "best.nii.gz")
    again = kerasgan(*words, source, "again.nii.gz")
    assert "Measuring which engine is the fastest here" in best.stderr, best.output
    assert "Measuring" not in again.stderr and "Engine: " in again.stderr and list((cache / "engines").iterdir())
    exact = kerasgan(*words, source, "exact.nii.gz", "--exact")
    assert "Engine: TensorFlow float32." in exact.stderr
    api.translate(trained / "run", source, tmp_path / "python.nii.gz")
    expected = io.read_image(tmp_path / "python.nii.gz", "CT").array
    np.testing.assert_array_equal(io.read_image(tmp_path / "exact.nii.gz", "CT").array, expected)
    named = kerasgan(*words, source, "named.nii.gz", "--engine", "openvino-float32")
    assert "Engine: OpenVINO float32, " in named.stderr, named.output
    np.testing.assert_allclose(io.read_image(tmp_path / "named.nii.gz", "CT").array, expected, atol=1)  # whole HU
    both = kerasgan(*words, source, "ct.nii.gz", "--exact", "--engine", "openvino-float32")
    assert both.exit_code == 2 and "--exact is an engine itself" in both.stderr
    server = kerasgan("translate", "grpc://localhost:1/name", source, "ct.nii.gz", "--exact")
    assert server.exit_code == 2 and "--engine and --exact are for a run" in server.stderr


@pytest.mark.slow
def test_evaluate_prints_the_table_beside_the_baseline(kerasgan, trained):
    result = kerasgan("evaluate", trained / "run")
    assert result.exit_code == 0, result.output
    heads = r"^\| +\| kerasgan +\| constant +\| best look-up table \| grid floor"
    assert re.search(heads, result.stdout, re.MULTILINE)
    assert f"{trained / 'run' / 'evaluation'}" in result.stdout.splitlines()[-1]
    assert "MAE of bone [HU]" in result.stdout and "psnr_255" not in result.stdout
    every = kerasgan("evaluate", trained / "run", "--definitions").stdout
    assert "psnr_255" in every and "- mae_hu: Mean absolute error over the body mask" in every
    assert list((trained / "run" / "evaluation").glob("*.png"))
    exact = json.loads(kerasgan("evaluate", trained / "run", "--json", "--exact").stdout)
    assert exact["engine"] == "TensorFlow float32" and "computed by" not in exact["note"]
    found = json.loads(kerasgan("evaluate", trained / "run", "--json", "--engine", "openvino-float32").stdout)
    assert found["engine"] == "OpenVINO float32" and "computed by OpenVINO float32" in found["note"]
    assert found == json.loads((trained / "run" / "evaluation" / "summary.json").read_text())


@pytest.mark.slow
def test_export_both_formats(kerasgan, trained, tmp_path):
    result = kerasgan("export", trained / "run", "saved", "--format", "serving", "--name", "model", "--version", "3")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "saved/model/3/saved_model.pb").is_file() and (tmp_path / "saved/models.config").is_file()
    assert "saved/model/3/assets.extra/comparison.json" in result.stdout
    found = json.loads(kerasgan("export", trained / "run", "again", "--name", "model", "--json").stdout)
    written = (tmp_path / "again/model/1/assets.extra/comparison.json").read_text()
    assert found == {"output": "again/model/1", "report": json.loads(written)}
    words = ["--format", "tflite", "--size", "40", "36", "--precision", "float16"]
    result = kerasgan("export", trained / "run", "model.tflite", *words)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "model.tflite").is_file() and "model.json" in result.stdout
    assert re.search(r"^ +size \[MB\]  MAE to Keras \[HU\]  MAE to truth \[HU\]$", result.stdout, re.MULTILINE)
    assert re.search(r"^Keras +- +- +\d+\.\d\d$", result.stdout, re.MULTILINE)
    assert re.search(r"^float16  0\.\d\d +\d\.\d\d +\d+\.\d\d$", result.stdout, re.MULTILINE)
    refused = kerasgan("export", trained / "run", "other.tflite", "--format", "tflite", "--size", "41", "36")
    assert refused.exit_code == 2 and "41" in refused.stderr and "multiple" in refused.stderr
