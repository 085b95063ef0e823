"""Does a served model give the values of its Keras generators? Every signature is asked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from kerasgan.export.comparison import Artifact, Comparison, Question, compare
from kerasgan.export.graph import Translator
from kerasgan.export.mr_range import volume_window
from kerasgan.export.pixels import decode
from kerasgan.export.requests import request
from kerasgan.export.serving_contract import ServingContract
from kerasgan.export.slices import Sample, Samples
from kerasgan.scans.contract import Contract, Direction
from kerasgan.scans.intensity import IntensityMap
from kerasgan.scans.names import SYNTHETIC, SYNTHETIC_BYTES, WINDOW


def compare_served(
    model: Path,
    samples: Mapping[Direction, Samples],
    translators: Mapping[Direction, Translator],
    described: ServingContract,
) -> dict[Direction, Comparison]:
    """Compares every signature of a SavedModel with the Keras generator that it was made from.

    Where a range is found from the batch, the generator gets the same one: how near it comes to the scan's own is
    another question, which `kerasgan.export.mr_range` is tested for.

    Args:
        model: The SavedModel.
        samples: Real slices by direction, as int16 pixels can hold them.
        translators: By direction.
        described: What the model claims to be.

    Raises:
        ExportError: Where one of them differs.
    """
    loaded = tf.saved_model.load(str(model))
    found: dict[Direction, Comparison] = {}
    for direction, one in described.directions.items():
        artifacts = {name: _artifact(loaded.signatures[name], name, one) for name in one.signatures}
        questions = {name: _question(name, one, translators[direction]) for name in one.signatures}
        found[direction] = compare(artifacts, samples[direction], translators[direction], one, questions)
        found[direction].require()
    return found


def _artifact(signature: Any, name: str, described: Contract) -> Artifact:
    def translate(images: np.ndarray, own: IntensityMap) -> np.ndarray:
        offered = request(images, (own.low, own.high))
        outputs = signature(**{tensor: offered[tensor] for tensor in described.signatures[name].inputs})
        if SYNTHETIC in outputs:
            return np.asarray(outputs[SYNTHETIC])
        assert described.encoding is not None  # a signature with bytes has one
        return decode(outputs[SYNTHETIC_BYTES].numpy(), images.shape[1], images.shape[2], described.encoding)

    return translate


def _question(name: str, described: Contract, translator: Translator) -> Question:
    """The scan as it is, and the map that the generator is given for a signature."""
    percentiles = described.mr_scaling.percentiles if described.mr_scaling else None
    if WINDOW in described.signatures[name].inputs:
        return lambda scan: (scan.images, scan.map)
    if percentiles:
        return lambda scan: (scan.images, _derived(scan, percentiles))
    return lambda scan: (scan.images, translator.source)


def _derived(scan: Sample, percentiles: tuple[float, float]) -> IntensityMap:
    low, high = volume_window(tf.constant(scan.images), percentiles).numpy()
    return IntensityMap(float(low), float(high))
