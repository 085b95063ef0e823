"""The tasks that train a segmentation network on labelled scans and score it on others.

Reference:
    Hiasa et al. 2018, https://arxiv.org/abs/1803.06629, Sec. 3.2 and 4
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasgan.config import Component
from kerasgan.datasets import DatasetCard, Scan
from kerasgan.errors import DatasetError
from kerasgan.experiments.engine.scorer import labelled, read_labelled, require_labels, score_labels
from kerasgan.experiments.engine.tasks import RecipeTask
from kerasgan.experiments.engine.types import UNFINISHED, Content, Context, Task
from kerasgan.pictures.overlay import Overlay
from kerasgan.scans.preparation import Preparation, preparation
from kerasgan.scans.slices import first_channel, predict_slices
from kerasgan.training.cache import build
from kerasgan.training.slices import LabelledStore, TranslatedSlices, WithSynthetic

if TYPE_CHECKING:
    import keras

SLICES_AT_ONCE = 8
SYNTHETIC = "synthetic.npy"


class Network(Task):
    """A segmentation network and its schedule, see `kerasgan.training.segmentation.Settings`.

    Attributes:
        structures: What to segment, as far as the dataset's card names it; empty: all that it names.
        network: The segmenter.
        steps: Training steps.
        learning_rate: Learning rate of the first half of the steps.
        batch_size: Slices in a step; as many synthetic ones beside them, where there are any.
    """

    structures: tuple[str, ...]
    network: Component = Component(name="unet")
    steps: int = 2000
    learning_rate: float = 1e-3
    batch_size: int = 8

    def chosen(self, card: DatasetCard) -> tuple[str, ...]:
        """The structures that are labelled in both domains: those wanted, or all if none of them is."""
        common = tuple(name for name, where in card.structures.items() if len(where) == 2)
        return tuple(name for name in self.structures if name in common) or common

    def train(self, slices: Any, classes: int, seed: int, folder: Path, **more: Any) -> keras.Model:
        """Trains the network, see `kerasgan.training.segmentation.train`; the cell's folder keeps how far it is."""
        from kerasgan.training.segmentation import Settings, train

        settings = Settings(
            network=self.network, steps=self.steps, learning_rate=self.learning_rate, batch_size=self.batch_size
        )
        return train(slices, classes, settings, seed, folder / UNFINISHED, **more)


class TwoChannelSegmentation(Network):
    """A segmentation of domain a by a network that learns from labelled scans of domain b and their translations.

    The network sees a b image and an a image, in training (b, synthetic a), in the test (synthetic b, a): so it needs
    no label of domain a. Sec. 3.2 of the paper.

    Attributes:
        seed: Seed of the network.
    """

    seed: int = 0

    def check(self, context: Context) -> None:
        """Checks that training scans of b and test scans of a have labels."""
        require_labels(context.split.train.b, "training scans of domain b")
        require_labels(context.split.test.a, "test scans of domain a")

    def run(self, context: Context, needs: Sequence[Path], folder: Path) -> Content:
        """Trains, scores every labelled test patient, and draws the one whose Dice is the median."""
        from kerasgan.runs.contract import contract
        from kerasgan.runs.run import load_run
        from kerasgan.training.segmentation import segment_prepared

        run, names = load_run(needs[0]), self.chosen(context.card)
        settings = run.facts.preparation
        scans = build(labelled(context.split.train.b), settings, context.cells / ".cache")
        store = LabelledStore(scans, context.card.classes("b", names))
        slices = WithSynthetic(TranslatedSlices(store, run.generator("ba"), folder / UNFINISHED / SYNTHETIC))
        network = self.train(slices, len(names) + 1, self.seed, folder)
        classes, generator = context.card.classes("a", names), run.generator("ab")
        described = contract(run, "ab", (None, None, None), "float32")

        def segment(scan: Scan) -> Overlay:
            prepared, truth = read_labelled(scan, settings, classes)
            synthetic = predict_slices(generator.predict_on_batch, prepared.slices, SLICES_AT_ONCE)
            found = segment_prepared(network, prepared, np.concatenate([synthetic, prepared.slices], axis=-1))
            slices = run.map("b").inverse(first_channel(synthetic))
            values = prepared.grid.to_source(slices, described.target.window[0], described.way_back.enlarging)
            shown = prepared.finished(values, described.target, described.way_back)
            return Overlay(prepared.axial, shown, truth, found, names, described.target.window)

        return score_labels(labelled(context.split.test.a), names, segment, folder / "overlay.png")


class OneChannelSegmentation(RecipeTask, Network):
    """A segmentation of domain b alone, of slices prepared as the recipe says; its generators play no part."""

    def preparation(self, card: DatasetCard) -> Preparation:
        """The settings by which scans become slices."""
        return preparation(self.built(), card.anatomy, card.ct_window_hu, card.field_of_view_mm)

    def store(self, context: Context, scans: Sequence[Scan]) -> LabelledStore:
        """Builds the slices of labelled scans of one domain."""
        classes = context.card.classes(scans[0].domain, self.chosen(context.card))
        return LabelledStore(build(scans, self.preparation(context.card), context.cells / ".cache"), classes)

    def score(
        self,
        context: Context,
        slices: Any,
        scans: Sequence[Scan],
        folder: Path,
        picture: Path | None = None,
        **more: Any,
    ) -> Content:
        """Trains a network on slices, see `train`, and scores it on labelled scans of domain b, see `score_labels`."""
        from kerasgan.training.segmentation import segment_prepared

        names, settings = self.chosen(context.card), self.preparation(context.card)
        network = self.train(slices, len(names) + 1, self.seed, folder, **more)
        classes = context.card.classes("b", names)

        def segment(scan: Scan) -> Overlay:
            prepared, truth = read_labelled(scan, settings, classes)
            found = segment_prepared(network, prepared, prepared.slices)
            return Overlay(prepared.axial, None, truth, found, names)

        return score_labels(scans, names, segment, picture)


class FoldOfCrossValidation(OneChannelSegmentation):
    """A fold of a cross-validation in domain b: trained without the fold's patients, and scored on them.

    Attributes:
        fold: Number of the fold, from 0.
        folds: Number of folds.
    """

    fold: int
    folds: int = 5

    def check(self, context: Context) -> None:
        """Checks that each fold has a labelled training patient of domain b."""
        require_labels(context.split.train.b, "training scans of domain b")
        count = len(_patients(context))
        if count < self.folds:
            raise DatasetError(
                f"{self.folds}-fold cross-validation needs as many patients with labelled training scans of domain b; "
                f"found {count}. Label more scans."
            )

    def run(self, context: Context, needs: Sequence[Path], folder: Path) -> Content:
        """Trains, and scores the patients of the fold."""
        scans, patients = labelled(context.split.train.b), _patients(context)[self.fold :: self.folds]
        others = [scan for scan in scans if scan.patient not in patients]
        held_out = [scan for scan in scans if scan.patient in patients]
        return self.score(context, self.store(context, others), held_out, folder)


def _patients(context: Context) -> list[str]:
    """The keys of the patients with labelled training scans of domain b, in order."""
    return sorted({scan.patient for scan in labelled(context.split.train.b)})
