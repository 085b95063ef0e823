"""The scale on which an error is read: that of a constant, and that which the networks' grid leaves to any network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from kerasgan.config import Window
from kerasgan.metrics import SHELL_MM
from kerasgan.scans.channels import inverse
from kerasgan.scans.contract import Direction
from kerasgan.scans.intensity import AIR_HU, IntensityMap
from kerasgan.scans.preparation import Prepared
from kerasgan.scans.volume import Volume
from kerasgan.translation.of_run import RunTranslator

SOFT_TISSUE_HU = 35.0  # of brain, and between muscle and the mean of a body with fat

CONSTANT, CONSTANT_IN_TRUTH, FLOOR = "constant", "constant in the true body", "grid floor"
"""Their names beside those of the run and of the look-up table."""

DEFINITIONS = {
    CONSTANT: f"no network: {SOFT_TISSUE_HU:g} HU, soft tissue, inside the body that is found in the source and "
    f"{AIR_HU:g} HU outside; of an MR, the middle of the model's window and its lower end. Fitted to no scan.",
    CONSTANT_IN_TRUTH: f"no network: {SOFT_TISSUE_HU:g} HU inside the body that is found in the truth, for want of a "
    f"source, and {AIR_HU:g} HU outside: it knows the true outline of the body, which no translation does.",
    FLOOR: "the truth in the place of a network: through the run's own window and pixels and back, with the rule that "
    "makes air around the source's body. What is left of the error for the network to mend lies above it.",
}


def constant(body: np.ndarray, window: Window | None = None) -> np.ndarray:
    """One value inside a body and another outside, see `DEFINITIONS`.

    Args:
        body: bool `[slices, rows, columns]`.
        window: `(low, high)` of the model's MR window; None for CT.

    Example:
        >>> constant(np.array([True, False]))
        array([   35., -1000.], dtype=float32)
    """
    inside, outside = (SOFT_TISSUE_HU, AIR_HU) if window is None else (sum(window) / 2, window[0])
    return np.where(body, np.float32(inside), np.float32(outside))


class Perfect(RunTranslator):
    """A run whose generators are perfect: what remains is the error of everything else in a translation."""

    def translate_truth(self, source: Prepared, truth: Volume, direction: Direction) -> Volume:
        """Takes the truth through the network's grid, and back as any translation of the source.

        Args:
            source: The source, prepared.
            truth: The true target on the grid of the source's axial volume, in the unit of the model's output.
            direction: From source to truth.
        """
        shown = replace(source, axial=truth, map=self.run.map(direction[1]), further=())
        return self.translate_prepared(shown, direction)

    def start(self, direction: Direction, view: Prepared, rows: np.ndarray, truth: Volume | None = None) -> None:
        """Nothing is to be loaded."""

    def predict(self, direction: Direction, images: np.ndarray, maps: Sequence[IntensityMap]) -> np.ndarray:
        """The images themselves, in the target's unit."""
        return inverse(images, maps)


def places(source: Prepared) -> dict[str, np.ndarray]:
    """The voxels of each place, for `kerasgan.metrics.by_place`: each bool `[slices, rows, columns]`."""
    body = source.body
    wide = np.stack([*source.near_body(SHELL_MM)])
    return {"inside": body, "shell": wide & ~body, "outside": ~wide}
