"""Soft Dice against NumPy and SciPy's softmax."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import softmax

from kerasgan.losses.dice import over_batch, segmentation

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 3, (2, 6, 5))
SCORES = RNG.normal(0, 2, (2, 6, 5, 3)).astype("float32")


def expected(smoothing: float) -> list[float]:
    values = []
    for labels, p in zip(LABELS, softmax(SCORES.astype("float64"), axis=-1), strict=True):
        masks = [labels == index for index in range(3)]
        overlaps = [p[mask, index].sum() for index, mask in enumerate(masks)]
        sizes = [mask.sum() + (p[..., index] ** 2).sum() for index, mask in enumerate(masks)]
        dice = [(2 * o + smoothing) / (s + smoothing) for o, s in zip(overlaps, sizes, strict=True)]
        values.append(1 - np.mean(dice))
    return values


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("smoothing", [1.0, 1e-3])
def test_values_agree_with_numpy(smoothing, compiled):
    run = tf.function(segmentation) if compiled else segmentation
    np.testing.assert_allclose(run(LABELS, SCORES, smoothing=smoothing), expected(smoothing), rtol=1e-5)


def test_one_pixel_of_smoothing_is_the_default():
    np.testing.assert_array_equal(segmentation(LABELS, SCORES), segmentation(LABELS, SCORES, smoothing=1.0))


def test_over_a_batch_without_the_background():
    p = softmax(SCORES.astype("float64"), axis=-1)
    dice = []
    for index in (1, 2):
        mask = index == LABELS
        dice.append((2 * p[mask, index].sum() + 1) / (mask.sum() + (p[..., index] ** 2).sum() + 1))
    assert float(over_batch(LABELS, SCORES)) == pytest.approx(1 - np.mean(dice), rel=1e-5)


def test_a_structure_that_few_images_have_pulls_its_scores_up_harder_than_image_by_image():
    labels = np.zeros((8, 20, 20), int)
    labels[0, 8:12, 8:12] = 1
    scores = tf.zeros((8, 20, 20, 2))
    pulls = []
    for loss in (over_batch, segmentation):
        with tf.GradientTape() as tape:
            tape.watch(scores)
            value = tf.reduce_mean(loss(labels, scores))
        pulls.append(-tape.gradient(value, scores).numpy()[labels == 1, 1].mean())
    assert pulls[0] > 2 * pulls[1] > 0


def test_flat_scores_have_finite_gradients():
    for value in (0.0, 50.0):
        scores = tf.fill((2, 6, 5, 3), value)
        with tf.GradientTape() as tape:
            tape.watch(scores)
            loss = over_batch(np.zeros((2, 6, 5), int), scores)
        assert np.isfinite(loss) and np.isfinite(tape.gradient(loss, scores)).all()


def test_sure_scores_cost_nothing_where_right_and_all_where_wrong():
    sure = 100.0 * tf.one_hot(LABELS, 3)
    np.testing.assert_allclose(segmentation(LABELS, sure), [0, 0], atol=1e-6)
    np.testing.assert_allclose(segmentation((LABELS + 1) % 3, sure, smoothing=1e-6), [1, 1], atol=1e-4)


def test_a_class_that_is_neither_there_nor_predicted_costs_nothing():
    labels = np.zeros((1, 4, 4), int)
    np.testing.assert_allclose(segmentation(labels, 100.0 * tf.one_hot(labels, 3)), [0], atol=1e-6)
