"""What happens before a training: its run directory is chosen, and what can be refused at once is refused.

Nothing here loads TensorFlow. Runs and datasets, which load SimpleITK and pydicom, are imported where they are used, so
that a misspelt name is reported without a wait.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from kerasgan import registry
from kerasgan.errors import KerasganError, RunError
from kerasgan.files import with_name_of_its_own
from kerasgan.training.request import DEFAULT_RECIPE, Request

if TYPE_CHECKING:
    from kerasgan.runs.run import Run

RUNS = Path("runs")

logger = logging.getLogger(__name__)


def choose_out(request: Request, out: Path | None, resume: bool) -> Path:
    """Returns the run directory of a request: the one given, the newest that fits, or a new name under `runs/`.

    Raises:
        RunError: If no run fits the request that is to be resumed.
        KerasganError: For several processes, which would each choose one, without a run directory.
    """
    if out is not None:
        return out
    if request.workers:
        count = request.workers.count
        raise KerasganError(f"{count} processes that train together need --out (in Python out=), the same for all.")
    return newest_run(request) if resume else new_run_name(request)


def new_run_name(request: Request) -> Path:
    """Returns `runs/<dataset>-<recipe>[-fold-2-of-5][-quick]-<date>-<time>`, in local time."""
    names = [request.dataset or "", request.recipe or DEFAULT_RECIPE]
    stems = [Path(name).stem if name.endswith(".py") else name for name in names]
    fold = f"fold-{request.fold.replace('/', '-of-')}" if request.fold else ""
    kind = [fold, "quick" if request.quick else ""]
    return RUNS / "-".join(filter(None, [*stems, *kind, time.strftime("%Y%m%d-%H%M%S")]))


def newest_run(request: Request, runs: Path = RUNS) -> Path:
    """Returns the run directory that was begun last and agrees with what the request says; tells which in the log.

    Raises:
        RunError: If no run directory agrees.
    """
    from kerasgan.runs.run import load_run

    fitting, recipe = [], request.recipe
    if recipe and recipe.endswith(".py"):
        recipe = registry.find("recipes", recipe).RECIPE.name
    for path in sorted(runs.glob("*/run.json"), key=lambda path: path.stat().st_mtime, reverse=True):
        try:
            run = load_run(path.parent)
        except (KerasganError, OSError):
            continue
        same_dataset = request.dataset in (None, run.facts.dataset) and request.fold in (None, run.facts.fold)
        if same_dataset and recipe in (None, run.recipe.name) and request.quick <= run.quick:
            fitting.append(path.parent)
    if fitting:
        of = f", the newest of {len(fitting)} runs that fit; name another one with --out" if fitting[1:] else ""
        logger.info("Continuing %s%s.", fitting[0], of)
        return fitting[0]
    wanted = [request.dataset or "any dataset", request.recipe, "quick" if request.quick else ""]
    raise RunError(
        f"{runs} holds no run of {' '.join(filter(None, wanted))} to resume; "
        "name the run directory with --out, or leave --resume out."
    )


def check(request: Request, out: Path, resume: bool) -> None:
    """Finds in a moment what would otherwise stop the training after TensorFlow has loaded.

    Raises:
        KerasganError: For a run that cannot be resumed as asked, an unknown dataset, recipe, field or value, a data
            folder that is missing or empty, or a run directory that is not empty.
    """
    if resume:
        from kerasgan.runs.run import load_run

        if request.init:
            raise RunError(
                f"--init is for a new run, and what continues goes on from its checkpoint. Leave --init {request.init} "
                "out, or name a new run directory with --out and leave --resume and --extend out."
            )
        run = load_run(out)
        request.resuming(run)
        request.recipe_of(run)
        run.split()  # which a run that goes on without could never be evaluated by
        return
    request.build_recipe()
    if request.dataset is None:
        raise KerasganError(
            f"--dataset is missing; give one of {', '.join(registry.names('datasets'))}, or the path of a .py file."
        )
    module = registry.find("datasets", request.dataset)
    root = Path(request.data_dir or module.CARD.default_dir)
    is_absent = not root.is_dir() or not any(root.iterdir())
    if root.is_file() or (is_absent and not hasattr(module, "prepare")):
        from kerasgan import datasets

        raise datasets.no_data(module.CARD, root)
    from kerasgan.runs.run import require_free

    require_free(out)
    if request.init:
        run_of_weights(request.init)


def run_of_weights(place: Path) -> Run | None:
    """Returns the run that weights are taken from: the one named, or that of a generator's file; None outside of one.

    Raises:
        RunError: For a place that is neither.
    """
    from kerasgan.runs.run import load_run

    if place.suffix != ".keras":
        return load_run(place)
    if not place.is_file():
        raise RunError(f"There is no {place}; name a run directory, or the .keras file of a generator in one.")
    return load_run(place.parent.parent) if (place.parent.parent / "run.json").is_file() else None


def own_guide(out: Path) -> Path:
    """Returns the directory of the guide that is trained before the run in `out`, where its recipe asks for one.

    Example:
        >>> own_guide(Path("runs/second")).as_posix()
        'runs/second-guide'
    """
    out = with_name_of_its_own(out)
    return out.with_name(f"{out.name}-guide")


def student_out(run: Path, student: str, out: Path | None, trust: bool = False) -> Path:
    """Returns the run directory of a student: the one given, or a name next to its teacher's.

    Raises:
        RunError: If the teacher is not a run or names code that is not trusted, or the directory is not empty.
    """
    from kerasgan.runs.run import load_run, require_free, require_trust

    teacher = load_run(run)
    require_trust(teacher, [teacher.facts.dataset, *teacher.recipe.files], trust)
    place = teacher.path.with_name(f"{teacher.path.resolve().name}-{student}") if out is None else out
    require_free(place)
    return place
