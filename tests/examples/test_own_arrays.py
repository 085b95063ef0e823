"""The example with arrays of one's own, shortened."""

import runpy
from pathlib import Path

import numpy as np

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_arrays.py"


def test_example_trains_on_arrays():
    example = runpy.run_path(str(EXAMPLE))
    discs = example["discs"](3, 0.5, seed=1)
    assert discs.shape == (3, 32, 32, 1) and set(np.unique(discs)) == {-1.0, 0.5}
    model, losses = example["train"](steps=3)
    assert set(losses) >= {"cycle_a", "structure_ab", "generators", "discriminator_b"}
    assert all(np.isfinite(values).all() for values in losses.values())
    assert int(model.generator_optimizer.iterations) == 3
    assert len(EXAMPLE.read_text().splitlines()) < 60
