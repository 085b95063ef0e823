"""A trained run as a translator: its generators, under the engine that was asked for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kerasgan.engines.choice import SLICES, Engine, Network, choose
from kerasgan.engines.gate import Probe
from kerasgan.engines.names import Wanted, require_available
from kerasgan.errors import RunError
from kerasgan.runs.contract import contract as contract_of_run
from kerasgan.runs.run import Run
from kerasgan.scans.contract import Contract, Direction
from kerasgan.scans.intensity import IntensityMap
from kerasgan.scans.preparation import Prepared
from kerasgan.scans.slices import evenly_chosen
from kerasgan.scans.volume import Modality, Volume
from kerasgan.translation.translator import Translator

if TYPE_CHECKING:
    import keras

    from kerasgan.engines.gate import Predict
    from kerasgan.engines.graph import Frozen

logger = logging.getLogger(__name__)


class RunTranslator(Translator):
    """Translates with the best generators of a run; each is loaded when it is first used.

    Args:
        run: A trained run.
        engine: What computes its generators: `"exact"`, TensorFlow in float32, or another one (`kerasgan.engines`).
        cache: Folder in which is kept what was measured of engines; None: it is measured by each translator anew.

    Raises:
        KerasganError: For an engine that this machine has not.

    Example:
        ::

            mr = kerasgan.read_volume("patient/T1")
            ct = RunTranslator(kerasgan.load_run("runs/first")).translate(mr).volume
    """

    error = RunError
    batch_size = 4
    needs_tensorflow = True
    name = "the run"

    def __init__(self, run: Run, engine: Wanted = "exact", cache: Path | None = None) -> None:
        require_available(engine)
        self.run, self.origin = run, str(run.path.resolve())
        self._wanted, self._cache = engine, cache
        self._engines: dict[Direction, Engine] = {}
        self._contracts: dict[Direction, Contract] = {}
        self._generators: dict[Direction, keras.Model] = {}
        self._segmenter: keras.Model | None = None

    def __reduce__(self) -> tuple[object, ...]:  # another process loads the networks itself
        return RunTranslator, (self.run, self._wanted, self._cache), self._chosen()

    def sources(self) -> Mapping[Direction, Modality]:
        """The modality that goes in, for each direction."""
        return {direction: self.run.facts.modalities[direction[0]] for direction in self.run.facts.directions}

    def contract(self, direction: Direction) -> Contract:
        """The contract of a generator; `RunError` where the run has no weights yet."""
        if direction not in self._contracts:
            self._contracts[direction] = contract_of_run(self.run, direction, (None, None, None), "float32")
        return self._contracts[direction]

    def start(self, direction: Direction, view: Prepared, rows: np.ndarray, truth: Volume | None = None) -> None:
        """Chooses the engine by a few slices of the first scan, where no former measurement says which is the best."""
        if direction in self._engines:
            return
        target, contract = self.run.map(direction[1]), self.contract(direction)

        def exact() -> Predict:
            self.load()
            return self.generator(direction).predict_on_batch

        def graph() -> Frozen:
            from kerasgan.engines.graph import frozen

            network = self.generator(direction)
            return frozen(lambda images: network(images, training=False), network.input_shape[-1])

        chosen, known = rows[evenly_chosen(len(rows), SLICES)], None
        if truth is not None:
            known = view.grid.to_network(target.forward(truth.array[chosen]), fill=target.target_low)
        unit = "HU" if contract.target.modality == "CT" else "MR units"
        probe = Probe(view.images(chosen), view.mask[chosen], target.high - target.low, unit, known)
        network = Network(contract.generator_sha256, exact, graph)
        self._engines[direction] = choose(network, self._wanted, probe, self._cache)
        logger.info("Engine: %s.", self._engines[direction])

    def engine(self, direction: Direction) -> str:
        """What computes the generator, such as `"TensorFlow float32"`; `""` before the first scan."""
        return self._engines[direction].title if direction in self._engines else ""

    def predict(self, direction: Direction, images: np.ndarray, maps: Sequence[IntensityMap]) -> np.ndarray:
        """Translates `[batch, height, width, channels]` in [-1, 1] into the target's unit."""
        if direction in self._engines:
            values = self._engines[direction].predict(images)
        else:
            values = self.generator(direction).predict_on_batch(images)
        return self.run.map(direction[1]).inverse(values)

    def structures(self, direction: Direction) -> tuple[str, ...]:
        """Those of the recipe, in domain b; `RunError` where its segmentation network is missing."""
        if self.run.recipe.segmentation is None or direction[1] != "b":
            return ()
        self.run.segmenter_path()
        return self.run.recipe.segmentation.structures

    def segmenter(self, direction: Direction) -> Callable[[np.ndarray], np.ndarray]:
        """The best segmentation network, in TensorFlow's float32, loaded once; `RunError` for a damaged one."""
        self.load()
        from keras import ops

        if self._segmenter is None:
            self._segmenter = self.run.segmenter()
        network, scaling = self._segmenter, self.run.map(direction[1])
        shape, classes = (network.input_shape[-1], network.output_shape[-1]), 1 + len(self.structures(direction))
        if shape != (1, classes):
            raise RunError(
                f"{self.run.segmenter_path()} goes from {shape[0]} to {shape[1]} channels, and the recipe's structures "
                f"need 1 to {classes}. Restore the file from a copy, or train again."
            )
        return lambda images: ops.convert_to_numpy(ops.softmax(network.predict_on_batch(scaling.forward(images))))

    def generator(self, direction: Direction) -> keras.Model:
        """The best generator of a direction, loaded once; `RunError` for a damaged one."""
        if direction not in self._generators:
            self._generators[direction] = self.run.generator(direction)
        return self._generators[direction]
