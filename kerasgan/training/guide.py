"""What a training on registered pairs takes over from the run that guides it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import keras
import numpy as np

from kerasgan.config import Recipe
from kerasgan.errors import RunError
from kerasgan.files import beside, file_digest
from kerasgan.models import AdversarialModel
from kerasgan.runs.run import Run, load_run
from kerasgan.scans.slices import mean_with_mirrored, middle_channel, predict_slices
from kerasgan.training.cache import CachedScan
from kerasgan.training.data import Data


@dataclass(frozen=True)
class Guide:
    """A trained run of the same data, whose synthetic images show where scans of other patients are to be bent.

    Attributes:
        run: The run.
    """

    run: Run

    @classmethod
    def of(cls, out: Path, recipe: Recipe) -> Guide | None:
        """The guide that a recipe names; None where it names none.

        Args:
            out: The directory of the run that is guided.
            recipe: Its recipe.

        Raises:
            RunError: For a guide that is missing, not trained, or has no generator from a to b.
        """
        if recipe.supervision.guide is None:
            return None
        run = load_run(beside(out, recipe.supervision.guide))
        run.generator_path("ab")  # no long work for a guide without weights
        return cls(run)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of its generator, as which it is known to the cache."""
        return file_digest(self.run.generator_path("ab"))

    @cached_property
    def generator(self) -> keras.Model:
        """Its generator from a to b."""
        return self.run.generator("ab")

    def require_same_data(self, data: Data) -> None:
        """Refuses other patients, of whom one might validate what the guide learned from, and other preparations.

        Raises:
            RunError: For these.
        """
        for name, own, other in (
            ("training, validation and test patients", self.run.split(), data.split.keys()),
            ("preparation of scans", self.run.facts.preparation, data.settings),
        ):
            if own != other:
                raise RunError(
                    f"The guide {self.run.path} has other {name} than this training. Train it on the same dataset, "
                    "with the same seed and the same data and intensity, or name another run as supervision.guide."
                )

    def require_unchanged(self, former: Run) -> None:
        """Refuses to go on with a guided run whose guide has another generator by now, and so other targets.

        Raises:
            RunError: For such a guide.
        """
        if former.facts.guide != self.digest:
            raise RunError(
                f"The guide {self.run.path} has another generator than when {former.path} was begun. Restore it, or "
                "start a new run."
            )

    def synthetic(self, scan: CachedScan) -> np.ndarray:
        """The guide's translation of a scan's slices: the mean with that of the mirrored slices, except sagittal ones.

        Returns:
            `[slices, height, width]` in [-1, 1].
        """
        images = scan.slices()
        found = np.empty_like(images)
        sagittal = np.array([scan.planes[row : row + 1] == ("sagittal",) for row in range(len(images))])
        for rows, predict in ((sagittal, self.generator), (~sagittal, mean_with_mirrored(self.generator))):
            if rows.any():
                found[rows] = predict_slices(predict, images[rows])
        return middle_channel(found)

    def give_weights(self, model: AdversarialModel, recipe: Recipe) -> None:
        """Starts a generator of the guide's architecture from its weights, and its moving average, if it has one.

        Another generator stays as it is.
        """
        if self.run.recipe.generator == recipe.generator:
            weights = self.generator.get_weights()
            for network in (model.networks["generator_ab"], model.generators["ab"]):
                network.set_weights(weights)
