"""The image pool: filling, swapping, and draws that depend on seed and step alone."""

import numpy as np
import pytest
import tensorflow as tf

from kerasgan.models._image_pool import ImagePool


def image(*numbers: float) -> tf.Tensor:
    """A batch of flat 2x2 images that are told apart by their value."""
    return tf.tile(tf.constant(numbers, tf.float32)[:, None, None, None], (1, 2, 2, 1))


def numbers(images: tf.Tensor) -> list[float]:
    array = np.asarray(images)
    assert (array == array[:, :1, :1]).all()
    return array[:, 0, 0, 0].tolist()


def run(size: int, batch: int, steps: int, seed: int = 0, compiled: bool = False, start: int = 0, pool=None):
    """Images numbered from 1 go through a pool; returns what came back and what is stored after each step."""
    pool = pool or ImagePool(size, (2, 2, 1), seed, "pool")
    exchange = tf.function(pool.exchange) if compiled else pool.exchange
    returned, stored = [], []
    for step in range(start, steps):
        new = image(*(1.0 + step * batch + i for i in range(batch)))
        returned.append(numbers(exchange(new, tf.constant(step, tf.int64))))
        stored.append(numbers(pool.images.read_value()))
    return returned, stored


def test_first_images_are_stored_and_handed_back():
    returned, stored = run(size=6, batch=2, steps=3)
    assert returned == [[1, 2], [3, 4], [5, 6]]
    assert stored == [[1, 2, 0, 0, 0, 0], [1, 2, 3, 4, 0, 0], [1, 2, 3, 4, 5, 6]]


def test_full_pool_swaps_half_of_the_time_at_every_place():
    size, steps = 5, 2000
    returned, stored = run(size, batch=1, steps=steps, compiled=True)
    swaps, places = 0, np.zeros(size)
    for step in range(size, steps):
        new, before, after = 1.0 + step, stored[step - 1], stored[step]
        if returned[step] == [new]:
            assert after == before
        else:
            place = before.index(returned[step][0])
            assert after == [new if i == place else value for i, value in enumerate(before)]
            swaps, places[place] = swaps + 1, places[place] + 1
    assert swaps / (steps - size) == pytest.approx(0.5, abs=0.04)  # over 3.5 standard deviations
    assert (places > 0.7 * swaps / size).all()


@pytest.mark.parametrize(("size", "batch"), [(4, 4), (5, 2), (7, 3), (50, 4), (4, 8), (3, 7)])
def test_nothing_is_doubled_lost_or_returned_empty(size, batch):
    """Also where the pool fills up within a batch, 5 places and batches of 2, and where it is smaller than one."""
    returned, stored = run(size, batch, steps=60, compiled=True)
    arrived: set[float] = set()
    for step, (back, kept) in enumerate(zip(returned, stored, strict=True)):
        before = set(stored[step - 1]) if step else set()
        new = {1.0 + step * batch + i for i in range(batch)}
        arrived |= new
        assert 0 not in back
        assert len(set(back)) == batch
        assert set(back) <= before | new
        assert len(set(kept) - {0}) == min(size, len(arrived))
        if step and 0 not in before and step * batch >= size:
            assert before | new == set(back) | set(kept)  # an image goes either way, and none disappears


def test_graph_and_eager_agree():
    assert run(3, 2, 20) == run(3, 2, 20, compiled=True)


def test_a_step_draws_the_same_whatever_came_before():
    whole = run(4, 1, 30, seed=7)
    pool = ImagePool(4, (2, 2, 1), 7, "pool")
    pool.images.assign(image(*whole[1][14]))
    resumed = run(4, 1, 30, start=15, pool=pool)
    assert resumed == (whole[0][15:], whole[1][15:])


def test_seeds_draw_differently():
    assert run(4, 1, 30, seed=0)[0] != run(4, 1, 30, seed=1)[0]


def test_no_pool_hands_everything_back():
    returned, _ = run(size=1, batch=1, steps=1)
    assert returned == [[1.0]]
    assert numbers(ImagePool(0, (2, 2, 1), 0, "pool").exchange(image(5, 6), tf.constant(3))) == [5, 6]


def test_each_part_of_a_batch_larger_than_the_pool_draws_anew():
    """Two places and batches of six: where all parts drew alike, the second and third would swap alike at each step."""
    returned, _ = run(2, batch=6, steps=50, compiled=True)
    kept = [[value > 6 * step for value in back] for step, back in enumerate(returned)]
    assert sum(flags[2:4] != flags[4:6] for flags in kept) > 20
    assert returned == run(2, batch=6, steps=50)[0]
