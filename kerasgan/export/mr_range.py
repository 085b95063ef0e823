"""The intensity range of an MR volume as TensorFlow operations, near its percentiles over the body."""

from __future__ import annotations

import tensorflow as tf

from kerasgan.scans.intensity import AIR_AT_BORDER, AIR_NOISE, AIR_SHARE, NOISY_AIR_SHARE

BINS = 2**16  # finer than the steps of any scanner
OTSU_BINS = 128
BODY_FRACTION = 0.35  # of Otsu's threshold, as in kerasgan.scans.intensity.body_mask
RING = (3, 7)  # sides of the squares between whose dilations of the dark part the skin lies, as there
CONSTANT = "No intensity range can be found in a constant image; give slices with anatomy, or the window. Got:"


def volume_window(image: tf.Tensor, percentiles: tuple[float, float]) -> tf.Tensor:
    """Finds percentiles over the body of a volume, to 1/65,536 of the range of its values; of each channel by itself.

    The body is found by its outline alone: no largest region, no closing of gaps, no bias correction. An MR without air
    around the body is body as a whole, by the rule of `kerasgan.scans.intensity.body_mask`.

    Args:
        image: Finite float32 `[slices, height, width, channels]`, the slices of one scan; the body is that of the first
            channel.
        percentiles: Lower and upper one, in [0, 100].

    Returns:
        float32 `[2]`, `low` and `high`; for several channels `[channels, 2]`.

    Raises:
        tf.errors.InvalidArgumentError: For a constant image.

    Example:
        >>> image = tf.pad(tf.reshape(tf.range(100.0, 200.0), [1, 10, 10, 1]), [[0, 0], [5, 5], [5, 5], [0, 0]])
        >>> volume_window(image, (0.0, 100.0)).numpy().round()
        array([100., 199.], dtype=float32)
    """
    first, *others = tf.split(image, image.shape[-1], axis=-1) if image.shape[-1] > 1 else [image]
    ends = _ends(first)
    body = _body(first, ends)
    windows = [
        _window(first, body, ends, percentiles),
        *(_window(one, body, _ends(one), percentiles) for one in others),
    ]
    return tf.stack(windows) if others else windows[0]


def _ends(image: tf.Tensor) -> tf.Tensor:
    """The lowest and the highest value of an image that is not constant, float32 `[2]`."""
    low, high = tf.reduce_min(image), tf.reduce_max(image)
    with tf.control_dependencies([tf.debugging.Assert(low < high, [CONSTANT, low])]):
        return tf.stack([low, high])


def _body(image: tf.Tensor, ends: tf.Tensor) -> tf.Tensor:
    """The body in an image, bool of its shape; the whole image where it has no air around it."""
    # Between background and tissue: 0.35 of the way from the darkest per cent to Otsu's threshold. A few very bright
    # voxels would leave the histogram one bin for everything else.
    dark, bright = tf.unstack(_percentiles(image, ends, (1.0, 99.9)))
    limit = tf.where(bright > ends[0], bright, ends[1])
    otsu = otsu_threshold(tf.minimum(image, limit), tf.stack([ends[0], limit]))
    body = body_estimate(image, dark + BODY_FRACTION * (otsu - dark))
    return body | ~(tf.reduce_any(body) & has_air(image, body, ends))


def _window(image: tf.Tensor, body: tf.Tensor, ends: tf.Tensor, percentiles: tuple[float, float]) -> tf.Tensor:
    """Percentiles over the body of an image, float32 `[2]`."""
    window = _percentiles(tf.boolean_mask(image, body), ends, percentiles)
    with tf.control_dependencies([tf.debugging.Assert(window[0] < window[1], [CONSTANT, window[0]])]):
        return tf.identity(window)


def body_estimate(image: tf.Tensor, threshold: tf.Tensor) -> tf.Tensor:
    """Marks pixels that have brighter ones above, below, left and right; single bright pixels do not count.

    Cavities inside the body so belong to it.

    Args:
        image: `[slices, height, width, 1]`.
        threshold: A value between background noise and dark tissue.

    Returns:
        bool, same shape.
    """
    bright = tf.cast(image > threshold, tf.float32)
    eroded = -tf.nn.max_pool2d(-bright, 3, 1, "SAME")
    opened = tf.nn.max_pool2d(eroded, 3, 1, "SAME")
    sides = [tf.cumsum(opened, axis, reverse=reverse) > 0 for axis in (1, 2) for reverse in (False, True)]
    return tf.reduce_all(tf.stack(sides), axis=0)


def has_air(image: tf.Tensor, body: tf.Tensor, ends: tf.Tensor) -> tf.Tensor:
    """Tells air around the body from tissue that is dark because it is far from the coil.

    Args:
        image: float32 `[slices, height, width, 1]`.
        body: bool, same shape, from `body_estimate`.
        ends: float32 `[2]`, the lowest and the highest value.

    Returns:
        bool, a scalar; False for a body that fills its slices.
    """
    dark = ~body
    sides = [tf.reshape(side, [-1]) for side in (dark[:, 0], dark[:, -1], dark[:, :, 0], dark[:, :, -1])]
    border = tf.reduce_mean(tf.cast(tf.concat(sides, 0), tf.float32))
    at, near = (tf.nn.max_pool2d(tf.cast(dark, tf.float32), side, 1, "SAME") > 0 for side in RING)
    skin = near & ~at  # the second and third pixel of what is bright; the first is half air
    skin = tf.where(tf.reduce_any(skin), skin, body)
    zero = tf.minimum(0.0, _percentiles(image, ends, (1.0,))[0])  # scans of mean 0 have air far below it
    air, bright = (_percentiles(tf.boolean_mask(image, part), ends, (50.0,))[0] - zero for part in (dark, skin))
    share = air / tf.maximum(bright, 1e-9)
    steps = tf.abs(image[:, :, 1:] - image[:, :, :-1])[dark[:, :, 1:] & dark[:, :, :-1]]
    noise = _percentiles(steps, tf.stack([0.0, ends[1] - ends[0]]), (50.0,))[0]
    is_noisy = (share <= NOISY_AIR_SHARE) & (noise >= AIR_NOISE * air)
    return (border >= AIR_AT_BORDER) & ((share <= AIR_SHARE) | is_noisy)


def otsu_threshold(image: tf.Tensor, ends: tf.Tensor) -> tf.Tensor:
    """Finds the threshold with the largest variance between the two classes.

    Args:
        image: float32 of any shape.
        ends: float32 `[2]`, the lowest and the highest value.

    Returns:
        float32, a scalar.

    Reference:
        Otsu 1979, https://doi.org/10.1109/TSMC.1979.4310076, Eq. 18

    Example:
        >>> otsu_threshold(tf.constant([0.0, 1.0, 127.0, 128.0]), tf.constant([0.0, 128.0])).numpy()
        np.float32(2.0)
    """
    counts = tf.cast(tf.histogram_fixed_width(image, ends, OTSU_BINS), tf.float64)
    share = counts / tf.reduce_sum(counts)
    levels = tf.range(OTSU_BINS, dtype=tf.float64)
    below, moment = tf.cumsum(share), tf.cumsum(share * levels)
    between = tf.math.divide_no_nan((moment[-1] * below - moment) ** 2, below * (1 - below))
    bins = tf.cast(tf.argmax(between) + 1, tf.float32)  # the threshold is the upper end of the bin
    return ends[0] + bins * (ends[1] - ends[0]) / OTSU_BINS


def _percentiles(values: tf.Tensor, ends: tf.Tensor, percentiles: tuple[float, ...]) -> tf.Tensor:
    """Percentiles by a histogram between two ends: middles of its bins, whatever the number of values."""
    counts = tf.cumsum(tf.cast(tf.histogram_fixed_width(values, ends, BINS), tf.float64))
    wanted = tf.constant(percentiles, tf.float64) / 100 * counts[-1]
    bins = tf.cast(tf.minimum(tf.searchsorted(counts, wanted, side="right"), BINS - 1), tf.float32)
    return ends[0] + (bins + 0.5) * (ends[1] - ends[0]) / BINS
