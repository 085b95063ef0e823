"""The intensity range of an MR volume as TensorFlow operations, near its percentiles over the body."""

from __future__ import annotations

import tensorflow as tf

BINS = 2**16  # finer than the steps of any scanner
OTSU_BINS = 128
BODY_FRACTION = 0.35  # of Otsu's threshold, as in kerasgan.scans.intensity.body_mask
CONSTANT = "No intensity range can be found in a constant image; give slices with anatomy, or the window. Got:"


def volume_window(image: tf.Tensor, percentiles: tuple[float, float]) -> tf.Tensor:
    """Percentiles over the body of a volume, to 1/65,536 of the range of its values.

    The body is found by its outline alone: no largest region, no closing of gaps, no bias correction.

    Args:
        image: Finite float32 `[slices, height, width, 1]`, the slices of one scan.
        percentiles: Lower and upper one, in [0, 100].

    Returns:
        float32 `[2]`, `low` and `high`.

    Raises:
        tf.errors.InvalidArgumentError: For a constant image.
    """
    low, high = tf.reduce_min(image), tf.reduce_max(image)
    with tf.control_dependencies([_assert_rising(low, high)]):
        ends = tf.stack([low, high])
    body = body_estimate(image, _body_threshold(image, ends))
    body = body | ~tf.reduce_any(body)
    window = _percentiles(tf.boolean_mask(image, body), ends, percentiles)
    with tf.control_dependencies([_assert_rising(window[0], window[1])]):
        return tf.identity(window)


def body_estimate(image: tf.Tensor, threshold: tf.Tensor) -> tf.Tensor:
    """What has brighter pixels above, below, left and right of it, single ones left out: cavities belong to the body.

    Args:
        image: `[slices, height, width, 1]`.
        threshold: Between background noise and dark tissue.

    Returns:
        bool, same shape.
    """
    bright = tf.cast(image > threshold, tf.float32)
    eroded = -tf.nn.max_pool2d(-bright, 3, 1, "SAME")
    opened = tf.nn.max_pool2d(eroded, 3, 1, "SAME")
    sides = [tf.cumsum(opened, axis, reverse=reverse) > 0 for axis in (1, 2) for reverse in (False, True)]
    return tf.reduce_all(tf.stack(sides), axis=0)


def _body_threshold(image: tf.Tensor, ends: tf.Tensor) -> tf.Tensor:
    """Between background and tissue: 0.35 of the way from the darkest per cent to Otsu's threshold."""
    dark, bright = tf.unstack(_percentiles(image, ends, (1.0, 99.9)))
    # A few very bright voxels would leave the histogram one bin for everything else.
    limit = tf.where(bright > ends[0], bright, ends[1])
    return dark + BODY_FRACTION * (_otsu(tf.minimum(image, limit), tf.stack([ends[0], limit])) - dark)


def _otsu(image: tf.Tensor, ends: tf.Tensor) -> tf.Tensor:
    """The threshold with the largest variance between the two classes.

    Reference:
        Otsu 1979, https://doi.org/10.1109/TSMC.1979.4310076, Eq. 18
    """
    counts = tf.cast(tf.histogram_fixed_width(image, ends, OTSU_BINS), tf.float64)
    share = counts / tf.reduce_sum(counts)
    levels = tf.range(OTSU_BINS, dtype=tf.float64)
    below, moment = tf.cumsum(share), tf.cumsum(share * levels)
    between = tf.math.divide_no_nan((moment[-1] * below - moment) ** 2, below * (1 - below))
    bins = tf.cast(tf.argmax(between) + 1, tf.float32)  # the threshold is the upper end of the bin
    return ends[0] + bins * (ends[1] - ends[0]) / OTSU_BINS


def _percentiles(values: tf.Tensor, ends: tf.Tensor, percentiles: tuple[float, float]) -> tf.Tensor:
    """Percentiles by a histogram between two ends: middles of its bins, whatever the number of values."""
    counts = tf.cumsum(tf.cast(tf.histogram_fixed_width(values, ends, BINS), tf.float64))
    wanted = tf.constant(percentiles, tf.float64) / 100 * counts[-1]
    bins = tf.cast(tf.minimum(tf.searchsorted(counts, wanted, side="right"), BINS - 1), tf.float32)
    return ends[0] + (bins + 0.5) * (ends[1] - ends[0]) / BINS


def _assert_rising(low: tf.Tensor, high: tf.Tensor) -> tf.Operation:
    return tf.debugging.Assert(low < high, [CONSTANT, low])
