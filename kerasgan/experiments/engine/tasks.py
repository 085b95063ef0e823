"""The tasks of most experiments: training a recipe, and evaluating what was trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from kerasgan.config import AXIAL_ONLY, FORMER, NOT_SETTINGS, Recipe, Supervision, method_of_parts
from kerasgan.datasets import fewer_training_patients
from kerasgan.errors import DatasetError
from kerasgan.experiments.engine.types import Content, Context, Task
from kerasgan.training.request import Request

ONE_SPLIT = "data.split_seed=0"
CHOSEN = (
    "The generators are not the last ones: with paired validation patients, those with the least error on them, each "
    "in its direction; without, the newest ones that are not far from real slices in intensities and gradients"
)
"""A deviation of every experiment that trains recipes."""


class RecipeTask(Task):
    """A task that follows a recipe.

    Attributes:
        recipe: Name of the recipe.
        quick: Scale the recipe down.
        overrides: `path=value` assignments.
        seed: Seed of everything random.
    """

    recipe: str
    quick: bool = False
    overrides: tuple[str, ...] = ()
    seed: int = 0

    def request(self, context: Context | None = None) -> Request:
        """The request to `kerasgan train`; all seeds share one split, so that they share the test patients."""
        own = (context.dataset, context.data_dir, context.secret) if context else (None, None, None)
        dataset, data_dir, secret = own
        changes = (*self.overrides, ONE_SPLIT)
        return Request(dataset, data_dir, self.recipe, self.quick, changes, self.seed, secret=secret)

    def built(self) -> Recipe:
        """Builds the recipe with all changes."""
        return self.request().build_recipe()

    def settings(self) -> Content:
        """The settings with those of the recipe, so that a change in the recipe's own file counts."""
        built = self.built().model_dump(mode="json", exclude=NOT_SETTINGS, exclude_none=True)
        # What version 0.1.0 had not is left out where it changes nothing, as folders are named after the rest.
        if built["data"]["planes"] == [*AXIAL_ONLY]:
            del built["data"]["planes"]
        if "pairs" not in built["data"]:
            del built["data"]["atlases"]
            if built["supervision"] == Supervision().model_dump(mode="json", exclude_none=True):
                del built["supervision"]
        return {**self.model_dump(mode="json", exclude={"quick", "overrides"}), "recipe": built}

    def identity(self) -> Content:
        """The settings as version 0.1.0 wrote them, so that its folders are found again."""
        settings, built = self.settings(), self.built()
        for (part, name), unchanged in FORMER.items():
            if unchanged is not None:
                settings["recipe"][part][name] = unchanged
        if built.method == method_of_parts(built.model_dump()):
            del settings["recipe"]["method"]  # the parts of the recipe imply it
        return settings

    def check(self, context: Context) -> None:
        """Checks that there are as many training patients as the recipe asks for."""
        wanted = self.built().data.training_patients
        try:
            fewer_training_patients(context.split, wanted, self.seed)
        except DatasetError as error:
            found = min(len(keys) for keys in context.split.keys()["train"].values())
            raise DatasetError(
                f"This scale of the experiment trains with {wanted} patients of each domain, and {context.dataset} has "
                f"{found} for training. Add patients, name other data (--dataset), or take a smaller --scale."
            ) from error


class Training(RecipeTask):
    """A training of a recipe; the cell's folder is the run directory, so an interrupted training is resumed.

    The training of a cell that it needs is its guide (`supervision.guide`).
    """

    def run(self, context: Context, needs: Sequence[Path], folder: Path) -> Content:
        """Trains, or resumes the training."""
        from kerasgan.runs.run import load_run
        from kerasgan.training.train import train

        is_begun = (folder / "run.json").is_file()
        # A run that was begun has its own recipe, and may import what the experiment's imports.
        trust = is_begun and set(load_run(folder).recipe.files) <= set(self.built().files)
        own = Request(context.dataset, context.data_dir, seed=self.seed, trust=trust)
        new = self.request(context)
        new = replace(new, overrides=(*new.overrides, *(f"supervision.guide={guide}" for guide in needs)))
        run = train(own if is_begun else new, folder, is_begun)
        patients = {domain: len(keys) for domain, keys in run.split()["train"].items()}
        return {"training_patients": patients, "precision": run.facts.precision, "fingerprint": run.facts.fingerprint}


class Evaluation(Task):
    """An evaluation of a training on the paired test patients, see `kerasgan.evaluation.evaluate.evaluate`.

    A dataset without pairs has no scores.

    Attributes:
        direction: Which generator.
    """

    direction: Literal["ab", "ba"] = "ab"

    def check(self, context: Context) -> None:
        """Checks that a paired dataset holds pairs back from the training."""
        if context.card.paired and not (context.split.test.pairs() or context.split.validation.pairs()):
            raise DatasetError(
                f"No patient of {context.dataset} with an aligned scan of both modalities is held back for validation "
                "or test, so nothing could be scored after the training. Add such patients, or change the dataset's "
                "split."
            )

    def run(self, context: Context, needs: Sequence[Path], folder: Path) -> Content:
        """Writes the evaluation into the cell's folder, pictures included."""
        if not context.card.paired:
            return {"definitions": {}, "scores": {}, "baseline": {}}
        from kerasgan.evaluation.baseline import NAME
        from kerasgan.evaluation.evaluate import evaluate
        from kerasgan.evaluation.results import METHOD
        from kerasgan.evaluation.scale import CONSTANT, FLOOR

        found = evaluate(needs[0], context.data_dir, folder, self.direction, context.dataset)
        definitions = {metric.name: {"unit": metric.unit, "definition": metric.definition} for metric in found.metrics}
        return {
            "part": found.part,
            "note": found.note,
            "definitions": definitions,
            "scores": found.scores[METHOD],
            "baseline": found.scores.get(NAME, {}),
            **{name: found.scores[name] for name in (CONSTANT, FLOOR)},
        }
