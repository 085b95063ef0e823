"""The first look, on two cores within five minutes; with --long the whole way, some ten minutes.

    python examples/demo.py [FOLDER] [--set PATH=VALUE ...]
    python examples/demo.py --long [FOLDER] [--set PATH=VALUE ...]

The first look translates a made-up patient by the model that comes with kerasgan, and then trains one that beats what
any table of intensities can do. The whole way trains without pairs in 8,000 steps, exports, translates a patient of the
test part and evaluates.

Each step is a `kerasgan` command and is printed before it runs. Run again after an interruption, it goes on where it
stopped; remove the folder to start afresh. `--set schedule.steps=100` and other settings make the training shorter.
"""

import json
import shlex
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import kerasgan
from kerasgan.cli import main
from kerasgan.datasets import load_scans
from kerasgan.phantom import HEAD, write_dataset

FEW = replace(HEAD.size, train=5, validation=1, test=2)  # patients of the short training
SHORT = (  # registered CTs of other patients teach fastest, see docs/pairs.md
    *("--recipe", "onesided2026", "--quick", "--set", "losses.adversarial_weight=0"),
    *("--set", "losses.structure_weight=0", "--set", "supervision.target=median", "--set", "schedule.steps=700"),
    *("--set", "schedule.preview_every=700", "--set", "optimizer.learning_rate=5e-4"),
)


def first_look(folder: Path, settings: list[str]) -> None:
    """Translates a made-up patient, then trains in minutes and evaluates, with the output in `folder`."""
    patient, synthetic, run = folder / "patient", folder / "synthetic-ct", folder / "run"
    picture = folder / "synthetic-ct-preview.png"
    if not patient.exists():
        command("phantom", patient)
    shutil.rmtree(synthetic, ignore_errors=True)
    picture.unlink(missing_ok=True)
    command("translate", "demo", patient / "MR", synthetic)
    print(f"\nOpen {picture}: MR above, synthetic CT below.\nNow a model of your own:", flush=True)

    write_dataset(folder / "phantom", FEW)
    train(run, folder / "phantom", [*SHORT, *settings])
    command("evaluate", run)
    found = json.loads((run / "evaluation" / "summary.json").read_text())["methods"]
    model, table = (found[method]["mae_hu"]["mean"] for method in ("kerasgan", "best look-up table"))
    print(f"""
  Trained for minutes, without a single pair, the model has a mean error of {model:.0f} HU in patients it never saw;
  the best table of intensities, fitted on true pairs, has {table:.0f} HU.

  Picture      {picture}
  DICOM        {synthetic}
  Your run     {run}
  In a browser kerasgan demo
  The next     make demo-long""")


def whole_way(folder: Path, settings: list[str]) -> None:
    """Trains without pairs, exports, translates and evaluates, with the output in `folder`."""
    run, products = folder / "run", folder / "products"
    serving, tflite, synthetic = products / "serving", products / "model.tflite", products / "synthetic-ct"
    shutil.rmtree(products, ignore_errors=True)

    train(run, folder / "phantom", ["--quick", *settings])
    command("export", run, serving, "--format", "serving")
    command("export", run, tflite, "--format", "tflite")
    command("translate", run, test_series(run), synthetic)
    command("evaluate", run)

    pictures = sorted((run / "evaluation").glob("p*.png"))  # one for each patient's key
    print(f"""
  Run             {run}
  For a server    {serving}
  TFLite          {tflite}
  DICOM series    {synthetic}
  Picture         {pictures[0]}

Synthetic images of a phantom, after a quick training: they show that everything works. Now with your own scans:
  kerasgan inspect FOLDER
  kerasgan train --dataset folder --data-dir FOLDER""")


def train(run: Path, data: Path, options: list[str]) -> None:
    """Trains on the phantom, or goes on where a training was interrupted."""
    if (run / "run.json").exists():
        command("train", "--resume", "--out", run)
    else:
        command("train", "--dataset", "phantom", "--data-dir", data, "--out", run, *options)


def command(*arguments: object) -> None:
    """Prints and runs a `kerasgan` command; ends the program where it fails."""
    words = [str(argument) for argument in arguments]
    print(f"\n$ kerasgan {shlex.join(words)}", flush=True)
    try:
        main(words)
    except SystemExit as end:
        if end.code:
            raise


def test_series(run_path: Path) -> Path:
    """Returns the folder with the MR series of the first test patient."""
    run = kerasgan.load_run(run_path)
    _, scans = load_scans(run.facts.dataset, run.data_dir)
    patient = run.split()["test"]["a"][0]
    scan = next(scan for scan in scans if scan.patient == patient and scan.domain == "a")
    return scan.files[0].parent


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--long"]
    named = words[:1] if words and not words[0].startswith("-") else []
    story, default = (whole_way, "demo-long") if "--long" in sys.argv else (first_look, "first-look")
    story(Path(named[0] if named else default), words[len(named) :])
