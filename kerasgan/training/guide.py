"""What a training on registered pairs takes over from the run that guides it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import keras
import numpy as np

from kerasgan import registry
from kerasgan.config import Recipe
from kerasgan.errors import KerasganError, RunError
from kerasgan.files import beside, file_digest, seen_beside
from kerasgan.models import AdversarialModel
from kerasgan.runs.run import Run, Which, load_run
from kerasgan.scans.slices import first_channel, mean_with_mirrored, predict_slices
from kerasgan.training.cache import CachedScan
from kerasgan.training.data import Data
from kerasgan.training.start import own_guide

WHICH: Which = "last"  # of a guide's generators: the other is chosen by patients that are to validate the run


def is_recipe(guide: str) -> bool:
    """Whether a recipe names its guide by a recipe, which is trained first, and not by a run.

    Example:
        >>> is_recipe("kerasgan2026"), is_recipe("mine.py"), is_recipe("../first")
        (True, True, False)
    """
    return guide.endswith(".py") or guide in registry.names("recipes")


def guide_place(out: Path, recipe: Recipe) -> Path | None:
    """The run directory of the guide that the recipe of the run in `out` names; None where it names none.

    Example:
        >>> mine = Recipe(name="mine").with_overrides(["data.pairs=registered", "supervision.guide=first"])
        >>> guide_place(Path("/runs/second"), mine).as_posix()
        '/runs/first'
        >>> guide_place(Path("/runs/second"), mine.with_overrides(["supervision.guide=onesided2026"])).as_posix()
        '/runs/second-guide'
    """
    guide = recipe.supervision.guide
    if guide is None:
        return None
    return own_guide(out) if is_recipe(guide) else beside(out, guide)


def with_guide_beside(recipe: Recipe, out: Path) -> Recipe:
    """The recipe of a new run that names the run that is its guide, if it has one, from the new run's folder.

    Example:
        >>> mine = Recipe(name="mine").with_overrides(["data.pairs=registered", "supervision.guide=/runs/first"])
        >>> with_guide_beside(mine, Path("/runs/second")).supervision.guide
        'first'
    """
    guide = recipe.supervision.guide
    if guide is None or is_recipe(guide):
        return recipe
    seen = seen_beside(out, Path(guide))
    guide = f"./{seen}" if is_recipe(seen) else seen  # a run may be called like a recipe
    return recipe.model_copy(update={"supervision": recipe.supervision.model_copy(update={"guide": guide})})


def recipe_of_guide(recipe: Recipe) -> Recipe | None:
    """The recipe by which the guide of a run is trained before it; None where it has no guide, or a run.

    Method, losses and pairs are those of the recipe that is named. Slices, intensities, networks and precision are the
    run's own, and so is the length, `guide_length` times its own.

    Args:
        recipe: The recipe of the run.

    Raises:
        KerasganError: For an unknown recipe, or one that has a guide itself.
    """
    settings = recipe.supervision
    if settings.guide is None or not is_recipe(settings.guide):
        return None
    named: Recipe = registry.find("recipes", settings.guide).RECIPE
    if named.supervision.guide:
        raise KerasganError(
            f"The guide {settings.guide} has a guide itself, {named.supervision.guide}. Train it on its own, and name "
            "its run as supervision.guide."
        )
    named = named.as_quick() if recipe.quick else named
    values, of_run = named.model_dump(), recipe.model_dump()
    steps, epochs = (
        length and max(1, round(settings.guide_length * length))
        for length in (recipe.schedule.steps, recipe.schedule.epochs)
    )
    own_data = {name: values["data"][name] for name in ("pairs", "atlases")}
    own_schedule = {"steps": steps, "epochs": epochs, "constant_fraction": named.schedule.constant_fraction}
    values |= {part: of_run[part] for part in ("anatomy", "generator", "discriminator", "intensity", "precision")}
    values |= {"data": of_run["data"] | own_data, "schedule": of_run["schedule"] | own_schedule}
    return Recipe.model_validate(values)


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
        place = guide_place(out, recipe)
        if place is None:
            return None
        run = load_run(place)
        run.generator_path("ab", WHICH)  # no long work for a guide without weights
        return cls(run)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of its generator, as which it is known to the cache."""
        return file_digest(self.run.generator_path("ab", WHICH))

    @cached_property
    def generator(self) -> keras.Model:
        """Its generator from a to b."""
        return self.run.generator("ab", WHICH)

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
        found = np.empty((*images.shape[:-1], 1), np.float32)
        sagittal = np.array([scan.planes[row : row + 1] == ("sagittal",) for row in range(len(images))])
        for rows, predict in ((sagittal, self.generator), (~sagittal, mean_with_mirrored(self.generator))):
            if rows.any():
                found[rows] = predict_slices(predict, images[rows])
        return first_channel(found)

    def give_weights(self, model: AdversarialModel, recipe: Recipe) -> None:
        """Starts a generator of the guide's architecture from its weights, and its moving average, if it has one.

        Another generator stays as it is.
        """
        if self.run.recipe.generator == recipe.generator:
            model.start_generator("ab", self.generator)
