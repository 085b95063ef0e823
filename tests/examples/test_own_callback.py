"""The example of a callback of one's own trains its few steps and writes a line for each period."""

import json
import runpy
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_callback.py"


def test_a_line_for_each_period(tmp_path, capsys):
    runpy.run_path(str(EXAMPLE))["main"](tmp_path)
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{"))
    assert (first["period"], first["step"], second["period"], second["step"]) == (0, 2, 1, 4)
    assert first["generators"] > 0 and "val_mae_ab" not in first and second["val_mae_ab"] > 0
    assert len(EXAMPLE.read_text().splitlines()) < 60
