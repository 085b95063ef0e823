"""Bad input: one clear line with the remedy, exit code 2, and nothing half-written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kerasgan import api


def left_behind(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("dataset", ["adni", "synthrad", "folder"])
def test_missing_data_tells_where_to_get_it(kerasgan, tmp_path, dataset):
    result = kerasgan("train", "--dataset", dataset)
    assert result.exit_code == 2
    assert f"No {dataset} data in datasets/{dataset}. There is no such folder." in result.stderr
    assert f"Put it into datasets/{dataset} or name its folder with --data-dir." in result.stderr
    assert "this runs now: kerasgan train --dataset phantom --quick" in result.stderr
    assert len(result.stderr.splitlines()) <= 6
    assert left_behind(tmp_path) == set()


def test_empty_folder(kerasgan, tmp_path):
    (tmp_path / "empty").mkdir()
    result = kerasgan("train", "--dataset", "folder", "--data-dir", "empty", "--out", "run")
    assert result.exit_code == 2
    assert "No folder data in empty. The folder is empty." in result.stderr
    assert left_behind(tmp_path) == {"empty"}


def test_folder_of_something_else(kerasgan, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a.jpg").write_bytes(b"\xff\xd8\xff")
    for dataset in ("folder", "synthrad"):
        result = kerasgan("train", "--dataset", dataset, "--data-dir", "photos", "--out", "run")
        assert result.exit_code == 2
        assert f"No {dataset} data in photos. Nothing in it is laid out like {dataset}." in result.stderr
    for dataset in ("folder", "phantom"):
        result = kerasgan("train", "--dataset", dataset, "--data-dir", "photos/a.jpg", "--dry-run")
        assert result.exit_code == 2
        assert f"No {dataset} data in photos/a.jpg. This is a file; a folder is needed." in result.stderr
    result = kerasgan("train", "--dataset", "photos")
    assert "No dataset is called 'photos'. A folder is given with --data-dir" in result.stderr
    assert "for scans of your own: --dataset folder --data-dir photos" in result.stderr
    assert left_behind(tmp_path) == {"photos"}


def test_an_archive_in_place_of_a_folder(kerasgan, tmp_path):
    (tmp_path / "scans.zip").write_bytes(b"PK")
    told = kerasgan("train", "--dataset", "folder", "--data-dir", "scans.zip", "--dry-run").stderr
    assert "This is a file; a folder is needed: unpack it, and name the folder." in told
    told = kerasgan("train", "--dataset", "scans.zip").stderr
    assert "A folder is given with --data-dir; for scans of your own: --dataset folder --data-dir FOLDER, after" in told


def test_a_python_package_that_is_missing(refused, two_folders, monkeypatch):
    def missing(*arguments):
        raise ModuleNotFoundError("No module named 'SimpleITK'", name="SimpleITK")

    monkeypatch.setattr(api, "inspect", missing)
    error = refused("inspect", two_folders)
    assert "The Python package SimpleITK is missing" in error and "pip install kerasgan" in error


def test_a_run_without_its_split_is_not_continued(refused, untrained_run, two_folders):
    (untrained_run / "split.json").unlink()
    error = refused("train", "--resume", "--out", untrained_run, "--data-dir", two_folders)
    assert "split.json cannot be read: there is no such file. Restore the file from a copy" in error


def test_folder_without_one_of_the_modalities(refused, two_folders, tmp_path):
    for scan in (two_folders / "b").iterdir():
        scan.unlink()
    error = refused("train", "--dataset", "folder", "--data-dir", two_folders, "--out", "run")
    assert f"{two_folders}/b has no MR or CT scan" in error and "nothing" in error and "kerasgan inspect" in error
    assert "run" not in left_behind(tmp_path)


def test_both_folders_of_one_modality(refused, two_folders, write_nifti):
    for scan in (two_folders / "b").iterdir():
        write_nifti(scan, "MR")
    error = refused("train", "--dataset", "folder", "--data-dir", two_folders, "--out", "run")
    assert "hold MR" in error and "the other CT" in error


def test_one_patient_only(refused, tmp_path, write_nifti):
    write_nifti(tmp_path / "scans/a/p1.nii.gz", "MR")
    write_nifti(tmp_path / "scans/b/p1.nii.gz", "CT")
    error = refused("train", "--dataset", "folder", "--data-dir", "scans", "--out", "run")
    assert "Found 1 patient" in error and "Training needs 2 patients" in error and "Add patients" in error
    assert "run" not in left_behind(tmp_path)


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_labels_that_a_recipe_needs_and_the_dataset_lacks(refused, two_folders, tmp_path, options):
    request = ("train", "--dataset", "folder", "--data-dir", two_folders, "--recipe", "mujtaba2025", "--out", "run")
    error = refused(*request, *options)
    assert "learns to segment liver on MR, but folder has no label 'liver' in domain a" in error
    assert "--set segmentation=null" in error
    assert left_behind(tmp_path) == {"scans"}


@pytest.mark.parametrize(
    ("settings", "found", "remedy", "left"),
    [
        (["discriminator.name=fcn"], "needs images of 64 pixels or more; got (32, 32)", "Change data.size", {"scans"}),
        (
            ["generator.name=fcn", "losses.identity_weight=5"],
            "losses.identity_weight=5",
            "losses.identity_weight=0",
            {"scans", ".cache"},
        ),
    ],
)
def test_networks_that_cannot_be_trained(refused, two_folders, tmp_path, settings, found, remedy, left):
    words = [word for setting in ("data.size=32", *settings) for word in ("--set", setting)]
    error = refused("train", "--dataset", "folder", "--data-dir", two_folders, "--out", "run", *words)
    assert found in error and remedy in error
    assert left_behind(tmp_path) == left


def test_text_file_called_dcm(kerasgan, refused, tmp_path, untrained_run):
    (tmp_path / "notes.dcm").write_text("not an image")
    result = kerasgan("inspect", "notes.dcm")
    assert result.exit_code == 2 and "notes.dcm" in result.output
    error = refused("translate", untrained_run, "notes.dcm", "out.nii.gz")
    assert "notes.dcm" in error
    assert not (tmp_path / "out.nii.gz").exists()


@pytest.mark.parametrize(
    ("arguments", "found", "remedy"),
    [
        (["--dataset", "phantm"], "No dataset is called 'phantm'", "Did you mean phantom or phantom_"),
        (["--dataset", "phantom", "--recipe", "hiasa"], "No recipe is called 'hiasa'", "Did you mean hiasa2018"),
        (
            ["--dataset", "phantom", "--set", "schedule.step=5"],
            "No recipe field is called 'schedule.step'",
            "Did you mean schedule.steps",
        ),
        (["--dataset", "phantom", "--set", "schedule.steps"], "got 'schedule.steps'", "--set needs path=value"),
        (["--dataset", "phantom", "--set", "schedule.steps=many"], "schedule.steps", "valid integer"),
        (["--dataset", "phantom", "--set", "data.size=130"], "data.size", "multiple of 4"),
        (
            ["--dataset", "phantom", "--set", "generator=resnet"],
            "generator has fields of its own (got 'resnet')",
            "set one, as generator.FIELD",
        ),
        (["--dataset", "my.py"], "my.py is not a file", "path to an existing .py file"),
        ([], "--dataset is missing", "folder, phantom, phantom_abdomen, phantom_contrasts, phantom_pelvis, synthrad"),
    ],
)
def test_unknown_dataset_recipe_field_or_value(refused, tmp_path, arguments, found, remedy):
    error = refused("train", *arguments)
    assert found in error and remedy in error
    assert left_behind(tmp_path) == set()


def test_unknown_names_in_the_lists(refused):
    assert "Did you mean adni?" in refused("datasets", "adn")
    assert "Did you mean hiasa2018" in refused("recipes", "hiasa2019")


@pytest.mark.parametrize(
    "command", [["translate", "RUN", "scan.nii.gz", "out.nii.gz"], ["export", "RUN", "out", "--format", "serving"]]
)
def test_run_without_weights(refused, tmp_path, untrained_run, write_nifti, command):
    write_nifti(tmp_path / "scan.nii.gz", "MR")
    error = refused(*[untrained_run if word == "RUN" else word for word in command])
    assert f"{untrained_run} holds no trained generator yet" in error
    assert f"kerasgan train --resume --out {untrained_run}" in error
    assert left_behind(tmp_path) == {"scan.nii.gz", "run", ".run.data"}


@pytest.mark.parametrize("command", ["translate", "evaluate", "export"])
def test_folder_that_is_no_run(refused, command):
    arguments = {"translate": ["in", "out"], "evaluate": [], "export": ["out", "--format", "tflite"]}[command]
    error = refused(command, ".", *arguments)
    assert "is no run directory (it has no run.json)" in error and "kerasgan train" in error


def test_exported_models_that_are_named_as_a_run(refused, tmp_path):
    (tmp_path / "served/head/1").mkdir(parents=True)
    (tmp_path / "served/head/1/saved_model.pb").touch()
    (tmp_path / "ct.tflite").touch()
    error = refused("translate", tmp_path / "served", "in", "out")
    assert (
        f"Exported models are served, by kerasgan serve {tmp_path}/served, whose address then takes their place"
        in error
    )
    error = refused("evaluate", tmp_path / "ct.tflite")
    assert f"An exported file translates, and does nothing else: kerasgan translate {tmp_path}/ct.tflite" in error


def test_part_of_a_run_that_is_named_as_the_run(refused, untrained_run):
    for part in ("run.json", "generators/ab-best.keras"):
        error = refused("evaluate", untrained_run / part)
        assert "is no run directory" in error and error.endswith(f"It is a part of the run {untrained_run}.")


def test_runs_that_have_no_student(refused, untrained_run, tmp_path):
    assert "nowhere is no run directory" in refused("distill", tmp_path / "nowhere")
    (tmp_path / "taken/notes").mkdir(parents=True)
    assert "taken is not empty; choose another --out" in refused("distill", untrained_run, "--out", tmp_path / "taken")
    assert "holds no trained generator yet; train on with: kerasgan train --resume" in refused("distill", untrained_run)
    assert not untrained_run.with_name("run-small").exists()


def test_runs_that_cannot_be_compared(refused, untrained_run):
    assert "needs two runs or more; got 1" in refused("compare", untrained_run, "--out", "comparison")
    error = refused("compare", untrained_run, untrained_run, "--out", "comparison")
    assert f"{untrained_run} has not been evaluated; run: kerasgan evaluate {untrained_run}" in error
    assert "comparison" not in left_behind(untrained_run.parent)


def test_ct_given_to_an_mr_model(refused, tmp_path, untrained_run, write_nifti):
    write_nifti(tmp_path / "scan.nii.gz", "CT")
    error = refused("translate", untrained_run, "scan.nii.gz", "out.nii.gz", "--direction", "ab")
    assert "The input is CT, but direction ab of the run takes MR" in error and "Give a scan of that modality" in error
    assert not (tmp_path / "out.nii.gz").exists()


def test_output_below_a_file(refused, tmp_path, two_folders, untrained_run, write_nifti):
    (tmp_path / "file").write_text("")
    assert "file" in refused("train", "--dataset", "folder", "--data-dir", two_folders, "--out", "file/run")
    assert (tmp_path / "file").read_text() == ""


def test_output_that_exists(refused, tmp_path, two_folders, untrained_run, write_nifti):
    write_nifti(tmp_path / "scan.nii.gz", "MR")
    assert "scan.nii.gz exists" in refused("translate", untrained_run, "scan.nii.gz", "scan.nii.gz")
    error = refused("train", "--dataset", "folder", "--data-dir", two_folders, "--out", untrained_run)
    assert "is not empty" in error and "--resume" in error


def test_folder_that_cannot_be_written(refused, two_folders):
    if not Path("/proc/self").exists():
        pytest.skip("needs /proc, where not even root can make a folder")
    error = refused("train", "--dataset", "folder", "--data-dir", two_folders, "--out", "/proc/run")
    assert "/proc/" in error


@pytest.fixture
def small_disk(tmp_path, request):
    """A file system of the size that the test is parametrized with."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={request.param}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mounting, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small file system")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)  # memory maps may still be open


@pytest.mark.parametrize("small_disk", ["16k"], indirect=True)
def test_disk_that_is_full_before_the_training(refused, two_folders, small_disk):
    error = refused("train", "--dataset", "folder", "--data-dir", two_folders, "--out", small_disk / "run")
    assert f"Cannot write {small_disk}/" in error and "No space left on device. Free some space" in error
    assert not (small_disk / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("small_disk", ["256k"], indirect=True)
def test_disk_that_fills_up_during_the_training(refused, two_folders, small_disk, tiny):
    run = small_disk / "run"
    error = refused("train", "--dataset", "folder", "--data-dir", two_folders, "--out", run, *tiny)
    assert str(run) in error and "No space left on device" in error
    assert not list(run.glob("checkpoints/*")) and not list(run.glob("generators/.*"))  # nothing is half-written


def test_resume_with_a_changed_recipe(refused, untrained_run):
    before = {path.name: path.read_bytes() for path in untrained_run.iterdir()}
    error = refused("train", "--resume", "--out", untrained_run, "--recipe", "kerasgan2026", "--set", "pool_size=7")
    assert "pool_size: 50 -> 7" in error and "another --out" in error
    assert {path.name: path.read_bytes() for path in untrained_run.iterdir()} == before
    assert "pool_size: 50 -> 7. Leave" in refused("train", "--resume", "--out", untrained_run, "--set", "pool_size=7")


def test_seed_that_keras_does_not_take(refused, tmp_path):
    assert "'--seed': Input should be less than or equal to 4294967295" in refused("train", "--seed", "99999999999")
    assert left_behind(tmp_path) == set()


def test_resume_with_another_dataset(refused, untrained_run):
    error = refused("train", "--resume", "--out", untrained_run, "--dataset", "phantom")
    assert "dataset folder, got phantom" in error


def test_resuming_says_first_which_run_it_is(kerasgan, untrained_run, tmp_path):
    for age, name in enumerate(("new", "old")):
        run = shutil.copytree(untrained_run, tmp_path / "runs" / name)
        os.utime(run / "run.json", (1e9 - age, 1e9 - age))
    first = kerasgan("train", "--resume").stderr.splitlines()[0]
    assert first == "Continuing runs/new, the newest of 2 runs that fit; name another one with --out."
    shutil.rmtree(tmp_path / "runs" / "new")
    assert kerasgan("train", "--resume").stderr.splitlines()[0] == "Continuing runs/old."


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("--lr 0.1", "No such option: --lr. It is a setting of the recipe: --set optimizer.learning_rate=0.1"),
        (
            "--dataset phantom --epochs=5",
            "No such option: --epochs. It is a setting of the recipe: --set schedule.epoch",
        ),
        ("--batch-size 4 --quick", "--set data.batch_size=4"),
        ("--lambda_identity 0.5", "losses.identity_weight=VALUE, which is lambda_identity times lambda_A."),
        ("--n_epochs=100", "--set schedule.epochs=VALUE, which is n_epochs plus n_epochs_decay."),
        ("--crop_size --quick", "--set data.size=VALUE"),
        ("--dataroot here", "No such option: --dataroot. It is called --data-dir here."),
        ("--quikc", "No such option: --quikc. Did you mean --quick"),
        ("heads", "Got an unexpected argument 'heads'. A dataset is named by an option: --dataset heads"),
        ("phantom --quick", "--dataset phantom"),
        ("scans", "--dataset folder --data-dir scans"),
    ],
)
def test_words_of_other_programs_are_told_as_they_are_here(refused, tmp_path, words, text):
    (tmp_path / "scans").mkdir()
    assert text in refused("train", *words.split())
    assert left_behind(tmp_path) == {"scans"}


def test_resume_without_a_run(refused):
    assert "runs holds no run of phantom to resume" in refused("train", "--resume", "--dataset", "phantom")
    assert "nowhere is no run directory" in refused("train", "--resume", "--out", "nowhere")


def test_truncated_dicom_among_good_ones(kerasgan, refused, tmp_path, untrained_run, write_dicom):
    files = write_dicom(tmp_path / "series", "MR")
    files[-1].write_bytes(files[-1].read_bytes()[:-500])
    lost = "skipped 1 file that kerasgan inspect lists: truncated"
    assert lost in refused("translate", untrained_run, "series", "out.nii.gz", "--strict")
    assert "\n4.dcm " in kerasgan("inspect", "series").stdout
    # Without --strict the rest of the scan is read; what is missing then are the weights.
    result = kerasgan("translate", untrained_run, "series", "out.nii.gz")
    warnings = [line for line in result.stderr.splitlines() if line.startswith("Warning: ")]
    assert any(lost in line for line in warnings)
    assert "holds no trained generator" in result.stderr
    assert left_behind(tmp_path) == {"series", "run", ".run.data"}


def test_options_that_do_not_fit(kerasgan, untrained_run):
    result = kerasgan("export", untrained_run, "out", "--format", "serving", "--precision", "float16")
    assert result.exit_code == 2 and "--size and --precision are for --format tflite" in result.stderr
    result = kerasgan("export", untrained_run, "out", "--direction", "ba")
    assert result.exit_code == 2 and "--direction is for a file, such as model.onnx" in result.stderr
    for words in (("--name", "model"), ("--version", "2")):
        result = kerasgan("export", untrained_run, "out.tflite", *words)
        assert result.exit_code == 2 and "--name, --version and --force are for --format serving" in result.stderr
    result = kerasgan("export", untrained_run, "out", "--version", "0")
    assert result.exit_code == 2 and "--version" in result.stderr
    result = kerasgan("export", untrained_run, "out", "--format", "torch")
    assert result.exit_code == 2 and "torch" in result.stderr


def test_the_format_of_an_export_follows_from_the_output(kerasgan, untrained_run):
    """Only a TFLite file takes --size; what is missing then, and of every file without it, are the weights."""
    result = kerasgan("export", untrained_run, "out", "--size", "64", "64")
    assert result.exit_code == 2 and "--size and --precision are for --format tflite" in result.stderr
    for words in (["out.tflite", "--size", "64", "64"], ["out.onnx", "--direction", "ba"], ["out.keras"]):
        result = kerasgan("export", untrained_run, *words)
        assert result.exit_code == 2 and "holds no trained generator yet" in result.stderr


def test_no_error_names_the_patient(kerasgan, tmp_path, untrained_run, write_dicom):
    write_dicom(tmp_path / "series", "CT", patient="Doe-4711")
    shown = [
        kerasgan("inspect", "series"),
        kerasgan("translate", untrained_run, "series", "out", "--direction", "ab"),
    ]
    for result in shown:
        assert "Doe" not in result.output and "4711" not in result.output


def test_through_the_script(tmp_path):
    script = Path(__file__).parents[2] / "train.py"
    words = [sys.executable, str(script), "--dataset", "adni"]
    result = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 2 and result.stdout == ""
    assert "No adni data in datasets/adni." in result.stderr and "https://adni.loni.usc.edu" in result.stderr
    assert "this runs now: python train.py --dataset phantom --quick" in result.stderr


@pytest.mark.parametrize(
    ("override", "named", "remedy"),
    [
        ("generator.filtres=8", "'filtres'", "filters"),
        ("losses.adversarial.name=wasserstien", "'wasserstien'", "wasserstein"),
        ("discriminator.filters=many", "filters='many'", "integer"),
    ],
)
def test_a_dry_run_refuses_misspelt_components_and_options(refused, two_folders, override, named, remedy):
    words = ["train", "--dataset", "folder", "--data-dir", two_folders, "--set", override, "--dry-run"]
    error = refused(*words)
    assert named in error and remedy in error


def test_a_loss_of_ones_own_without_its_function(refused, two_folders, tmp_path):
    (tmp_path / "mine.py").write_text("def build(real, fake):\n    return real - fake\n")
    words = ("--dataset", "folder", "--data-dir", two_folders, "--set", "losses.cycle.name=mine.py", "--dry-run")
    error = refused("train", *words)
    assert "'mine.py' of losses has no function" in error and "Define it there, or choose from: absolute" in error


def test_a_dry_run_refuses_a_loss_of_another_shape(refused, two_folders, tmp_path):
    (tmp_path / "mine.py").write_text("def loss(image, other):\n    return abs(image - other)[0]\n")
    words = ("--dataset", "folder", "--data-dir", two_folders, "--set", "losses.cycle.name=mine.py", "--dry-run")
    error = refused("train", *words)
    assert "mine" in error and "returned [256, 256, 1] for values of [1, 256, 256, 1]; expected a scalar" in error


def test_a_modality_of_no_domain(kerasgan):
    result = kerasgan("train", "--dataset", "folder", "--modality", "MR")
    assert result.exit_code == 2 and "a=MR, a=CT, b=MR, b=CT; got" in result.stderr


def test_devices_that_cannot_train_together(kerasgan, refused, two_folders, monkeypatch):
    request = ("train", "--dataset", "folder", "--data-dir", two_folders)
    assert "2 devices cannot share batches of 1, as each takes equally many" in refused(*request, "--devices", 2)
    assert "asks for CPU 7 (counted from 0), and TensorFlow sees 2 here. Name" in refused(*request, "--devices", "0,7")
    result = kerasgan(*request, "--devices", "two")
    assert result.exit_code == 2 and "--devices takes how many, such as 2, or GPUs such as 0,2" in result.stderr
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    monkeypatch.setenv("SLURM_STEP_NODELIST", "node[1-2]")
    monkeypatch.setenv("SLURM_PROCID", "1")
    assert "2 processes that train together need --out (in Python out=), the same for all." in refused(*request)
    monkeypatch.setenv("TF_CONFIG", "{")
    assert "TF_CONFIG cannot be used" in refused(*request)
