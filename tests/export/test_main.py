import runpy
import sys
from pathlib import Path

import pytest

import kerasgan.cli

MAIN = Path(__file__).parents[2] / "export" / "__main__.py"


@pytest.mark.skipif(not MAIN.is_file(), reason="the deployment kit lies in the checkout only")
def test_the_kit_is_the_export_command(monkeypatch):
    seen = []
    monkeypatch.setattr(kerasgan.cli, "main", seen.append)
    monkeypatch.setattr(sys, "argv", ["export", "runs/first", "model.tflite", "--format", "tflite"])
    runpy.run_path(str(MAIN), run_name="__main__")
    assert seen == [["export", "runs/first", "model.tflite", "--format", "tflite"]]
