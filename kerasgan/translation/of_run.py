"""A trained run as a translator: its Keras generators, under TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from kerasgan.errors import RunError
from kerasgan.runs.contract import contract as contract_of_run
from kerasgan.runs.run import Run
from kerasgan.scans.contract import Contract, Direction
from kerasgan.scans.intensity import IntensityMap
from kerasgan.scans.volume import Modality
from kerasgan.translation.translator import Translator

if TYPE_CHECKING:
    import keras


class RunTranslator(Translator):
    """Translates with the best generators of a run; each is loaded when it is first used.

    Args:
        run: A trained run.

    Example:
        ::

            mr = kerasgan.read_volume("patient/T1")
            ct = RunTranslator(kerasgan.load_run("runs/first")).translate(mr).volume
    """

    error = RunError
    batch_size = 4
    needs_tensorflow = True
    name = "the run"

    def __init__(self, run: Run) -> None:
        self.run, self.origin = run, str(run.path.resolve())
        self._contracts: dict[Direction, Contract] = {}
        self._generators: dict[Direction, keras.Model] = {}

    def __reduce__(self) -> tuple[object, ...]:  # another process loads the networks itself
        return RunTranslator, (self.run,), self._chosen()

    def sources(self) -> Mapping[Direction, Modality]:
        """The modality that goes in, for each direction."""
        return {direction: self.run.facts.modalities[direction[0]] for direction in self.run.facts.directions}

    def contract(self, direction: Direction) -> Contract:
        """The contract of a generator; `RunError` where the run has no weights yet."""
        if direction not in self._contracts:
            self._contracts[direction] = contract_of_run(self.run, direction, (None, None, None), "float32")
        return self._contracts[direction]

    def predict(self, direction: Direction, images: np.ndarray, maps: Sequence[IntensityMap]) -> np.ndarray:
        """Translates `[batch, height, width, channels]` in [-1, 1] into the target's unit."""
        return self.run.map(direction[1]).inverse(self.generator(direction).predict_on_batch(images))

    def generator(self, direction: Direction) -> keras.Model:
        """The best generator of a direction, loaded once; `RunError` for a damaged one."""
        if direction not in self._generators:
            self._generators[direction] = self.run.generator(direction)
        return self._generators[direction]
