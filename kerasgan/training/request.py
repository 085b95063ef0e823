"""What a user asks a training for, and what can be checked of it at once, without TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kerasgan import registry
from kerasgan.config import Recipe

DEFAULT_RECIPE = "kerasgan2026"


@dataclass(frozen=True)
class Request:
    """What a user asks `train` for.

    Attributes:
        dataset: Name of a dataset, or path of a dataset file.
        data_dir: Its data; None: where the dataset's card says.
        recipe: Name of a recipe or path of a recipe file; None: the run's own when resuming, else `kerasgan2026`.
        quick: Scale the recipe down to minutes.
        overrides: `path=value` assignments.
        seed: Seed of everything random; None: the run's own when resuming, else 0.
        strict: Refuse scans that need repair.
    """

    dataset: str | None = None
    data_dir: Path | None = None
    recipe: str | None = None
    quick: bool = False
    overrides: tuple[str, ...] = ()
    seed: int | None = None
    strict: bool = False

    def build_recipe(self) -> Recipe:
        """The named recipe, scaled down if asked, with the overrides applied.

        Raises:
            KerasganError: For an unknown recipe, field or value.
        """
        recipe: Recipe = registry.find("recipes", self.recipe or DEFAULT_RECIPE).RECIPE
        return (recipe.as_quick() if self.quick else recipe).with_overrides(self.overrides)
