"""What a user asks training for, and what can be checked of it at once, without TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from kerasgan import registry
from kerasgan.config import LARGEST_SEED, Recipe, flat, fold_numbers
from kerasgan.errors import RunError

if TYPE_CHECKING:
    from kerasgan.runs.run import Run
    from kerasgan.runs.workers import Workers
    from kerasgan.scans.volume import Modality

DEFAULT_RECIPE = "kerasgan2026"


@dataclass(frozen=True)
class Request:
    """The arguments of a call of `train`.

    Attributes:
        dataset: Name of a dataset, or path of a dataset file.
        data_dir: The folder of its data; None: where the dataset's card says.
        recipe: Name of a recipe or path of a recipe file; None: the run's own when resuming, else `kerasgan2026`.
        quick: Scale the recipe down to minutes.
        overrides: `path=value` assignments.
        seed: Seed of everything random; None: the run's own when resuming, else 0.
        strict: Refuse scans that need repair.
        trust: Execute `.py` files that the run to resume names, though the user does not name them.
        modalities: The modality of a domain, for image files that do not show it themselves.
        secret: What the patients' keys are made with; None for the secret of the data folder, if it has one.
        halved: Whether half of the pairs for validation are for the test where the split has none.
        fold: Which part of the patients is the test part, of how many, such as `"2/5"`; None: the split of the dataset.
        extend: Steps by which a finished run is made longer.
        init: The run, or the `.keras` file of a generator, with whose weights a new run begins.
        index: Folder of the index of what was read of files before; None: all are read.
        devices: How many devices share each batch, or the numbers of GPUs; None: as `choose_strategy` has it.
        workers: Which of several processes that train together this is; None: it trains alone.

    Raises:
        TypeError: For a dataset or recipe that is no text.
        ValueError: For a seed that is no whole number from 0 to 4294967295, modalities of anything but `a` and `b`,
            less than one step more, a fold that is none, or no devices.

    Example:
        >>> Request("phantom", quick=True, overrides=("schedule.steps=500",)).build_recipe().schedule.steps
        500
    """

    dataset: str | None = None
    data_dir: Path | None = None
    recipe: str | None = None
    quick: bool = False
    overrides: tuple[str, ...] = ()
    seed: int | None = None
    strict: bool = False
    trust: bool = False
    modalities: Mapping[str, Modality] | None = None
    secret: bytes | None = None
    halved: bool = True
    fold: str | None = None
    extend: int | None = None
    init: Path | None = None
    index: Path | None = None
    devices: int | tuple[int, ...] | None = None
    workers: Workers | None = None

    def __post_init__(self) -> None:
        numbers = self.devices if isinstance(self.devices, tuple) else (self.devices or 0,)
        if self.devices in (0, ()) or len({*numbers}) < len(numbers) or min(numbers) < 0:
            raise ValueError(f"devices must be how many to use, or the numbers of GPUs, each once; got {self.devices}.")
        if self.seed is not None and (not isinstance(self.seed, int) or not 0 <= self.seed <= LARGEST_SEED):
            raise ValueError(f"The seed must be a whole number from 0 to {LARGEST_SEED}; got {self.seed!r}.")
        if self.extend is not None and (not isinstance(self.extend, int) or self.extend < 1):
            raise ValueError(f"A run is extended by a whole number of steps, 1 or more; got {self.extend!r}.")
        if self.fold is not None:
            fold_numbers(self.fold)
        for what, name in (("dataset", self.dataset), ("recipe", self.recipe)):
            if not isinstance(name, str | None):
                raise TypeError(f"The {what} must be a name or the path of a .py file, as text; got {name!r}.")
        if self.modalities is not None and (
            not isinstance(self.modalities, Mapping)
            or not self.modalities.keys() <= {"a", "b"}
            or not set(self.modalities.values()) <= {"MR", "CT"}
        ):
            raise ValueError(f"modalities must be such as {{'a': 'MR', 'b': 'CT'}}; got {self.modalities!r}.")

    @classmethod
    def of(cls, run: Run, data_dir: Path | None = None) -> Request:
        """The request for the data of a run, with its seed and its split.

        Args:
            run: The run.
            data_dir: The folder of its dataset; None: where it was in training.
        """
        facts, halved = run.facts, bool(run.split()["test"]["a"])
        root, secret = data_dir or run.data_dir, run.patient_secret(data_dir)
        found = cls(facts.dataset, root, seed=facts.seed, modalities=facts.modalities, secret=secret, halved=halved)
        return replace(found, fold=facts.fold)

    def build_recipe(self) -> Recipe:
        """The named recipe, scaled down if asked, with the overrides applied.

        Raises:
            KerasganError: For an unknown recipe, field or value.
        """
        recipe: Recipe = registry.find("recipes", self.recipe or DEFAULT_RECIPE).RECIPE
        return (recipe.as_quick() if self.quick else recipe).with_overrides(self.overrides)

    def resuming(self, run: Run) -> Request:
        """The request that continues a run, with the run's own dataset and seed.

        Raises:
            RunError: Where something that the user repeats differs from the run's own, and for code of the run that the
                user neither names nor trusts.
        """
        from kerasgan.runs.run import require_trust  # here: a misspelt recipe is reported before SimpleITK is loaded

        facts, own_recipe = run.facts, run.recipe
        if self.recipe:
            asked_recipe = self.build_recipe()
        else:
            is_smaller = self.quick and not own_recipe.quick
            asked_recipe = (own_recipe.as_quick() if is_smaller else own_recipe).with_overrides(self.overrides)
        changed = differences(own_recipe, asked_recipe)
        if changed:
            raise RunError(
                f"--resume continues a run with its own recipe, but what is asked for differs in {'; '.join(changed)}. "
                "Leave the recipe options out, or start a new run with another --out."
            )
        named = [self.dataset, *(assignment.partition("=")[2] for assignment in self.overrides)]
        named += asked_recipe.files if self.recipe else []
        require_trust(run, [facts.dataset, *own_recipe.files], self.trust, named)
        for name, asked, own in (
            ("dataset", self.dataset, facts.dataset),
            ("seed", self.seed, facts.seed),
            ("fold", self.fold, facts.fold),
        ):
            if asked is not None and asked != own:
                raise RunError(
                    f"--resume continues a run with {name} {own}, got {asked}. Leave --{name} out, or choose another "
                    "--out."
                )
        modalities = {**facts.modalities, **(self.modalities or {})}
        of_run = replace(Request.of(run, self.data_dir), strict=self.strict, modalities=modalities, index=self.index)
        return replace(of_run, devices=self.devices, workers=self.workers)

    def recipe_of(self, run: Run) -> Recipe:
        """The recipe by which a run goes on: its own, with more steps where it is to be extended.

        Raises:
            RunError: For a run to extend that has not reached its last step.
        """
        steps = run.recipe.schedule.steps
        if self.extend is None:
            return run.recipe
        if run.steps_done < steps:
            raise RunError(
                f"--extend makes a finished run longer, and {run.path} is at step {run.steps_done} of {steps}. Finish "
                f"it first with: kerasgan train --resume --out {quote(str(run.path))}"
            )
        return run.recipe.with_overrides([f"schedule.steps={steps + self.extend}"])


def differences(old: Recipe, new: Recipe) -> list[str]:
    """Dotted paths at which two recipes differ, each with both values; steps that follow from epochs are left out.

    Example:
        >>> differences(Recipe(name="mine"), Recipe(name="mine", pool_size=20))
        ['pool_size: 50 -> 20']
    """
    before, after = flat(old.model_dump(mode="json")), flat(new.model_dump(mode="json"))
    derived = {"schedule.steps"} if new.schedule.epochs else set()
    paths = sorted((before.keys() | after.keys()) - derived)
    return [f"{path}: {before.get(path)} -> {after.get(path)}" for path in paths if before.get(path) != after.get(path)]
