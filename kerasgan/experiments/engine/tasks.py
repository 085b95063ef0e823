"""Cells that most experiments have: train a recipe, evaluate what was trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from kerasgan.config import NOT_SETTINGS, Recipe
from kerasgan.datasets import fewer_training_patients
from kerasgan.errors import DatasetError
from kerasgan.experiments.engine.types import Content, Desk, Task
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
        quick: Scale it down.
        overrides: `path=value` assignments.
        seed: Of everything random.
    """

    recipe: str
    quick: bool = False
    overrides: tuple[str, ...] = ()
    seed: int = 0

    def request(self, desk: Desk | None = None) -> Request:
        """What `kerasgan train` would be asked for; all seeds share one split, so that they share the test patients."""
        dataset, data_dir = (desk.dataset, desk.data_dir) if desk else (None, None)
        return Request(dataset, data_dir, self.recipe, self.quick, (*self.overrides, ONE_SPLIT), self.seed)

    def built(self) -> Recipe:
        """The recipe with all changes."""
        return self.request().build_recipe()

    def settings(self) -> Content:
        """With the recipe's settings, so that a change in the recipe's own file counts; what it leaves out does not."""
        built = self.built().model_dump(mode="json", exclude=NOT_SETTINGS, exclude_none=True)
        return {**self.model_dump(mode="json", exclude={"quick", "overrides"}), "recipe": built}

    def check(self, desk: Desk) -> None:
        """Makes sure that there are as many training patients as the recipe asks for."""
        wanted = self.built().data.training_patients
        try:
            fewer_training_patients(desk.split, wanted, self.seed)
        except DatasetError as error:
            found = min(len(keys) for keys in desk.split.keys()["train"].values())
            raise DatasetError(
                f"This scale of the experiment trains with {wanted} patients of each domain, and {desk.dataset} has "
                f"{found} for training. Add patients, name other data (--dataset), or take a smaller --scale."
            ) from error


class Training(RecipeTask):
    """Trains a recipe; the cell's folder is the run directory, so an interrupted training is resumed."""

    def run(self, desk: Desk, needs: Sequence[Path], folder: Path) -> Content:
        """Trains, or trains on."""
        from kerasgan.training.train import train

        is_begun = (folder / "run.json").is_file()
        request = self.request(desk)
        run = train(Request(desk.dataset, desk.data_dir, seed=self.seed) if is_begun else request, folder, is_begun)
        patients = {domain: len(keys) for domain, keys in run.split()["train"].items()}
        return {"training_patients": patients, "precision": run.facts.precision, "fingerprint": run.facts.fingerprint}


class Evaluation(Task):
    """Scores a training on the paired test patients, see `kerasgan.evaluation.evaluate.evaluate`.

    A dataset without pairs has no scores.

    Attributes:
        direction: Which generator.
    """

    direction: Literal["ab", "ba"] = "ab"

    def check(self, desk: Desk) -> None:
        """Makes sure that a paired dataset holds pairs back from the training."""
        if desk.card.paired and not (desk.split.test.pairs() or desk.split.validation.pairs()):
            raise DatasetError(
                f"No patient of {desk.dataset} with an aligned scan of both modalities is held back for validation or "
                "test, so nothing could be scored after the training. Add such patients, or change the dataset's split."
            )

    def run(self, desk: Desk, needs: Sequence[Path], folder: Path) -> Content:
        """Writes the evaluation into the cell's folder, pictures included."""
        if not desk.card.paired:
            return {"definitions": {}, "scores": {}, "baseline": {}}
        from kerasgan.evaluation.baseline import NAME
        from kerasgan.evaluation.evaluate import evaluate
        from kerasgan.evaluation.results import METHOD

        found = evaluate(needs[0], desk.data_dir, folder, self.direction)
        definitions = {metric.name: {"unit": metric.unit, "definition": metric.definition} for metric in found.metrics}
        return {
            "part": found.part,
            "note": found.note,
            "definitions": definitions,
            "scores": found.scores[METHOD],
            "baseline": found.scores.get(NAME, {}),
        }
