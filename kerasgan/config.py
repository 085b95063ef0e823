"""What a training run is made of: frozen, validated, and the same in Python, JSON and `--set path=value`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from kerasgan.errors import KerasganError
from kerasgan.text import nearest

Window = tuple[float, float]
Selection = Literal["random", "position"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Component(BaseModel):
    """A generator, discriminator or loss: the name of its file and the options of its function.

    The options are checked against the function's signature when it is built, so a new file needs no entry here.
    """

    model_config = ConfigDict(frozen=True, extra="allow")
    name: str

    @property
    def options(self) -> dict[str, Any]:
        """Keyword arguments for the component's function."""
        return dict(self.model_extra or {})


class Augmentation(_Frozen):
    """Random geometric changes of each training slice; the limits are symmetric about no change."""

    flip: bool = True  # left-right
    shift: float = Field(0.03, ge=0, le=0.5)  # fraction of the field of view
    scale: float = Field(0.05, ge=0, le=0.5)  # relative
    rotation_degrees: float = Field(5.0, ge=0, le=180)


class Data(_Frozen):
    """Which patients and pixels the networks see."""

    training_patients: int | None = Field(None, ge=1)  # of each domain, drawn by the seed; None: all there are
    split_seed: int | None = Field(None, ge=0)  # of the split by patient; None: the training's own seed
    size: int = Field(256, ge=32, multiple_of=4)  # pixels of the square slice
    field_of_view_mm: float | None = Field(None, gt=0)  # side of the square; None: the dataset's
    batch_size: int = Field(1, ge=1)
    minimum_body_fraction: float = Field(0.05, ge=0, le=1)  # slices with less body in the square are left out
    augmentation: Augmentation = Augmentation()
    selection: Selection = "random"  # of b's slices; position: from where the slice of a lies along the body's axis


class Intensity(_Frozen):
    """How physical values become the networks' [-1, 1]."""

    ct_window_hu: Window = (-1000.0, 1600.0)
    mr_percentiles: Window = (0.5, 99.5)  # over the body, for each scan
    mr_window: Window | None = None  # a fixed MR window in place of the percentiles
    bias_correction: bool = True  # N4, MR only
    windows: Literal["auto", "recipe"] = "auto"  # auto: a dataset of another anatomy brings its own

    @model_validator(mode="after")
    def _ordered(self) -> Intensity:
        for name in ("ct_window_hu", "mr_percentiles", "mr_window"):
            window = getattr(self, name)
            if window and not window[0] < window[1]:
                raise ValueError(f"{name} must rise, got {window}")
        return self


class Losses(_Frozen):
    """The weighted sum that the generators minimise; a weight of 0 leaves its term out of the graph."""

    adversarial: Component = Component(name="least_squares")
    adversarial_weight: float = Field(1.0, ge=0)
    cycle: Component = Component(name="absolute_error")
    cycle_weight: float = Field(10.0, ge=0)
    cycle_weight_b: float | None = Field(None, ge=0)  # of images of domain b; None: cycle_weight for both domains
    identity_weight: float = Field(0.0, ge=0)
    structure: Component = Component(name="gradient_consistency")
    structure_weight: float = Field(0.0, ge=0)


class Deformation(_Frozen):
    """Gives each generator a deformed output beside its own: the one that the discriminators see.

    The generators need a deformable convolution, as `resnet` with `deformable=true` has.
    """

    cycle_weight: float = Field(10.0, ge=0)  # of the cycle through both deformed outputs


class Segmentation(_Frozen):
    """A segmentation network trained with the generators, on synthetic images of b with the labels of a."""

    structures: tuple[str, ...] = Field(min_length=1)  # as in the dataset's card; left and right ones need no flip
    network: Component = Component(name="unet")
    loss: Component = Component(name="cross_entropy")
    weight: float = Field(1.0, gt=0)


class Distillation(_Frozen):
    """Trains the recipe's generator, a small one, to do in one direction what a run's generator does."""

    teacher: str  # the run directory
    direction: Literal["ab", "ba"]
    student: str  # the budget that the small generator keeps to
    generator: Component  # the teacher's
    output_weight: float = Field(10.0, gt=0)  # of the mean absolute difference of both outputs
    feature_weight: float = Field(1.0, ge=0)  # of the relative squared difference of both networks' features


class Optimizer(_Frozen):
    """Adam, one for both generators and one for both discriminators."""

    learning_rate: float = Field(2e-4, gt=0)
    discriminator_learning_rate: float | None = Field(None, gt=0)  # None: learning_rate for all networks
    generator_iterations: int = Field(1, ge=1)  # updates in a training step, all on the same batch
    discriminator_iterations: int = Field(1, ge=1)
    beta_1: float = Field(0.5, ge=0, lt=1)
    beta_2: float = Field(0.999, ge=0, lt=1)


class Schedule(_Frozen):
    """Lengths in training steps (iterations); a step sees one batch of each domain."""

    steps: int = Field(200_000, ge=1)
    epochs: int | None = Field(None, ge=1)  # in place of steps: how often the domain with more slices is shown
    constant_fraction: float = Field(0.5, ge=0, le=1)  # of the steps; then the rate falls linearly to 0
    report_every: int = Field(100, ge=1)  # history, TensorBoard scalars
    checkpoint_every: int = Field(1000, ge=1)
    preview_every: int = Field(2000, ge=1)  # pictures and validation
    patience: int | None = Field(None, ge=1)  # validations without a better score before the run ends; None: never
    steps_per_execution: int = Field(1, ge=1)

    @model_validator(mode="after")
    def _multiples(self) -> Schedule:
        for name in ("checkpoint_every", "preview_every"):
            if getattr(self, name) % self.report_every:
                raise ValueError(f"{name}={getattr(self, name)} must be a multiple of report_every={self.report_every}")
        if self.report_every % self.steps_per_execution:
            raise ValueError(
                f"report_every={self.report_every} must be a multiple of steps_per_execution={self.steps_per_execution}"
            )
        return self


NOT_SETTINGS = {"name", "title", "citation", "quick", "paper_names", "unreported", "deviations"}
"""Fields of a recipe that change nothing in a training."""


class Recipe(_Frozen):
    """A complete description of a training; `kerasgan/recipes/<name>.py` holds one as `RECIPE`."""

    name: str
    title: str = ""
    citation: str = ""
    anatomy: str = ""  # what the windows were chosen for; "" means any
    generator: Component = Component(name="resnet")
    discriminator: Component = Component(name="patchgan")
    losses: Losses = Losses()
    deformation: Deformation | None = None
    segmentation: Segmentation | None = None
    distillation: Distillation | None = None
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()
    data: Data = Data()
    intensity: Intensity = Intensity()
    pool_size: int = Field(50, ge=0)  # images a discriminator remembers; 0: only the newest
    precision: Literal["auto", "float32", "mixed_bfloat16"] = "auto"
    quick: bool = False
    paper_names: tuple[tuple[str, str], ...] = ()  # what the paper calls a setting, and its path here
    unreported: tuple[str, ...] = ()
    deviations: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _sides_are_kept(self) -> Recipe:
        structures = self.segmentation.structures if self.segmentation else ()
        sided = [name for name in structures if name.lower().startswith(("left", "right"))]
        if sided and self.data.augmentation.flip:
            # No ValueError: pydantic would print the whole recipe with it.
            raise KerasganError(
                f"The recipe segments {' and '.join(sided)} and mirrors slices at random; a mirrored right kidney "
                "would still be labelled as the right one. Use --set data.augmentation.flip=false."
            )
        return self

    def as_quick(self) -> Recipe:
        """The same method, small enough for minutes on two cores: fewer filters, blocks, pixels, images in a batch
        and steps.

        A ResNet generator halves its image once and enlarges it by nearest neighbours, both quicker to train.

        Everything a quick run writes is marked as quick: it shows that the line works, not what the recipe reaches.
        """
        periods = {"report_every": 100, "checkpoint_every": 500, "preview_every": 1000, "steps_per_execution": 10}
        # At half the resolution, one halving reaches the same millimetres as two.
        body = max(self.data.minimum_body_fraction, 0.1)
        generator = _lowered(self.generator, "resnet", {"filters": 16, "blocks": 4, "downsamplings": 1})
        if self.generator.name == "resnet":
            generator["upsampling"] = "resize"  # the checkerboard of the other takes thousands of steps to fade
        changes: dict[str, Any] = {
            "generator": generator,
            "discriminator": _lowered(self.discriminator, "patchgan", {"filters": 32}),
            "data": {
                "size": min(self.data.size, 112),
                "batch_size": min(self.data.batch_size, 16),
                "minimum_body_fraction": body,
            },
            "intensity": {"bias_correction": False},
            "schedule": {"steps": min(self.schedule.steps, 8000), "epochs": None, **periods},
            "quick": True,
        }
        if self.segmentation:
            segmenter = _lowered(self.segmentation.network, "unet", {"filters": 16, "depth": 3})
            changes["segmentation"] = {"network": segmenter}
        return Recipe.model_validate(merged(self.model_dump(), changes))

    def with_epochs_in_steps(self, slices: int) -> Recipe:
        """The recipe with its epochs counted in steps; itself where its length is given in steps.

        Args:
            slices: Training slices of the domain that has more.
        """
        if self.schedule.epochs is None:
            return self
        steps = self.schedule.epochs * math.ceil(slices / self.data.batch_size)
        return self.model_copy(update={"schedule": self.schedule.model_copy(update={"steps": steps})})

    def with_overrides(self, assignments: Iterable[str]) -> Recipe:
        """The recipe with `path=value` assignments applied, as in `schedule.steps=5000`.

        Args:
            assignments: Dotted path of a field, `=`, and a JSON value; what is no JSON is taken as text.
                `schedule.steps` replaces a length in epochs.

        Raises:
            KerasganError: For an assignment without `=`, an unknown field or a value of the wrong kind; names the
                nearest fields. For a window that a dataset's own would overrule.
        """
        values = self.model_dump()
        paths = {_assign(values, assignment) for assignment in assignments}
        recipe = _validated(values)
        windows = sorted(paths & {"intensity.ct_window_hu", "intensity.mr_window"})
        if windows and recipe.anatomy and recipe.intensity.windows == "auto":
            raise KerasganError(
                f"A dataset of another anatomy than {recipe.anatomy} would overrule {' and '.join(windows)}; "
                "add --set intensity.windows=recipe (and --set intensity.mr_window=null to keep MR percentiles)."
            )
        return recipe


def from_json(text: str) -> Recipe:
    """A recipe from the JSON that `Recipe.model_dump_json` wrote.

    Raises:
        KerasganError: Where the text is no valid recipe.
    """
    try:
        return _validated(json.loads(text))
    except json.JSONDecodeError as error:
        raise KerasganError(f"The recipe is no valid JSON ({error}); restore the file or start a new run.") from error


def differences(old: Recipe, new: Recipe) -> list[str]:
    """Dotted paths at which two recipes differ, each with both values; steps that follow from epochs are left out."""
    before, after = flat(old.model_dump(mode="json")), flat(new.model_dump(mode="json"))
    derived = {"schedule.steps"} if new.schedule.epochs else set()
    paths = sorted((before.keys() | after.keys()) - derived)
    return [f"{path}: {before.get(path)} -> {after.get(path)}" for path in paths if before.get(path) != after.get(path)]


def problems(error: ValidationError) -> str:
    """What pydantic found in a recipe, in one line; for a field that does not exist it offers the nearest ones."""
    return "; ".join(map(_problem, error.errors()))


def _problem(found: Any) -> str:
    path = ".".join(map(str, found["loc"]))
    if found["type"] == "extra_forbidden":
        fields = {field for part in _Frozen.__subclasses__() for field in part.model_fields}
        return f"no recipe field is called {path!r}. {nearest(path.rpartition('.')[2], fields)}"
    return f"{path}: {found['msg']} (got {found['input']!r})"


def _validated(values: dict[str, Any]) -> Recipe:
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise KerasganError(f"The recipe does not hold: {problems(error)}") from error


def _lowered(component: Component, built_in: str, limits: dict[str, int]) -> dict[str, Any]:
    """A component's options within limits; of a file of the user's own, only the options that the recipe spells out."""
    options = component.options
    known = limits if component.name == built_in else limits.keys() & options.keys()
    return {name: min(options.get(name, limits[name]), limits[name]) for name in known}


def _assign(values: dict[str, Any], assignment: str) -> str:
    """Sets one value in place and returns its path."""
    path, separator, text = assignment.partition("=")
    if not separator:
        raise KerasganError(f"--set needs path=value, as in schedule.steps=5000; got {assignment!r}.")
    *parents, field = path.strip().split(".")
    node: Any = values
    for parent in parents:
        node = node.get(parent) if isinstance(node, dict) else None
    # A component takes options that only its function knows; they are checked when it is built.
    is_open = isinstance(node, dict) and parents and "name" in node
    if not isinstance(node, dict) or (field not in node and not is_open):
        own = dict(values["paper_names"]).get(path)
        remedy = f"The paper's {path} is {own} here." if own else nearest(path, flat(values))
        raise KerasganError(f"No recipe field is called {path!r}. {remedy}")
    if field == "name" and parents:
        node.clear()  # another component has other options
    try:
        node[field] = json.loads(text)
    except json.JSONDecodeError:
        node[field] = text
    if path.strip() == "schedule.steps":
        node["epochs"] = None  # a length counts in steps or in epochs
    return path.strip()


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """The innermost values by their dotted path, in their order."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        found.update(flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
    return found


def merged(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A copy with some values changed, however deep they lie; the others stay."""
    result = dict(values)
    for key, change in changes.items():
        result[key] = merged(values[key], change) if isinstance(change, dict) else change
    return result
