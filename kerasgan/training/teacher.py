"""What a student takes over from its teacher's run before it is trained."""

from __future__ import annotations

from pathlib import Path

from kerasgan.errors import RunError
from kerasgan.models import Distiller
from kerasgan.networks.copies import give_weights
from kerasgan.runs import checkpoints
from kerasgan.runs.run import load_run
from kerasgan.scans.contract import Direction
from kerasgan.training.data import Data


def load_teacher(model: Distiller, teacher: Path, direction: Direction, data: Data) -> None:
    """Gives a new distiller the teacher's generators and, where it has one, its discriminator.

    Args:
        model: The student's model.
        teacher: The teacher's run directory.
        direction: The direction that the student learns.
        data: The student's data; the teacher's channels and patients must be the same, so that no patient whom one of
            both was trained on validates the other.

    Raises:
        RunError: For a teacher that is missing, not trained, has no checkpoint, or was trained on other patients or
            channels.
    """
    run = load_run(teacher)
    run.require_channels(data.card.channels)
    if run.split() != data.split.keys():
        raise RunError(
            f"The data is not divided into the patients that {teacher} was trained, validated and tested "
            "with; a student needs the same. Restore the data, or name its folder with --data-dir."
        )
    for way, network in (model.generators | {direction: model.teacher}).items():
        try:
            give_weights(run.generator(way), network)
        except ValueError as error:
            raise RunError(
                f"{run.generator_path(way)} is not of the recipe in {run.path}: {error} Restore the teacher."
            ) from error
    discriminators = {f"discriminator_{domain}": net.variables for domain, net in model.discriminators.items()}
    if discriminators and not checkpoints.restore(checkpoints.named(discriminators), run.path / "checkpoints"):
        raise RunError(
            f"{run.path} has no checkpoint, which holds the discriminator that its student needs; restore its folder "
            "checkpoints, or train again."
        )
