"""Recipes: the complete, validated settings of a run, the same in Python, in JSON and as `--set path=value`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from kerasgan import text
from kerasgan.errors import KerasganError
from kerasgan.text import nearest

LARGEST_SEED = 2**32 - 1  # that NumPy and Keras take
MOST = 10**9  # steps, patients and whatever else is counted; no option of a component is larger
HEAVIEST = 1e6  # weight of a loss
NOT_SETTINGS = {"name", "title", "citation", "quick", "paper_names", "unreported", "deviations"}
"""Fields of a recipe that do not change what is trained."""
NAMES = (".method", ".name")
"""Ends of the dotted paths of fields that name a module or a file."""
FORMER = {("schedule", "patience"): None, ("data", "selection"): "random"}
"""Fields that recipes of former versions have, with the value at which they change nothing."""


def _distinct(planes: tuple[Plane, ...]) -> tuple[Plane, ...]:
    if not planes or len(set(planes)) < len(planes):
        raise ValueError(f"needs one plane or more, each once; got {', '.join(planes) or 'none'}")
    return planes


def _rising(window: tuple[float, float]) -> tuple[float, float]:
    if not window[0] < window[1]:
        raise ValueError(f"needs (low, high) with low below high; got {window}")
    return window


def fold_numbers(fold: str) -> tuple[int, int]:
    """The number of a fold, from 1, and how many parts the patients are divided into.

    Raises:
        ValueError: For a text of another form, or numbers that are none of a fold.

    Example:
        >>> fold_numbers("2/5")
        (2, 5)
    """
    number, separator, count = fold.partition("/") if isinstance(fold, str) else ("", "", "")
    if not (separator and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count) > 1):
        raise ValueError(f"a fold is I/K, the I-th of K parts of the patients, such as 2/5; got {fold!r}")
    return int(number), int(count)


def _fold(fold: str) -> str:
    fold_numbers(fold)
    return fold


Direction = Literal["ab", "ba"]
DIRECTIONS: tuple[Direction, Direction] = ("ab", "ba")
Fold = Annotated[str, AfterValidator(_fold)]  # of a cross-validation, such as "2/5"
Plane = Literal["axial", "coronal", "sagittal"]
Planes = Annotated[tuple[Plane, ...], AfterValidator(_distinct)]
Target = Literal["random", "nearest", "median"]  # which of the scans that are registered to a slice it learns from
AXIAL_ONLY: tuple[Plane, ...] = ("axial",)
Number = Annotated[float, Field(ge=-1e12, le=1e12)]  # as far as the values of a scan go; neither NaN nor infinite
Percent = Annotated[float, Field(ge=0, le=100)]
Window = Annotated[tuple[Number, Number], AfterValidator(_rising)]
Percentiles = Annotated[tuple[Percent, Percent], AfterValidator(_rising)]
# `--set data.pairs=true` is the JSON value.
Pairing = Annotated[Literal["registered", "true"], BeforeValidator(lambda value: "true" if value is True else value)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Component(BaseModel):
    """A generator, discriminator, segmenter or loss: the name of its file and the options of its function.

    The options are checked against the function's signature when it is bound, so a new file needs no entry here.

    Example:
        >>> Component(name="resnet", filters=32, blocks=6).options
        {'filters': 32, 'blocks': 6}
    """

    model_config = ConfigDict(frozen=True, extra="allow")
    name: str

    @model_validator(mode="after")
    def _numbers_within_bounds(self) -> Component:
        for name, value in self.options.items():
            if isinstance(value, int | float) and not abs(value) <= MOST:
                raise ValueError(f"option {name} must be a number from {-MOST} to {MOST}; got {value}")
        return self

    @property
    def options(self) -> dict[str, Any]:
        """The keyword arguments for the component's function."""
        return dict(self.model_extra or {})


class Augmentation(_Frozen):
    """Limits of the random geometric changes of each training slice, to either side of no change.

    Attributes:
        flip: Mirror left and right at random; not for sagittal slices.
        shift: Largest shift along rows and columns, as a fraction of the field of view.
        scale: Largest relative change of size.
        rotation_degrees: Largest angle.
    """

    flip: bool = True
    shift: float = Field(0.03, ge=0, le=0.5)
    scale: float = Field(0.05, ge=0, le=0.5)
    rotation_degrees: float = Field(5.0, ge=0, le=180)


class Data(_Frozen):
    """The patients and pixels that the networks see.

    Attributes:
        training_patients: Patients of each domain, drawn by the seed; null: all.
        split_seed: Seed of the split by patient; null: the run's seed.
        size: Side of the square slice in pixels.
        field_of_view_mm: Side of the square in mm; null: the dataset's.
        batch_size: Slices of each domain in a training step.
        minimum_body_fraction: Slices with less body than this fraction of the square are left out.
        planes: Planes of the slices; of several, each translates a scan, and the median is taken.
        pairs: The targets of a's slices: scans of b that are registered to them, or their true ones; null: none.
        atlases: Scans of b that are registered to each one of a.
        augmentation: Limits of the random geometric changes.
    """

    training_patients: int | None = Field(None, ge=1, le=MOST)
    split_seed: int | None = Field(None, ge=0, le=LARGEST_SEED)
    size: int = Field(256, ge=32, le=2048, multiple_of=4)
    field_of_view_mm: float | None = Field(None, ge=25, le=3200)
    batch_size: int = Field(1, ge=1, le=10_000)
    minimum_body_fraction: float = Field(0.05, ge=0, le=1)
    planes: Planes = AXIAL_ONLY
    pairs: Pairing | None = None
    atlases: int = Field(5, ge=1, le=50)
    augmentation: Augmentation = Augmentation()


class Intensity(_Frozen):
    """The map from physical values to the networks' [-1, 1].

    Attributes:
        ct_window_hu: CT values that become -1 and 1; values beyond are clipped.
        mr_percentiles: Percentiles over the body that become -1 and 1, for each MR scan.
        mr_window: Fixed MR values in place of the percentiles; null: the percentiles.
        bias_correction: Correct the bias field of MR scans by N4.
        windows: Whose windows hold: with auto, a dataset of another anatomy than the recipe's brings its own.
    """

    ct_window_hu: Window = (-1000.0, 1600.0)
    mr_percentiles: Percentiles = (0.5, 99.5)
    mr_window: Window | None = None
    bias_correction: bool = True
    windows: Literal["auto", "recipe"] = "auto"


class Losses(_Frozen):
    """The weighted sum that the generators minimise; a weight of 0 leaves its term out of the graph.

    Attributes:
        adversarial: The loss by which discriminators judge and generators are judged.
        adversarial_weight: Weight of the adversarial loss.
        cycle: The loss between an image and its translation there and back.
        cycle_weight: Weight of the cycle.
        cycle_weight_b: Weight of the cycle of images of domain b; null: cycle_weight for both domains.
        identity_weight: Weight of the mean absolute change of an image by the generator whose target domain it is of.
        structure: The loss between an image and its translation, which should show the same anatomy.
        structure_weight: Weight of the structural loss.
    """

    adversarial: Component = Component(name="least_squares")
    adversarial_weight: float = Field(1.0, ge=0, le=HEAVIEST)
    cycle: Component = Component(name="absolute_error")
    cycle_weight: float = Field(10.0, ge=0, le=HEAVIEST)
    cycle_weight_b: float | None = Field(None, ge=0, le=HEAVIEST)
    identity_weight: float = Field(0.0, ge=0, le=HEAVIEST)
    structure: Component = Component(name="gradient_consistency")
    structure_weight: float = Field(0.0, ge=0, le=HEAVIEST)


class Supervision(_Frozen):
    """The part that `data.pairs` have in the one-sided method, beside the adversarial and the structural loss.

    Attributes:
        weight: Weight of the mean absolute difference from the target.
        target: Which of the scans that are registered to a slice is its target, or their median.
        adversarial_from: The first step in which the generator heeds the discriminator.
        histogram: The loss between the values of the translation and of its target, wherever they lie.
        histogram_weight: Weight of that loss.
        guide: A run, seen from the new run's folder, or a recipe that is trained first: scans are registered to its
            results; null: to the slices themselves.
        guide_length: Length of the training of a guide that is a recipe, as a multiple of the run's own.
    """

    weight: float = Field(10.0, ge=0, le=HEAVIEST)
    target: Target = "random"
    adversarial_from: int = Field(0, ge=0, le=MOST)
    histogram: Component = Component(name="histogram_distance")
    histogram_weight: float = Field(0.0, ge=0, le=HEAVIEST)
    guide: str | None = None
    guide_length: float = Field(1.0, gt=0, le=1000)


class Deformation(_Frozen):
    """A second, deformed output of each generator, which the discriminators see in place of its own.

    The generators need a deformable convolution, as `resnet` with `deformable=true` has.

    Attributes:
        cycle_weight: Weight of the cycle through both deformed outputs.
    """

    cycle_weight: float = Field(10.0, ge=0, le=HEAVIEST)


class Segmentation(_Frozen):
    """A segmentation network that is trained with the generators, on synthetic images of b with the labels of a.

    Attributes:
        structures: Structures as the dataset's card names them; left and right ones need data.augmentation.flip=false.
        network: The segmentation network.
        loss: The loss between its scores and the labels.
        weight: Weight of that loss.
    """

    structures: tuple[str, ...] = Field(min_length=1)
    network: Component = Component(name="unet")
    loss: Component = Component(name="cross_entropy")
    weight: float = Field(1.0, gt=0, le=HEAVIEST)


class Distillation(_Frozen):
    """A run whose generator the recipe's own, smaller generator learns to imitate in one direction.

    Attributes:
        teacher: The teacher's run directory, from the folder of the student's; in former runs an absolute path.
        direction: The direction in which the student imitates its teacher.
        student: The budget that the small generator keeps to.
        directions: Those that the teacher has.
        generator: The teacher's generator.
        output_weight: Weight of the mean absolute difference of both outputs.
        feature_weight: Weight of the relative squared difference of both networks' features.
    """

    teacher: str
    direction: Direction
    student: str
    directions: tuple[Direction, ...] = DIRECTIONS
    generator: Component
    output_weight: float = Field(10.0, gt=0, le=HEAVIEST)
    feature_weight: float = Field(1.0, ge=0, le=HEAVIEST)


class Optimizer(_Frozen):
    """Settings of Adam, one optimiser for the generators and one for the discriminators.

    Attributes:
        learning_rate: Learning rate at the start.
        discriminator_learning_rate: That of the discriminators; null: learning_rate for all networks.
        generator_iterations: Updates of the generators in a training step, all on the same batch.
        discriminator_iterations: Updates of the discriminators in a training step.
        beta_1: Decay of the mean of the gradients.
        beta_2: Decay of the mean of their squares.
        average_decay: Decay of moving averages of the weights, which are kept in place of the generators; null: none.
    """

    learning_rate: float = Field(2e-4, gt=0, le=10)
    discriminator_learning_rate: float | None = Field(None, gt=0, le=10)
    generator_iterations: int = Field(1, ge=1, le=1000)
    discriminator_iterations: int = Field(1, ge=1, le=1000)
    beta_1: float = Field(0.5, ge=0, lt=1)
    beta_2: float = Field(0.999, ge=0, lt=1)
    average_decay: float | None = Field(None, gt=0, lt=1)


class Schedule(_Frozen):
    """Lengths in training steps (iterations), each of which sees one batch of each domain.

    Attributes:
        steps: Training steps.
        epochs: In place of steps, how often the domain with more slices is shown; null: the length is that of steps.
        constant_fraction: Fraction of the steps with the full learning rate, which then falls linearly to 0.
        report_every: Steps between two rows of history.csv and of TensorBoard's scalars.
        checkpoint_every: Steps between two checkpoints.
        preview_every: Steps between two validations with their pictures.
        steps_per_execution: Steps that are computed in one call of the device.
    """

    steps: int = Field(200_000, ge=1, le=MOST)
    epochs: int | None = Field(None, ge=1, le=MOST)
    constant_fraction: float = Field(0.5, ge=0, le=1)
    report_every: int = Field(100, ge=1, le=MOST)
    checkpoint_every: int = Field(1000, ge=1, le=MOST)
    preview_every: int = Field(2000, ge=1, le=MOST)
    steps_per_execution: int = Field(1, ge=1, le=MOST)

    @property
    def length(self) -> str:
        """The length of a training in words.

        Example:
            >>> Schedule(steps=3000).length, Schedule(epochs=200).length
            ('3000 steps', '200 epochs')
        """
        return f"{self.steps} steps" if self.epochs is None else f"{self.epochs} epochs"

    @model_validator(mode="after")
    def _multiples(self) -> Schedule:
        multiples = {
            "checkpoint_every": "report_every",
            "preview_every": "report_every",
            "report_every": "steps_per_execution",
        }
        for name, divisor in multiples.items():
            value, unit = getattr(self, name), getattr(self, divisor)
            if value % unit:
                raise ValueError(f"{name}={value} must be a multiple of {divisor}={unit}")
        return self


class Recipe(_Frozen):
    """The complete settings of a run; `kerasgan/recipes/<name>.py` holds one as `RECIPE`.

    Attributes:
        name: The name of its file.
        title: Title of the paper, or what the recipe is.
        citation: Address of the paper.
        anatomy: What the windows were chosen for; "": any.
        method: The training method; "": the one that trains the recipe's parts.
        generator: The network that translates, one for each direction.
        discriminator: The network that tells real images from translated ones, one for each domain.
        losses: What the generators minimise.
        supervision: What pairs are used for.
        deformation: A deformed output of each generator; null: none.
        segmentation: A segmentation network that is trained along; null: none.
        distillation: What a student imitates; null: nothing.
        optimizer: Settings of Adam.
        schedule: Lengths in steps.
        data: Patients and pixels.
        intensity: Windows.
        pool_size: Translated images that a discriminator remembers; 0: only the newest are shown to it.
        precision: Numbers that networks compute with; auto: bfloat16 where the device is faster with it.
        quick: Whether it only shows that the method works.
        paper_names: What the paper calls a setting, and its path here.
        unreported: What the paper does not say.
        deviations: What was changed.

    Example:
        >>> Recipe(name="mine").with_overrides(["schedule.steps=500"]).schedule.steps
        500
    """

    name: str
    title: str = ""
    citation: str = ""
    anatomy: str = ""
    method: str = ""
    generator: Component = Component(name="resnet")
    discriminator: Component = Component(name="patchgan")
    losses: Losses = Losses()
    supervision: Supervision = Supervision()
    deformation: Deformation | None = None
    segmentation: Segmentation | None = None
    distillation: Distillation | None = None
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()
    data: Data = Data()
    intensity: Intensity = Intensity()
    pool_size: int = Field(50, ge=0, le=10_000)
    precision: Literal["auto", "float32", "mixed_bfloat16"] = "auto"
    quick: bool = False
    paper_names: tuple[tuple[str, str], ...] = ()
    unreported: tuple[str, ...] = ()
    deviations: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _method_uses_all_parts(self) -> Recipe:
        unused = [name for name in ("deformation", "segmentation", "distillation") if getattr(self, name) is not None]
        if not self.method:
            object.__setattr__(self, "method", method_of_parts(self.model_dump()))
        if self.data.pairs and self.method in ("cyclegan", "essnet", "distiller"):
            raise KerasganError(
                f"The recipe has data.pairs={self.data.pairs}, which method {self.method!r} does not use. Use --set "
                "method=one_sided, or --set data.pairs=null."
            )
        if self.supervision.guide and self.data.pairs != "registered":
            raise KerasganError(
                "The recipe has a supervision.guide, to which scans are registered, and data.pairs is not registered. "
                "Use --set data.pairs=registered, or --set supervision.guide=null."
            )
        if self.method == "one_sided" and not self.data.pairs and self.supervision.weight:
            raise KerasganError(
                "Method 'one_sided' learns from pairs, and the recipe has none. Use --set data.pairs=registered or "
                "true, or --set supervision.weight=0."
            )
        losses = self.losses
        if self.method == "one_sided" and (losses.cycle_weight or losses.cycle_weight_b or losses.identity_weight):
            raise KerasganError(
                "Method 'one_sided' has no way back and no identity loss. Use --set losses.cycle_weight=0 --set "
                "losses.cycle_weight_b=null --set losses.identity_weight=0."
            )
        if self.method in ("cyclegan", "one_sided") and unused:
            raise KerasganError(
                f"The recipe has {' and '.join(unused)}, which method {self.method!r} does not train. Use --set "
                f"method={'distiller' if 'distillation' in unused else 'essnet'}, or --set {unused[0]}=null."
            )
        return self

    @model_validator(mode="after")
    def _labels_are_axial(self) -> Recipe:
        if self.segmentation and self.data.planes != AXIAL_ONLY:
            raise KerasganError(
                f"The recipe segments axial slices, and data.planes is {', '.join(self.data.planes)}. Use --set "
                'data.planes=["axial"], or --set segmentation=null.'
            )
        return self

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

    @property
    def files(self) -> list[str]:
        """The `.py` files that the recipe names, as its method or as components.

        Example:
            >>> Recipe(name="mine", generator=Component(name="my/unet.py")).files
            ['my/unet.py']
        """
        named = {path: str(value) for path, value in flat(self.model_dump()).items() if f".{path}".endswith(NAMES)}
        return [value for path, value in named.items() if path != "name" and value.endswith(".py")]

    def as_quick(self) -> Recipe:
        """The same method, small enough for minutes on two cores: fewer filters, blocks, pixels and steps.

        A ResNet generator halves its image once and enlarges it by nearest neighbours, both quicker to train.
        Everything a quick run writes is marked as quick: it shows that the method works, not what the recipe reaches.
        """
        values = self.model_dump()
        values["quick"] = True
        values["generator"] |= _lowered(self.generator, "resnet", {"filters": 16, "blocks": 4, "downsamplings": 1})
        if self.generator.name == "resnet":
            values["generator"]["upsampling"] = "resize"  # the other's checkerboard takes thousands of steps to fade
        values["discriminator"] |= _lowered(self.discriminator, "patchgan", {"filters": 32})
        if self.segmentation:
            network = self.segmentation.network
            values["segmentation"]["network"] |= _lowered(network, "unet", {"filters": 16, "depth": 3})
        for name, limit in (("size", 112), ("batch_size", 16)):
            values["data"][name] = min(values["data"][name], limit)
        values["data"]["minimum_body_fraction"] = max(self.data.minimum_body_fraction, 0.1)
        values["intensity"]["bias_correction"] = False
        values["schedule"] |= {"steps": min(self.schedule.steps, 8000), "epochs": None, "report_every": 100}
        values["schedule"] |= {"checkpoint_every": 500, "preview_every": 1000, "steps_per_execution": 10}
        return Recipe.model_validate(values)

    def with_epochs_in_steps(self, slices: int) -> Recipe:
        """The recipe with its length in epochs counted in steps; the same recipe where it has a length in steps.

        Args:
            slices: Number of training slices of the domain that has more.
        """
        if self.schedule.epochs is None:
            return self
        steps = self.schedule.epochs * math.ceil(slices / self.data.batch_size)
        return self.model_copy(update={"schedule": self.schedule.model_copy(update={"steps": steps})})

    def with_overrides(self, assignments: Iterable[str]) -> Recipe:
        """The recipe with `path=value` assignments applied, as in `schedule.steps=5000`.

        Args:
            assignments: Dotted path of a field, `=`, and a value in JSON or, failing that, text. `schedule.steps`
                replaces a length in epochs.

        Raises:
            KerasganError: For an assignment without `=`, an unknown field (the message offers the nearest ones), an
                invalid value, or a window that a dataset's own would overrule.
        """
        values = self.model_dump()
        paths = set()
        for assignment in assignments:
            path, separator, value = assignment.partition("=")
            path = path.strip()
            if not separator:
                raise KerasganError(f"--set needs path=value, as in schedule.steps=5000; got {assignment!r}.")
            *parents, field = path.split(".")
            node: Any = values
            for parent in parents:
                node = node.get(parent) if isinstance(node, dict) else None
            # A component takes options that only its function knows; they are checked when it is bound.
            is_component = isinstance(node, dict) and parents and "name" in node
            if not isinstance(node, dict) or (field not in node and not is_component):
                own = dict(values["paper_names"]).get(path)
                remedy = f"The paper's {path} is {own} here." if own else nearest(path, flat(values))
                raise KerasganError(f"No recipe field is called {path!r}. {remedy}")
            if field == "name" and parents:
                node.clear()  # another component has other options
            try:
                node[field] = json.loads(value)
            except json.JSONDecodeError:
                node[field] = value
            if path == "schedule.steps":
                node["epochs"] = None  # a length counts in steps or in epochs
            paths.add(path)
        if "method" not in paths and self.method == method_of_parts(self.model_dump()):
            values["method"] = method_of_parts(values)  # a part that is set or switched off brings its method
            if values["method"] == "one_sided" and isinstance(values["losses"], dict):  # which has no way back
                unused = {"cycle_weight": 0.0, "cycle_weight_b": None, "identity_weight": 0.0}
                values["losses"] |= {name: off for name, off in unused.items() if f"losses.{name}" not in paths}
            without_cycle = not self.losses.cycle_weight and "losses.cycle_weight" not in paths
            if (self.method, values["method"]) == ("one_sided", "cyclegan") and without_cycle:
                raise KerasganError(
                    "Without pairs the recipe is a CycleGAN, and its cycle has the weight 0. Give it one with --set "
                    "losses.cycle_weight=10, or keep one generator with --set method=one_sided --set "
                    "supervision.weight=0."
                )
        try:
            recipe = Recipe.model_validate(values)
        except ValidationError as error:
            raise KerasganError(f"The recipe is invalid: {problems(error)}") from error
        windows = sorted(paths & {"intensity.ct_window_hu", "intensity.mr_window"})
        if windows and recipe.anatomy and recipe.intensity.windows == "auto":
            raise KerasganError(
                f"A dataset of another anatomy than {recipe.anatomy} would overrule {' and '.join(windows)}; "
                "add --set intensity.windows=recipe (and --set intensity.mr_window=null to keep MR percentiles)."
            )
        return recipe


def from_json(content: str) -> Recipe:
    """The recipe that `Recipe.model_dump_json` wrote, also with a former version of kerasgan.

    Raises:
        KerasganError: For text that is not a valid recipe, or one that uses a feature that was removed.

    Example:
        >>> from_json('{"name": "mine", "pool_size": 20}').pool_size
        20
    """
    try:
        values = json.loads(content)
    except (json.JSONDecodeError, RecursionError) as error:
        raise KerasganError(f"The recipe is no valid JSON ({error}); restore the file or start a new run.") from error
    for (part, field), unchanged in FORMER.items():
        section = values.get(part) if isinstance(values, dict) else None
        value = section.pop(field, unchanged) if isinstance(section, dict) else unchanged
        if value != unchanged:
            raise KerasganError(
                f"The recipe sets {part}.{field}={json.dumps(value)}, which this version of kerasgan no longer has. "
                f"Resume the run with the version that began it, or start a new run without {part}.{field}."
            )
    try:
        return Recipe.model_validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        raise KerasganError(
            f"The recipe is invalid: {problems(error)}. Restore the file or start a new run."
        ) from error


def problems(error: ValidationError) -> str:
    """The problems that pydantic found in a recipe, in one line, with the nearest names for an unknown field."""
    return text.problems(error, {field for part in _Frozen.__subclasses__() for field in part.model_fields})


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """The innermost values of nested dictionaries by their dotted path, in their order.

    Example:
        >>> flat({"size": 1, "optimizer": {"rate": 2}})
        {'size': 1, 'optimizer.rate': 2}
    """
    found: dict[str, Any] = {}
    for key, value in values.items():
        found.update(flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
    return found


def without_folders(value: Any) -> Any:
    """A setting, or a tree of them, in which Python files and other runs are called by their names alone.

    Names of folders may be those of people; this is for what leaves the machine.

    Example:
        >>> without_folders({"generator": {"name": "/home/someone/unet.py"}, "guide": "runs/first"})
        {'generator': {'name': 'unet.py'}, 'guide': 'first'}
    """
    if isinstance(value, dict):
        of_runs = {name: Path(value[name]).name for name in ("guide", "teacher") if value.get(name)}
        return {name: without_folders(one) for name, one in (value | of_runs).items()}
    if isinstance(value, list):
        return [without_folders(one) for one in value]
    return Path(value).name if isinstance(value, str) and value.endswith(".py") else value


def method_of_parts(values: dict[str, Any]) -> str:
    """The built-in method that trains the optional parts of a recipe."""
    if values.get("distillation") is not None:
        return "distiller"
    if values.get("segmentation") is not None or values.get("deformation") is not None:
        return "essnet"
    data = values["data"]
    return "one_sided" if isinstance(data, dict) and data.get("pairs") else "cyclegan"


def _lowered(component: Component, built_in: str, limits: dict[str, int]) -> dict[str, Any]:
    """A component's options within limits; of a file of the user's own, only the options that the recipe spells out."""
    options = component.options
    known = limits if component.name == built_in else limits.keys() & options.keys()
    return {name: min(options.get(name, limits[name]), limits[name]) for name in known}
