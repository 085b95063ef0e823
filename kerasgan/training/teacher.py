"""What a student takes over from its teacher's run before it is trained."""

from __future__ import annotations

from kerasgan.config import Distillation
from kerasgan.errors import RunError
from kerasgan.models.distiller import Distiller
from kerasgan.runs import checkpoints
from kerasgan.runs.run import load_run
from kerasgan.scans.contract import DIRECTIONS


def require_same_patients(settings: Distillation, split: dict[str, dict[str, list[str]]]) -> None:
    """Makes sure that no patient whom the teacher was trained on validates its student, or the other way round.

    Raises:
        RunError: Where the data is divided otherwise than the teacher's was.
    """
    if load_run(settings.teacher).split() != split:
        raise RunError(
            f"The data is not divided into the patients that {settings.teacher} was trained, validated and tested "
            "with; a student needs the same. Restore the data, or name its folder with --data-dir."
        )


def load_teacher(model: Distiller, settings: Distillation) -> None:
    """Gives a new distiller the teacher's generators and its discriminator.

    Raises:
        RunError: Where the teacher's run is gone, is not trained or has no checkpoint.
    """
    run, other = load_run(settings.teacher), next(one for one in DIRECTIONS if one != settings.direction)
    model.teacher.set_weights(run.generator(settings.direction).get_weights())
    model.other.set_weights(run.generator(other).get_weights())
    judges = {f"discriminator_{domain}": network for domain, network in model.discriminators.items()}
    if not checkpoints.restore_networks(judges, run.path / "checkpoints"):
        raise RunError(
            f"{run.path} has no checkpoint, which holds the discriminator that its student needs; restore its folder "
            "checkpoints, or train again."
        )
