"""The whole way on a phantom: train, export, translate a patient's DICOM series, evaluate.

    python examples/demo.py [FOLDER] [--set PATH=VALUE ...]

Each step is a `kerasgan` command and is printed before it runs. Run again after an interruption, it goes on where it
stopped; remove the folder to start afresh. `--set schedule.steps=100` and other settings make the training shorter.
"""

import shlex
import shutil
import sys
from pathlib import Path

import kerasgan
from kerasgan.cli import main
from kerasgan.datasets import load_scans


def demo(folder: Path, settings: list[str]) -> None:
    """Runs every step with its output in `folder`; `settings` goes to the training."""
    run, products = folder / "run", folder / "products"
    serving, tflite, synthetic = products / "serving", products / "model.tflite", products / "synthetic-ct"
    shutil.rmtree(products, ignore_errors=True)

    if (run / "run.json").exists():
        command("train", "--resume", "--out", run)
    else:
        command("train", "--dataset", "phantom", "--data-dir", folder / "phantom", "--quick", "--out", run, *settings)
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
    named = sys.argv[1:2] if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else []
    demo(Path(named[0] if named else "demo"), sys.argv[1 + len(named) :])
