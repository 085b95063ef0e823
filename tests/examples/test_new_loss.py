"""The example of a new loss in one file."""

import runpy
from pathlib import Path

import numpy as np

EXAMPLE = Path(__file__).parents[2] / "examples" / "new_loss.py"


def test_example_trains_with_the_loss(tmp_path):
    losses = runpy.run_path(str(EXAMPLE))["train"](tmp_path)
    assert (tmp_path / "relativistic.py").is_file()
    assert {"adversarial_ab", "discriminator_a"} <= losses.keys() and np.isfinite(list(losses.values())).all()
    assert len(EXAMPLE.read_text().splitlines()) < 60
