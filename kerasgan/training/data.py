"""The prepared slices of a dataset: those for training, and those by which a run is watched and scored."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import numpy as np

from kerasgan import datasets
from kerasgan.config import Recipe
from kerasgan.datasets import DatasetCard, Split
from kerasgan.errors import DatasetError
from kerasgan.runs.run import Run
from kerasgan.scans.preparation import Preparation, preparation
from kerasgan.training import cache as slice_cache
from kerasgan.training.cache import CachedScan
from kerasgan.training.choice import Pairs, Sample
from kerasgan.training.request import Request

PREVIEW_SLICES = 4
VALIDATION_SLICES = 64

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Data:
    """A dataset's split by patient and the prepared scans of its training and validation parts.

    Attributes:
        card: The dataset's card.
        split: Its patients by part.
        settings: How its scans were prepared.
        train: Training scans of domain a and b.
        pairs: Validation scans of both domains on one grid.
        unpaired: Validation scans of domain a and b of a dataset without pairs.
        classes: uint8 `[256]`, the class of each label value of domain a, where the recipe asks for labels.
        truths: The true scans of b of the training patients of a, where the recipe learns from these pairs.
    """

    card: DatasetCard
    split: Split
    settings: Preparation
    train: tuple[list[CachedScan], list[CachedScan]]
    pairs: list[tuple[CachedScan, CachedScan]]
    unpaired: tuple[list[CachedScan], list[CachedScan]]
    classes: np.ndarray | None = None
    truths: tuple[CachedScan, ...] = ()

    @property
    def fingerprint(self) -> str:
        """Digest of all prepared scans, see `cache.fingerprint`."""
        scans = chain(*self.train, *self.pairs, *self.unpaired, self.truths)
        return slice_cache.fingerprint(list(scans))

    def previews(self) -> tuple[np.ndarray, np.ndarray]:
        """A few slices to look at, as many of each domain, those with most body of their scans.

        Returns:
            Slices of domain a and of domain b, float32 `[slices, size, size, channels]` in [-1, 1].
        """
        found = []
        count = min(PREVIEW_SLICES, *map(len, self.train))
        for scans in self.train:
            chosen = scans[:: len(scans) // count][:count]
            rows = [int(np.argmax(scan.mask.sum(axis=(1, 2)))) for scan in chosen]
            found.append(np.stack([scan.slices([row])[0] for scan, row in zip(chosen, rows, strict=True)]))
        return found[0], found[1]

    def samples(self) -> tuple[Sample, Sample]:
        """Slices of domain a and of domain b to score without truth, those of validation patients, evenly chosen.

        Two pairs or more are divided between the domains, so that their score has the same meaning as that of a dataset
        without pairs. Training slices stand in for a domain without validation patients.
        """
        held_out = self.unpaired
        if self.pairs:
            held_out = [a for a, _ in self.pairs[::2]], [b for _, b in self.pairs[1::2] or self.pairs]
        found = []
        for scans in (held_out[0] or self.train[0], held_out[1] or self.train[1]):
            chosen = _thinned([(scan, row) for scan in scans for row in range(len(scan.positions))])
            images = np.concatenate([scan.slices([row]) for scan, row in chosen])
            found.append(Sample(images, np.stack([scan.mask[row] for scan, row in chosen])))
        return found[0], found[1]

    def paired_slices(self) -> Pairs | None:
        """Slices that both scans of validation pairs have, evenly chosen; None without pairs."""
        found = []
        for a, b in self.pairs:
            rows_b = {position: row for row, position in enumerate(b.positions)}
            found += [(a, row, b, rows_b[position]) for row, position in enumerate(a.positions) if position in rows_b]
        if not found:
            return None
        chosen = _thinned(found)
        slices_a = np.concatenate([a.slices([row]) for a, row, _, _ in chosen])
        slices_b = np.concatenate([b.slices([row]) for _, _, b, row in chosen])
        return Pairs(slices_a, slices_b, np.stack([a.mask[row] for a, row, _, _ in chosen]))


def prepare_data(request: Request, recipe: Recipe, cache: Path) -> Data:
    """Splits a dataset by patient and prepares its training and validation scans.

    Args:
        request: The dataset, its folder and the seed.
        recipe: How scans are prepared, and how many patients are trained on.
        cache: The folder of prepared slices.

    Raises:
        DatasetError: For missing data, an empty domain, missing labels that the recipe needs, or a validation patient
            whose two scans are on different grids; for channels and one window for all MR.
    """
    card, split = split_patients(request, recipe)
    classes = None
    if recipe.segmentation:
        classes = datasets.labelled_classes(card, split.train.a, recipe.segmentation.structures)
    settings = preparation(recipe, card.anatomy, card.ct_window_hu, card.field_of_view_mm)
    if card.channels and settings.mr_window:
        raise DatasetError(
            f"intensity.mr_window is one window for all MR, and channels {', '.join(card.channels)} need one each. Use "
            "--set intensity.mr_window=null, for percentiles of each scan."
        )
    logger.info("Intensity windows come from the %s: CT %s HU.", settings.windows_from, settings.ct_window_hu)
    pairs = split.validation.pairs() if card.paired else []
    unpaired = ((), ()) if pairs else (split.validation.a, split.validation.b)
    parts = [split.train.a, split.train.b, list(chain(*pairs)), *unpaired]
    cached = iter(slice_cache.build(list(chain(*parts)), settings, cache, request.strict))
    train_a, train_b, paired, unpaired_a, unpaired_b = (list(islice(cached, len(part))) for part in parts)
    cached_pairs = list(zip(paired[::2], paired[1::2], strict=True))
    for (scan, _), (a, b) in zip(pairs, cached_pairs, strict=True):
        a.grid.require(b.grid, scan.patient)  # or the error would compare one place with another
    return Data(card, split, settings, (train_a, train_b), cached_pairs, (unpaired_a, unpaired_b), classes)


def split_patients(request: Request, recipe: Recipe) -> tuple[DatasetCard, Split]:
    """A dataset's card and its patients by part, with as many in training as the recipe asks for.

    Raises:
        DatasetError: For missing data or too few patients.
    """
    settings, seed = recipe.data, request.seed or 0
    split_seed = seed if settings.split_seed is None else settings.split_seed
    card, split = datasets.load(
        request.dataset or "",
        request.data_dir,
        split_seed,
        request.modalities,
        request.secret,
        settings.planes,
        request.halved,
        request.fold,
        request.index,
    )
    return card, datasets.fewer_training_patients(split, settings.training_patients, seed)


def data_of_run(run: Run, data_dir: Path | None = None) -> Data:
    """The data that a run was trained on, from its cache where that is still there.

    Args:
        run: The run.
        data_dir: The folder of its dataset; None: where it was in training.
    """
    data = prepare_data(Request.of(run, data_dir), run.recipe, run.path.parent / ".cache")
    run.require_channels(data.card.channels)
    return data


def _thinned(slices: Sequence) -> Sequence:
    """Evenly chosen slices, `VALIDATION_SLICES` at most."""
    return slices[:: -(-len(slices) // VALIDATION_SLICES)]
