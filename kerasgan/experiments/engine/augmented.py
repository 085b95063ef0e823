"""The tasks that train a segmentation network on real and synthetic scans together, and draw the synthetic ones.

Reference:
    Rafiq et al. 2025, https://arxiv.org/abs/2503.00945, abstract
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import Field

from kerasgan.datasets import Scan
from kerasgan.errors import DatasetError
from kerasgan.experiments.engine.scorer import labelled, require_labels
from kerasgan.experiments.engine.segmentation import SYNTHETIC, OneChannelSegmentation
from kerasgan.experiments.engine.types import UNFINISHED, Content, Context, Task
from kerasgan.pictures.overlay import Outlined, outline_figure
from kerasgan.scans.preparation import Preparation, prepare
from kerasgan.scans.slices import first_channel, predict_slices
from kerasgan.training.slices import TranslatedSlices

PATIENTS = 4  # in a picture, at most


class AugmentedSegmentation(OneChannelSegmentation):
    """A segmentation of domain b by a network that learns from labelled scans of b, alone or with synthetic ones.

    The synthetic scans are the labelled training scans of domain a, translated by the generator of a training cell,
    with the labels of their sources. A step then has as many synthetic slices beside the real ones, which come in the
    same order and as often as without them. The weights are those with the highest IoU on the validation patients.

    Attributes:
        real_scans: How many labelled training scans of b, drawn by the seed; None: all.
        synthetic: Whether synthetic scans are added; the cell then depends on the cell that trained the generator.
        patience: Steps without a higher IoU after which the training ends.
    """

    real_scans: int | None = None
    synthetic: bool = False
    patience: int = Field(ge=1)

    def check(self, context: Context) -> None:
        """Checks that there are labels to learn from and to score against."""
        super().check(context)
        if set(self.structures) - set(self.chosen(context.card)):
            raise DatasetError(
                f"The experiment needs {' and '.join(self.structures)}, labelled in both domains; the card of "
                f"{context.dataset} has {', '.join(self.chosen(context.card)) or 'no such structure'}. Choose a "
                "dataset that has it, or name it in the card of your own (kerasgan datasets NAME)."
            )
        require_labels(context.split.train.b, "training scans of domain b", self.real_scans or 1)
        require_labels(context.split.validation.b, "validation scans of domain b")
        require_labels(context.split.test.b, "test scans of domain b")
        if self.synthetic:  # the training segments all of them
            scans = context.split.train.a
            require_labels(scans, "training scans of domain a", len(scans))

    def run(self, context: Context, needs: Sequence[Path], folder: Path) -> Content:
        """Trains, scores every labelled test patient, and draws the one whose Dice is the median."""
        from kerasgan.runs.run import load_run
        from kerasgan.training.segmentation import Validation

        slices = self.store(context, self.drawn(labelled(context.split.train.b)))
        validation = Validation(self.store(context, labelled(context.split.validation.b)), self.patience)
        added = None
        if self.synthetic:
            source, kept = self.store(context, labelled(context.split.train.a)), folder / UNFINISHED / SYNTHETIC
            added = TranslatedSlices(source, load_run(needs[0]).generator("ab"), kept)
        scans, picture = labelled(context.split.test.b), folder / "overlay.png"
        found = self.score(context, slices, scans, folder, picture, added=added, validation=validation)
        counts = {"real_slices": len(slices), "synthetic_slices": len(added) if added else 0}
        return found | counts | {"step": int(validation.step), "validation_iou": float(validation.iou)}

    def drawn(self, scans: list[Scan]) -> list[Scan]:
        """Draws as many scans as the task asks for; with one seed, fewer are a part of more."""
        order = np.random.default_rng(self.seed).permutation(len(scans))
        return scans if self.real_scans is None else [scans[index] for index in order[: self.real_scans]]


class CarriedLabels(Task):
    """A picture of scans of domain a and their synthetic counterparts, both with the outlines of the same labels.

    Shows whether a label still fits after the translation: of test patients where some have labels, else of training
    patients.

    Attributes:
        structures: What to outline.
    """

    structures: tuple[str, ...]

    def run(self, context: Context, needs: Sequence[Path], folder: Path) -> Content:
        """Translates and draws the slice with most of the structures of each patient."""
        from kerasgan.runs.run import load_run

        run = load_run(needs[0])
        classes, generator = context.card.classes("a", self.structures), run.generator("ab")
        scans = (labelled(context.split.test.a) or labelled(context.split.train.a))[:PATIENTS]
        rows = []
        for scan in scans:
            image, shown = _largest_section(scan, classes, run.facts.preparation)
            synthetic = predict_slices(generator.predict_on_batch, image[None])[0]
            rows.append(Outlined(first_channel(image), first_channel(synthetic), shown))
        outline_figure(rows, context.card.modalities, folder / "outlines.png", note="quick run" if run.quick else "")
        return {"patients": [scan.patient for scan in scans]}


def _largest_section(scan: Scan, classes: np.ndarray, settings: Preparation) -> tuple[np.ndarray, np.ndarray]:
    """The slice with most of the structures, float32 `[size, size, channels]` in [-1, 1], and its classes."""
    volume = scan.load()
    prepared = prepare(volume, settings, crop=True, labels=scan.load_labels(like=volume))
    assert prepared.labels is not None  # only labelled scans get here
    shown = classes[prepared.labels]
    index = int((shown > 0).sum(axis=(1, 2)).argmax())
    return prepared.slices[index], shown[index]
