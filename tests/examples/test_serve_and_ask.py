import re
import runpy
from pathlib import Path

import numpy as np
import pytest
from tiny import write_heads
from untrained import write_run

SCRIPT = Path(__file__).parents[2] / "examples" / "serve_and_ask.py"


@pytest.mark.skipif(not SCRIPT.is_file(), reason="the examples lie in the checkout only")
def test_both_protocols_give_the_same_hounsfield_units(tmp_path, monkeypatch, capsys):
    pytest.importorskip("uvicorn", reason="the extra `serving` is not installed")
    run = write_run(tmp_path / "run", write_heads(tmp_path / "data", 6), (0.0, 320.0), 192)
    monkeypatch.setattr("sys.argv", [str(SCRIPT), str(run.path)])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    printed = capsys.readouterr().out
    assert re.findall(r"^(grpc|http)://127\.0\.0\.1:\d+/example$", printed, re.MULTILINE) == ["grpc", "http"]
    rows = re.findall(r"MR (\S+) to (\S+) -> CT (\S+) to (\S+) HU", printed)
    values = np.array(rows, float).reshape(2, 3, 4)  # [protocols, slices, ends]
    assert values[0, :, 1].tolist() == [153, 229, 305]  # 0.5, 0.75 and 1 of 320 * (1 - sqrt(2) / 31)
    assert ((values[..., 2:] >= -1000) & (values[..., 2:] <= 1600)).all() and (values[..., 2] < values[..., 3]).all()
    np.testing.assert_allclose(values[0], values[1], atol=2)
