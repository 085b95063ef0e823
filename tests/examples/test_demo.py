"""The demonstration goes through all its commands, on a small phantom and with a training of a few steps."""

import subprocess
import sys
from pathlib import Path

import pytest
from tiny import TINY
from tiny_experiment import write_heads

import kerasgan

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"


@pytest.mark.slow
def test_demo_trains_exports_translates_and_evaluates(tmp_path):
    write_heads(tmp_path / "demo" / "phantom", test=1)
    settings = [word for setting in (*TINY, "schedule.steps_per_execution=1") for word in ("--set", setting)]
    first = subprocess.run([sys.executable, DEMO, "demo", *settings], cwd=tmp_path, capture_output=True, text=True)
    assert first.returncode == 0, first.stderr
    steps = [line.split()[2] for line in first.stdout.splitlines() if line.startswith("$ kerasgan")]
    assert steps == ["train", "export", "export", "translate", "evaluate"]
    products = tmp_path / "demo" / "products"
    assert (products / "model.tflite").is_file() and list(products.glob("serving/*/1/saved_model.pb"))
    assert kerasgan.read_volume(products / "synthetic-ct").modality == "CT"
    [picture] = (tmp_path / "demo" / "run" / "evaluation").glob("p*.png")
    assert f"Picture         {picture.relative_to(tmp_path)}" in first.stdout
