"""Knowledge distillation: the recipe of a run's student, and the comparison of teacher and student.

`distillation.json` in the student's run directory holds the comparison: parameters, multiply-accumulates, size and
latency of a float32 TFLite file, and the error over the body of paired validation patients.

Reference:
    Li et al. 2020, https://arxiv.org/abs/2003.08936.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

import keras
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from pydantic import Field

from kerasgan.config import MOST, Distillation, Recipe, Supervision
from kerasgan.errors import RunError
from kerasgan.export.device_graph import for_devices
from kerasgan.export.graph import physical_generator, write_savedmodel
from kerasgan.export.tflite import convert
from kerasgan.files import beside, read_record, replacing, seen_beside
from kerasgan.networks.costs import BUDGETS, macs, student_generator
from kerasgan.networks.keras_settings import keras_defaults
from kerasgan.runs.run import Run, load_run
from kerasgan.scans.bounds import LARGEST, NETWORK_SIDE
from kerasgan.scans.contract import Direction, Frozen
from kerasgan.scans.names import DEFAULT, IMAGE
from kerasgan.training.choice import Pairs, masked_error
from kerasgan.training.data import data_of_run

REPORT = "distillation.json"
TIMED_SLICES = 5


class Cost(Frozen):
    """Size, latency and error of a generator.

    Attributes:
        parameters: Number of its weights.
        macs: Multiply-accumulates for one slice.
        megabytes: Size of its float32 TFLite file, in 10^6 bytes.
        milliseconds: Latency of one slice in LiteRT on one thread, the median of five.
        error: Mean absolute error over the body of paired validation patients, in the target's unit; None without
            pairs.
    """

    parameters: int = Field(gt=0, le=10**15)
    macs: int = Field(gt=0, le=10**15)
    megabytes: float = Field(gt=0, le=MOST)
    milliseconds: float = Field(gt=0, le=MOST)
    error: float | None = Field(ge=0, le=LARGEST)


class Report(Frozen):
    """The content of `distillation.json`.

    Attributes:
        direction: Direction of both generators.
        size: Pixels along each side of a slice.
        slices: Number of validation slices over which the error is averaged.
        unit: Unit of the error.
        teacher: The teacher's costs.
        student: The student's costs.

    Example:
        >>> cost = Cost(parameters=40_000, macs=2_000_000, megabytes=0.2, milliseconds=9.0, error=None)
        >>> small = cost.model_copy(update={"parameters": 10_000})
        >>> Report(direction="ab", size=32, slices=0, unit="HU", teacher=cost, student=small).rows()[1][0]
        ['parameters', '4e+04', '1e+04', '1/4.0']
    """

    direction: Direction
    size: int = Field(ge=1, le=NETWORK_SIDE)
    slices: int = Field(ge=0, le=MOST)
    unit: str
    teacher: Cost
    student: Cost

    def rows(self) -> tuple[list[str], list[list[str]]]:
        """Heads and lines of a table: each value of the teacher and the student, and their ratio."""
        values = {
            "parameters": (self.teacher.parameters, self.student.parameters),
            f"multiply-accumulates at {self.size} x {self.size}": (self.teacher.macs, self.student.macs),
            "TFLite float32 [MB]": (self.teacher.megabytes, self.student.megabytes),
            "LiteRT, one thread [ms]": (self.teacher.milliseconds, self.student.milliseconds),
        }
        lines = [[name, f"{a:,.4g}", f"{b:,.4g}", f"1/{a / b:.1f}"] for name, (a, b) in values.items()]
        if self.teacher.error and self.student.error is not None:
            more = f"{self.student.error / self.teacher.error - 1:+.1%}"
            name = f"MAE of {self.slices} validation slices [{self.unit}]"
            lines.append([name, f"{self.teacher.error:.1f}", f"{self.student.error:.1f}", more])
        return ["", "teacher", "student", "ratio"], lines


def student_recipe(
    run: Run, student: str, direction: Direction, steps: int | None = None, place: Path | None = None
) -> Recipe:
    """The recipe of a run's student: the run's own without the terms that concern the other direction.

    Args:
        run: The teacher, trained.
        student: A name in `costs.BUDGETS`.
        direction: The direction of the generator that the student imitates.
        steps: Number of training steps; None: as many as the teacher's.
        place: The student's run directory; None: one beside the teacher's.

    Raises:
        RunError: For a run that is a student itself or has no weights yet.
        KerasganError: For a teacher that is too small for a student.
        ValueError: For an unknown student.
    """
    recipe = run.recipe
    if student not in BUDGETS:
        raise ValueError(f"student must be {' or '.join(map(repr, BUDGETS))}; got {student!r}.")
    if recipe.distillation:
        raise RunError(
            f"{run.path} is a student itself; distil its teacher: {beside(run.path, recipe.distillation.teacher)}."
        )
    run.generator_path(direction)  # no long work for a teacher without weights
    size = (recipe.data.size, recipe.data.size)
    without_cycles = {"cycle_weight": 0.0, "cycle_weight_b": None, "identity_weight": 0.0}
    changes = {
        "method": "distiller",
        "generator": student_generator(recipe.generator, BUDGETS[student], size),
        "losses": recipe.losses.model_copy(update=without_cycles),
        "data": recipe.data.model_copy(update={"pairs": None}),
        "supervision": Supervision(),
        "schedule": recipe.schedule.model_copy(update={"steps": steps or recipe.schedule.steps, "epochs": None}),
        "deformation": None,
        "segmentation": None,
        "distillation": Distillation(
            teacher=seen_beside(place or run.path, run.path),
            direction=direction,
            directions=run.facts.directions,
            student=student,
            generator=recipe.generator,
            feature_weight=1.0 if recipe.generator.name == "resnet" else 0.0,  # others have no features like these
        ),
    }
    return recipe.model_copy(update=changes)


@keras_defaults()
def write_report(run: Run, data_dir: Path | None = None) -> Report:
    """Measures teacher and student, and writes `distillation.json`.

    Args:
        run: The student's run, trained.
        data_dir: The folder of its dataset; None: where it was in training.

    Raises:
        RunError: For a run that is not a student's.
    """
    settings = run.recipe.distillation
    if settings is None:
        raise RunError(f"{run.path} is no student; kerasgan distill trains one.")
    pairs = data_of_run(run, data_dir).paired_slices()
    runs = {"teacher": load_run(beside(run.path, settings.teacher)), "student": run}
    direction, size = settings.direction, run.recipe.data.size
    costs = {name: _cost(one.generator(direction), run, direction, pairs) for name, one in runs.items()}
    unit = "HU" if run.facts.modalities[direction[1]] == "CT" else "arbitrary"
    found = Report(direction=direction, size=size, slices=len(pairs.a) if pairs else 0, unit=unit, **costs)
    with replacing(run.path / REPORT) as path:
        path.write_text(found.model_dump_json(indent=2))
    return found


def read_report(run: Run) -> Report:
    """The report of a student's run; `RunError` where it is missing or damaged."""
    remedy = "kerasgan train --resume on the student's run writes it again."
    return read_record(run.path / REPORT, partial(Report.model_validate_json, strict=True), remedy)


def _cost(generator: keras.Model, run: Run, direction: Direction, pairs: Pairs | None) -> Cost:
    size, target = run.recipe.data.size, run.map(direction[1])
    with tempfile.TemporaryDirectory() as folder:
        physical = for_devices(physical_generator(run, direction, generator), (size, size))
        write_savedmodel(physical, Path(folder), (1, size, size))
        content = convert(Path(folder), "float32")
    runner = Interpreter(model_content=content, num_threads=1).get_signature_runner(DEFAULT)
    image = np.zeros(runner.get_input_details()[IMAGE]["shape"], np.float32)
    seconds = []
    for _ in range(TIMED_SLICES + 1):
        start = time.perf_counter()
        runner(**{IMAGE: image})
        seconds.append(time.perf_counter() - start)
    return Cost(
        parameters=generator.count_params(),
        macs=macs(generator, (size, size)),
        megabytes=len(content) / 1e6,
        milliseconds=1000 * statistics.median(seconds[1:]),  # without the first, which warms up
        error=masked_error(generator, pairs, direction, target) if pairs else None,
    )
