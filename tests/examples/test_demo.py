"""Both demonstrations go through all their commands, on a small phantom and with a training of a few steps."""

import importlib.util
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tiny import TINY
from tiny_experiment import write_heads

import kerasgan
from kerasgan.phantom import Grid

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"
SETTINGS = [word for setting in (*TINY, "schedule.steps_per_execution=1") for word in ("--set", setting)]


@pytest.mark.slow
def test_the_first_look_translates_trains_and_says_one_number(tmp_path, monkeypatch, capfd):
    spec = importlib.util.spec_from_file_location("demo_example", DEMO)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    small = Grid((14, 28, 28), (8.0, 8.0, 9.5))
    monkeypatch.setattr("kerasgan.phantom.sample.WHOLE_HEAD", Grid((20, 56, 56), (4.0, 4.0, 9.0)))
    monkeypatch.setattr(example, "FEW", replace(example.FEW, mr=small, ct=small))
    monkeypatch.chdir(tmp_path)
    for made_up in (["phantom"], []):  # again, it goes on with what is there
        example.first_look(Path("first-look"), SETTINGS)
        shown = capfd.readouterr().out
        steps = [line.split()[2:4] for line in shown.splitlines() if line.startswith("$ kerasgan")]
        assert [step[0] for step in steps] == [*made_up, "translate", "train", "evaluate"]
        assert steps[-3][1] == "demo"
        assert len(list(Path("first-look/synthetic-ct").iterdir())) == 20
        assert Path("first-look/synthetic-ct-preview.png").is_file()
        values = re.search(r"a mean error of (\d+) HU .* true pairs, has (\d+) HU", shown, re.DOTALL)
        assert values and 0 < int(values[2]) < 1000


@pytest.mark.slow
def test_the_whole_way_trains_exports_translates_and_evaluates(tmp_path):
    write_heads(tmp_path / "demo" / "phantom", test=1)
    first = subprocess.run(
        [sys.executable, DEMO, "--long", "demo", *SETTINGS], cwd=tmp_path, capture_output=True, text=True
    )
    assert first.returncode == 0, first.stderr
    steps = [line.split()[2] for line in first.stdout.splitlines() if line.startswith("$ kerasgan")]
    assert steps == ["train", "export", "export", "translate", "evaluate"]
    products = tmp_path / "demo" / "products"
    assert (products / "model.tflite").is_file() and list(products.glob("serving/*/1/saved_model.pb"))
    assert kerasgan.read_volume(products / "synthetic-ct").modality == "CT"
    [picture] = (tmp_path / "demo" / "run" / "evaluation").glob("p*.png")
    assert f"Picture         {picture.relative_to(tmp_path)}" in first.stdout
