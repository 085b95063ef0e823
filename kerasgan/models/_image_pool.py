"""The discriminators' memory of earlier synthetic images.

Reference:
    Shrivastava et al. 2017, https://arxiv.org/abs/1612.07828, Sec. 2.3; used by Zhu et al. 2017, Sec. 4.
"""

from __future__ import annotations

import keras
import tensorflow as tf

from kerasgan.models._replicas import own_share, whole_batch


class ImagePool:
    """A memory of `size` synthetic images in a variable, inside the compiled step.

    The first images are stored and handed back. Once the pool is full, each new image is either handed back (half of
    the time) or put in the place of a random stored one, which is handed back instead. What happens at a step depends
    on the seed and the step's number alone, so a resumed run draws as the uninterrupted one. A batch larger than the
    pool goes through it in parts. Replicas that share a batch have equal pools, through which the whole batch goes.

    Args:
        size: Images to keep; 0 hands every image back.
        image_shape: `(height, width, channels)`.
        seed: Seed of the draws.
        name: Name of the variable.

    Example:
        >>> pool = ImagePool(2, (1, 1, 1), seed=0, name="pool")
        >>> images = tf.reshape(tf.range(8.0), [4, 2, 1, 1, 1])
        >>> [pool.exchange(batch, tf.constant(step)).numpy().ravel().tolist() for step, batch in enumerate(images)][0]
        [0.0, 1.0]
    """

    def __init__(self, size: int, image_shape: tuple[int, int, int], seed: int, name: str) -> None:
        self.size, self.seed = size, seed
        # Each replica of a distributed run has a copy of its own, and all copies are equal.
        self.images = tf.Variable(
            tf.zeros((size, *image_shape), keras.config.floatx()),
            trainable=False,
            synchronization=tf.VariableSynchronization.ON_READ,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
            name=name,
        )

    def exchange(self, images: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """Stores new images and returns as many for the discriminator.

        Args:
            images: `[batch, height, width, channels]` in Keras's floatx; the batch size is static. Of several replicas,
                each gives its share of the batch, and gets as much.
            step: The training step, counted from 0.

        Returns:
            `[batch, height, width, channels]`, a mixture of the new images and stored ones.

        Raises:
            ValueError: For a batch whose size is not fixed.
        """
        if self.size == 0:
            return images
        if images.shape[0] is None:
            raise ValueError("The image pool needs batches of one size; use dataset.batch(size, drop_remainder=True).")
        images = whole_batch(images)
        batch = images.shape[0]
        arrived, firsts = tf.cast(step, tf.int32) * batch, range(0, batch, self.size)
        # A pool that fills up within a batch has stored images for none of the batch's yet.
        is_full = arrived >= self.size
        parts = []
        for number, first in enumerate(firsts):
            part = images[first : first + self.size]  # [part, height, width, channels]
            seed = seed_of_step(self.seed, step * len(firsts) + number)
            shuffled = tf.argsort(tf.random.stateless_uniform([self.size], seed))[: part.shape[0]]  # all different
            arrivals = (arrived + first + tf.range(part.shape[0])) % self.size
            places = tf.where(is_full, shuffled, arrivals)  # [part]
            swap = tf.random.stateless_uniform([part.shape[0]], seed + 1) < 0.5
            swap = tf.reshape(swap, [-1, 1, 1, 1])
            stored = tf.gather(self.images, places)
            # All are stored while the pool fills up, and then those to swap.
            kept = tf.where(is_full & ~swap, stored, part)
            self.images.assign(tf.tensor_scatter_nd_update(self.images.read_value(), places[:, None], kept))
            parts.append(tf.where(is_full & swap, stored, part))
        return own_share(tf.concat(parts, axis=0))


def seed_of_step(seed: int, step: tf.Tensor) -> tf.Tensor:
    """A seed for `tf.random.stateless_*`, `[2]`, that differs from step to step and not between replicas."""
    return tf.random.experimental.stateless_fold_in([seed, 0], tf.cast(step, tf.int32))
