"""What a training would need, found out in a few steps on made-up slices, which leave nothing behind."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

import numpy as np
import tensorflow as tf

from kerasgan.config import AXIAL_ONLY, Recipe
from kerasgan.datasets import DatasetCard, Part, Scan, Split
from kerasgan.networks.keras_settings import keras_defaults
from kerasgan.runs.device import resolve_precision, steady_graphs
from kerasgan.training.callbacks import Progress
from kerasgan.training.needs import MEASURED, FirstSteps, Needs, disk_of_run, disk_of_slices, validations
from kerasgan.training.train import build_model


@keras_defaults()
def probe(recipe: Recipe, card: DatasetCard, split: Split | None = None, done: int = 0) -> Needs:
    """Builds the networks of a recipe, trains them for two or three steps, and says what a training would need.

    Args:
        recipe: What would be trained; `check_components` has accepted it.
        card: The dataset's card.
        split: Its patients, whose headers say how many slices there are at most; None where there are no data yet, of
            which nothing counts then.
        done: Steps that the run has behind it.
    """
    split = split or Split(Part(), Part(), Part())
    trained, watched = ([_slices(own, recipe) for own in (part.a, part.b)] for part in (split.train, split.validation))
    recipe = recipe.with_epochs_in_steps(max(trained))
    schedule, channels = recipe.schedule, max(1, len(card.channels))
    batch, size = recipe.data.batch_size, recipe.data.size
    rng = np.random.default_rng(0)
    made_up = [rng.uniform(-1, 1, (batch, size, size, count)).astype(np.float32) for count in (channels, 1)]
    if recipe.segmentation:
        made_up.append(rng.integers(0, 1 + len(recipe.segmentation.structures), (batch, size, size), np.int32))
    if recipe.data.pairs:
        made_up.append(np.repeat(made_up[1], recipe.data.atlases if recipe.data.pairs == "registered" else 1, axis=-1))
    shapes = (size, size, channels), (size, size, 1)
    model = build_model(recipe, shapes[0], resolve_precision(recipe.precision), 0, shapes[1])
    model.compile(jit_compile=model.jit_compile, steps_per_execution=1)  # or a step would be ten, for `--quick`
    batches = tf.data.Dataset.from_tensors(tuple(made_up)).repeat(MEASURED + 1)
    counts = trained[0] + watched[0], trained[1] + watched[1]
    disk = disk_of_run(model, recipe) + disk_of_slices(recipe, counts, trained[0], len(card.channels))
    found: list[Needs] = []

    def tell(needs: Needs) -> None:
        left = validations(done, schedule.steps, schedule.preview_every)
        found.append(replace(needs, steps=schedule.steps - done, validations=left))
        model.stop_training = True

    with closing(Progress("Measuring", 0, MEASURED + 1, {})) as progress, steady_graphs():
        first = FirstSteps(progress, disk, schedule.preview_every, tell)
        model.fit(batches, steps_per_epoch=MEASURED + 1, callbacks=[progress, first], verbose=0, shuffle=False)
    return found[0]


def _slices(scans: Sequence[Scan], recipe: Recipe) -> int:
    """The most slices that scans become, by their headers; of other planes than axial ones, those of a whole cube."""
    if recipe.data.planes == AXIAL_ONLY:
        return sum(scan.axial_slices for scan in scans)
    return len(scans) * len(recipe.data.planes) * recipe.data.size
