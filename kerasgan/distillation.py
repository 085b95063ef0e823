"""From a run to the training of its student, and what teacher and student cost and reach.

`distillation.json` in the student's run directory holds the report: parameters, multiply-accumulates, size and latency
of a float32 TFLite file, and the error over the body of paired validation patients.

Reference:
    Li et al. 2020, https://arxiv.org/abs/2003.08936.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
from ai_edge_litert.interpreter import Interpreter

from kerasgan.config import Distillation, Recipe
from kerasgan.errors import RunError
from kerasgan.export.device_graph import write_for_devices
from kerasgan.export.graph import Translator
from kerasgan.export.tflite import convert
from kerasgan.files import replacing
from kerasgan.networks.costs import BUDGETS, macs, student_generator
from kerasgan.runs.run import Run, load_run
from kerasgan.scans.contract import Direction, Frozen
from kerasgan.scans.names import DEFAULT, IMAGE
from kerasgan.training.choice import Pairs, masked_error
from kerasgan.training.data import data_of_run

REPORT = "distillation.json"
TIMED_SLICES = 5


class Cost(Frozen):
    """What a generator costs and reaches.

    Attributes:
        parameters: Number of its weights.
        macs: Multiply-accumulates of a slice.
        megabytes: Size of its float32 TFLite file, in 10^6 bytes.
        milliseconds: Of a slice in LiteRT on one thread, the median of five.
        error: Mean absolute error over the body of paired validation patients, in the target's unit; None where there
            are none.
    """

    parameters: int
    macs: int
    megabytes: float
    milliseconds: float
    error: float | None


class Report(Frozen):
    """The content of `distillation.json`.

    Attributes:
        direction: Which generator.
        size: Pixels along each side of a slice.
        slices: Validation slices that the error is the mean of.
        unit: Of the error.
        teacher: The teacher's costs.
        student: The student's costs.
    """

    direction: Direction
    size: int
    slices: int
    unit: str
    teacher: Cost
    student: Cost

    def rows(self) -> tuple[list[str], list[list[str]]]:
        """Heads and lines of a table: each figure of the teacher and the student, and their ratio."""
        figures = {
            "parameters": (self.teacher.parameters, self.student.parameters),
            f"multiply-accumulates at {self.size} x {self.size}": (self.teacher.macs, self.student.macs),
            "TFLite float32 [MB]": (self.teacher.megabytes, self.student.megabytes),
            "LiteRT, one thread [ms]": (self.teacher.milliseconds, self.student.milliseconds),
        }
        lines = [[name, f"{a:,.4g}", f"{b:,.4g}", f"1/{a / b:.1f}"] for name, (a, b) in figures.items()]
        if self.teacher.error is not None and self.student.error is not None:
            more = f"{self.student.error / self.teacher.error - 1:+.1%}"
            name = f"MAE of {self.slices} validation slices [{self.unit}]"
            lines.append([name, f"{self.teacher.error:.1f}", f"{self.student.error:.1f}", more])
        return ["", "teacher", "student", "ratio"], lines


def student_recipe(run: Run, student: str, direction: Direction, steps: int | None = None) -> Recipe:
    """The recipe that trains a run's student: the run's own, as far as it concerns one direction.

    Args:
        run: The teacher, trained.
        student: A name in `costs.BUDGETS`.
        direction: Which of its generators.
        steps: Length of the training; None: as many as the teacher's.

    Raises:
        RunError: Where the run is a student itself or has no weights yet.
        KerasganError: Where the teacher is too small for a student.
        ValueError: For an unknown student.
    """
    recipe = run.recipe
    if student not in BUDGETS:
        raise ValueError(f"student must be {' or '.join(map(repr, BUDGETS))}; got {student!r}.")
    if recipe.distillation:
        raise RunError(f"{run.path} is a student itself; distil its teacher: {recipe.distillation.teacher}.")
    run.generator_path(direction)  # no long work for a teacher without weights
    size = (recipe.data.size, recipe.data.size)
    without_cycles = {"cycle_weight": 0.0, "cycle_weight_b": None, "identity_weight": 0.0}
    changes = {
        "generator": student_generator(recipe.generator, BUDGETS[student], size),
        "losses": recipe.losses.model_copy(update=without_cycles),
        "schedule": recipe.schedule.model_copy(update={"steps": steps or recipe.schedule.steps, "epochs": None}),
        "deformation": None,
        "segmentation": None,
        "distillation": Distillation(
            teacher=str(run.path.absolute()),
            direction=direction,
            student=student,
            generator=recipe.generator,
            feature_weight=1.0 if recipe.generator.name == "resnet" else 0.0,  # others have no features like these
        ),
    }
    return recipe.model_copy(update=changes)


def write_report(run: Run, data_dir: Path | None = None) -> Report:
    """Measures teacher and student, and writes `distillation.json`.

    Args:
        run: The student's, trained.
        data_dir: Its dataset; None: where it lay in training.

    Raises:
        RunError: Where the run is no student.
    """
    settings = run.recipe.distillation
    if settings is None:
        raise RunError(f"{run.path} is no student; kerasgan distill trains one.")
    pairs = data_of_run(run, data_dir).paired_slices()
    runs = {"teacher": load_run(settings.teacher), "student": run}
    direction, size = settings.direction, run.recipe.data.size
    costs = {name: _cost(one.generator(direction), run, direction, pairs) for name, one in runs.items()}
    unit = "HU" if run.facts.modalities[direction[1]] == "CT" else "arbitrary"
    found = Report(direction=direction, size=size, slices=len(pairs.a) if pairs else 0, unit=unit, **costs)
    with replacing(run.path / REPORT) as path:
        path.write_text(found.model_dump_json(indent=2))
    return found


def read_report(run: Run) -> Report:
    """The report of a student's run."""
    return Report(**json.loads((run.path / REPORT).read_text()))


def _cost(generator: keras.Model, run: Run, direction: Direction, pairs: Pairs | None) -> Cost:
    size, (source, target) = run.recipe.data.size, (run.map(domain) for domain in direction)
    content = _tflite(Translator(generator, source, target), size)
    return Cost(
        parameters=generator.count_params(),
        macs=macs(generator, (size, size)),
        megabytes=len(content) / 1e6,
        milliseconds=1000 * _seconds(content),
        error=masked_error(generator, pairs, direction, target) if pairs else None,
    )


def _tflite(translator: Translator, size: int) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        write_for_devices(translator, Path(folder), (size, size))
        return convert(Path(folder), "float32")


def _seconds(content: bytes) -> float:
    """Of a slice, the median after one to warm up."""
    runner = Interpreter(model_content=content, num_threads=1).get_signature_runner(DEFAULT)
    image = np.zeros(runner.get_input_details()[IMAGE]["shape"], np.float32)
    seconds = []
    for _ in range(TIMED_SLICES + 1):
        start = time.perf_counter()
        runner(**{IMAGE: image})
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])
