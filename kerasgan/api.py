"""`kerasgan.train` and `kerasgan.distill`: one call to a run directory each; and how runs are named and found.

Runs and datasets, which load SimpleITK and pydicom, are imported where they are used: a misspelt name is told at once.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from kerasgan import registry
from kerasgan.errors import KerasganError, RunError
from kerasgan.training.request import DEFAULT_RECIPE, Request

if TYPE_CHECKING:
    from kerasgan.runs.run import Run
    from kerasgan.scans.contract import Direction

RUNS = Path("runs")


def train(
    dataset: str | None = None,
    *,
    data_dir: str | Path | None = None,
    recipe: str | None = None,
    out: str | Path | None = None,
    quick: bool = False,
    resume: bool = False,
    seed: int | None = None,
    overrides: Iterable[str] = (),
    strict: bool = False,
) -> Run:
    """Trains a recipe on a dataset, or continues a run.

    Args:
        dataset: Name of a dataset, such as `"adni"`, or path of a `.py` file that defines one. May be left out when
            `resume` is given.
        data_dir: Its data; None: where the dataset's card says.
        recipe: Name of a recipe, or path of a `.py` file that defines one; None: `"kerasgan2026"`, or the run's own.
        out: The run directory; None: a new one under `runs/`, or with `resume` the newest there that fits.
        quick: Scale the recipe down to minutes on two cores; everything the run writes is marked as quick.
        resume: Continue from the last checkpoint.
        seed: Of everything random; None: 0, or the run's own.
        overrides: `path=value` assignments to fields of the recipe, such as `"schedule.steps=5000"`.
        strict: Refuse scans that need repair (uneven gaps, gantry tilt, damaged files) instead of repairing them.

    Returns:
        The run, trained to the recipe's last step.

    Raises:
        KerasganError: For bad input, with its remedy.

    Example:
        run = kerasgan.train("phantom", quick=True, overrides=["schedule.steps=500"])
        run.path  # -> runs/phantom-kerasgan2026-quick-20250101-120000
    """
    folder = None if data_dir is None else Path(data_dir)
    request = Request(dataset, folder, recipe, quick, tuple(overrides), seed, strict)
    place = choose_out(request, None if out is None else Path(out), resume)
    check(request, place, resume)
    return train_request(request, place, resume)


def train_request(request: Request, out: Path, resume: bool) -> Run:
    """Trains what `check` has accepted; of a student, measures it beside its teacher at the end.

    Args:
        request: Dataset and recipe.
        out: The run directory.
        resume: Continue the run in `out`.
    """
    from kerasgan.training import train as training  # loads TensorFlow

    run = training.train(request, out, resume)
    if run.recipe.distillation:
        from kerasgan import distillation

        distillation.write_report(run, request.data_dir)
    return run


def distill(
    run: str | Path,
    student: str = "small",
    *,
    direction: Direction = "ab",
    out: str | Path | None = None,
    steps: int | None = None,
    data_dir: str | Path | None = None,
) -> Run:
    """Trains a small generator to do what a run's large one does, and compares both in `distillation.json`.

    Args:
        run: The teacher's run directory.
        student: `"small"`, at most 1/20 of the teacher's multiply-accumulates and 1/30 of its parameters, or `"tiny"`,
            1/60 and 1/80.
        direction: Which of the run's generators; the other one is taken over as it is.
        out: The student's run directory; None: `<run>-<student>`.
        steps: Length of the training; None: as the teacher's.
        data_dir: The run's dataset; None: where it lay in training.

    Returns:
        The student's run, which can be translated with, evaluated and exported. An interrupted one is continued with
        `train(out=..., resume=True)`.

    Raises:
        KerasganError: For bad input, with its remedy.

    Reference:
        Li et al. 2020, https://arxiv.org/abs/2003.08936.
    """
    place = student_out(run, student, out)

    from kerasgan import distillation
    from kerasgan.runs.run import load_run
    from kerasgan.training import train as training

    teacher = load_run(run)
    facts = teacher.facts
    request = Request(facts.dataset, Path(data_dir or facts.data_dir), seed=facts.seed)
    trained = training.train_recipe(distillation.student_recipe(teacher, student, direction, steps), request, place)
    distillation.write_report(trained, request.data_dir)
    return trained


def student_out(run: str | Path, student: str, out: str | Path | None) -> Path:
    """The run directory of a student: the one given, or a name beside its teacher's.

    Raises:
        RunError: Where the teacher is no run, or the directory is taken.
    """
    from kerasgan.runs.run import load_run, require_free

    teacher = load_run(run).path
    place = teacher.with_name(f"{teacher.resolve().name}-{student}") if out is None else Path(out)
    require_free(place)
    return place


def choose_out(request: Request, out: Path | None, resume: bool) -> Path:
    """The run directory of a request: the one given, the newest that fits, or a new name under `runs/`.

    Raises:
        KerasganError: Where a new run has no dataset, or there is no run to resume.
    """
    if out is not None:
        return out
    return newest_run(request) if resume else new_run_name(request)


def new_run_name(request: Request) -> Path:
    """`runs/<dataset>-<recipe>[-quick]-<date>-<time>`, in local time."""
    parts = [_stem(request.dataset or ""), _stem(request.recipe or DEFAULT_RECIPE), "quick" if request.quick else ""]
    return RUNS / "-".join(filter(None, [*parts, time.strftime("%Y%m%d-%H%M%S")]))


def newest_run(request: Request, runs: Path = RUNS) -> Path:
    """The run directory that was begun last and agrees with what the request says.

    Raises:
        RunError: Where there is none.
    """
    begun = sorted(runs.glob("*/run.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in begun:
        if _fits(request, path.parent):
            return path.parent
    wanted = [request.dataset or "any dataset", request.recipe, "quick" if request.quick else ""]
    raise RunError(
        f"{runs} holds no run of {' '.join(filter(None, wanted))} to resume; "
        "name the run directory with --out, or leave --resume out."
    )


def check(request: Request, out: Path, resume: bool) -> None:
    """Finds in a moment what would otherwise stop the training after TensorFlow has loaded.

    Raises:
        KerasganError: For a run to resume that is none, an unknown dataset, recipe, field or value, a data folder
            that is missing or empty, or a run directory that is taken.
    """
    request.build_recipe()
    if resume:
        from kerasgan.runs.run import load_run

        load_run(out)  # has its own dataset
        return
    if request.dataset is None:
        raise KerasganError(
            f"A training needs --dataset: {', '.join(registry.names('datasets'))}, or a path to a .py file."
        )
    module = registry.find("datasets", request.dataset)
    root = Path(request.data_dir or module.CARD.default_dir)
    is_absent = not root.is_dir() or not any(root.iterdir())
    if is_absent and not hasattr(module, "prepare"):
        from kerasgan import datasets

        raise datasets.no_data(module.CARD, root)
    from kerasgan.runs.run import require_free

    require_free(out)


def _fits(request: Request, path: Path) -> bool:
    from kerasgan.runs.run import load_run

    try:
        run = load_run(path)
    except (KerasganError, OSError):
        return False
    same_dataset = request.dataset in (None, run.facts.dataset)
    return same_dataset and request.recipe in (None, run.recipe.name) and request.quick <= run.quick


def _stem(name: str) -> str:
    return Path(name).stem if name.endswith(".py") else name
