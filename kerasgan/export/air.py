"""What air costs: slices of a fixed size may show more of it than those of the training, and every mean takes it in."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np

from kerasgan.export.comparison import Difference, Maps, difference, full_float32, keras_values, tolerance
from kerasgan.export.graph import PhysicalGenerator
from kerasgan.export.samples import Sample, Samples

logger = logging.getLogger(__name__)


def loss_by_air(samples: Samples, physical: PhysicalGenerator, trained: int) -> Difference | None:
    """Compares what the Keras generator gives for padded slices with what it gives for their middles alone.

    Instance normalisation divides by mean and deviation of the whole slice, so that more air around the body changes
    every voxel of the body. A warning is logged where that costs as much as 8-bit weights may.

    Args:
        samples: Real slices, all of one size.
        physical: The generator and its maps.
        trained: Side in pixels of the squares of the training.

    Returns:
        The differences in the middle, where `truth.keras` is the error without the further air and `truth.artifact`
        that with it; None for slices that are not larger than the squares.
    """
    size = samples.scans[0].images.shape[1:3]
    inner = [min(side, trained) for side in size]
    if list(size) == inner:
        return None
    rows, columns = (slice((side - kept) // 2, (side + kept) // 2) for side, kept in zip(size, inner, strict=True))
    middles = [
        replace(
            scan,
            images=scan.images[:, rows, columns],
            body=scan.body[:, rows, columns],
            truth=None if scan.truth is None else scan.truth[:, rows, columns],
        )
        for scan in samples.scans
    ]
    whole = dict(zip(map(id, middles), samples.scans, strict=True))

    def padded(middle: Sample) -> tuple[np.ndarray, Maps, np.ndarray]:
        values = keras_values(physical.generator, whole[id(middle)].images, middle.maps, physical.target)
        return middle.images, middle.maps, values[:, rows, columns]

    with full_float32():
        found = difference(padded, Samples(samples.part, tuple(middles)), physical, {})
    allowed, width = tolerance("int8", found.truth is not None), physical.target.high - physical.target.low
    value = found.truth.increase_percent if found.truth else found.body_mean
    if not value < allowed.limit_on(width):
        cost = f"its values change by {found.body_mean:.1f} on average inside the body"
        if found.truth:
            cost = (
                f"its error against the paired scans is {found.truth.artifact:.1f} in place of {found.truth.keras:.1f} "
                f"({value:.0f} % more)"
            )
        logger.warning(
            "Slices of %d x %d pixels show more air than the %d x %d of the training, which the normalisation of the "
            "network takes in: %s. Export with --size %d %d (in Python size=) if bodies fit into it, or train on "
            "squares as large, with data.size and data.field_of_view_mm.",
            *(*size, trained, trained, cost, *inner),
        )
    return found
