"""Random, augmented batches of unpaired images or of images with labels, functions of the seed and the step alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np
import tensorflow as tf

from kerasgan.config import Augmentation
from kerasgan.training.cache import STEPS
from kerasgan.training.slices import Labelled, SliceStore

AHEAD = 4  # batches that are prepared while a step is computed


@dataclass(frozen=True)
class Shuffled:
    """Endless random order in which every item comes once before any comes again.

    Attributes:
        length: Number of items.
        seed: Seed; domains need different ones.
    """

    length: int
    seed: tuple[int, ...]

    def batches(self, batch_size: int, first: int) -> Iterator[list[int]]:
        """Endless batches of indices, from batch number `first`, counted from 0.

        A resumed run goes on in the same order.
        """
        epoch, order = -1, np.empty(0, int)
        position = first * batch_size
        while True:
            batch = []
            for place in range(position, position + batch_size):
                if place // self.length != epoch:
                    epoch = place // self.length
                    order = np.random.default_rng((*self.seed, epoch)).permutation(self.length)
                batch.append(int(order[place % self.length]))
            position += batch_size
            yield batch


def training_dataset(
    stores: tuple[SliceStore, SliceStore], augmentation: Augmentation, batch_size: int, seed: int, first_step: int
) -> tf.data.Dataset:
    """Endless batches `(a, b)`, float32 `[batch, size, size, channels]` in [-1, 1], each domain shuffled on its own.

    Where the store of a has classes, `(a, b, classes)`: those of a, int32 `[batch, size, size]`. Where it has targets,
    `(a, b, targets)`: what a's slices are to become, float32 `[batch, size, size, targets]` in [-1, 1]. Both are moved
    with the images, and where there are both, the classes come first. The batch of a step depends on the seed and the
    step's number only, so that a resumed run sees what the uninterrupted one would have seen.

    Args:
        stores: Slices of domain a and b.
        augmentation: Limits of the random geometric changes.
        batch_size: Slices of each domain in a batch.
        seed: Seed of order and augmentation.
        first_step: Number of the first batch.
    """
    first = stores[0]
    shape = (batch_size, *first[0].shape)  # [batch, size, size, channels]
    codes = [tf.TensorSpec((batch_size, *store[0].shape), tf.int16) for store in stores]
    signature = [tf.TensorSpec((), tf.int32), tf.TensorSpec((2, batch_size), tf.bool), *codes]
    if first.classes is not None:
        signature.append(tf.TensorSpec(shape[:-1], tf.int32))
    if first.targets is not None:
        signature.append(tf.TensorSpec((batch_size, *first.target(0).shape), tf.int16))

    def generate() -> Iterator[tuple[Any, ...]]:
        orders = [Shuffled(len(store), (seed, i)).batches(batch_size, first_step) for i, store in enumerate(stores)]
        for step, (indices_a, indices_b) in enumerate(zip(*orders, strict=True), first_step):
            found = [
                np.stack([first[index] for index in indices_a]),
                np.stack([stores[1][index] for index in indices_b]),
            ]
            if first.classes is not None:
                found.append(np.stack([first.labels(index).astype(np.int32) for index in indices_a]))
            if first.targets is not None:
                found.append(np.stack([first.target(index) for index in indices_a]))
            drawn = zip(stores, (indices_a, indices_b), strict=True)
            yield step, np.array([[store.may_be_mirrored(index) for index in own] for store, own in drawn]), *found

    def finish(
        step: tf.Tensor, mirrored: tf.Tensor, a: tf.Tensor, b: tf.Tensor, *of_a: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        key = tf.random.experimental.stateless_fold_in([seed, 0], step)
        a, b = decode(a), augment(decode(b), augmentation, key + 1, mirrored[1])
        moved = [
            augment_labelled(a, more, augmentation, key)[1]
            if more.dtype == tf.int32
            else augment(decode(more), augmentation, key, mirrored[0])
            for more in of_a
        ]
        return augment(a, augmentation, key, mirrored[0]), b, *moved

    dataset = tf.data.Dataset.from_generator(generate, output_signature=tuple(signature))
    return _ahead(dataset.map(finish, num_parallel_calls=AHEAD))


def labelled_dataset(
    sets: Sequence[Labelled], augmentation: Augmentation, batch_size: int, seed: int, first_step: int = 0
) -> tf.data.Dataset:
    """Endless batches `(images, classes)`: float32 `[batch, height, width, channels]`, int32 `[batch, height, width]`.

    A batch has as many slices of each set, one set after the other. Order and augmentation depend on the seed and the
    step's number only, as in `training_dataset`, and the order of a set not on the sets after it.

    Args:
        sets: Sets of images and classes, all of one size.
        augmentation: Limits of the random geometric changes, the same for an image and its classes.
        batch_size: Slices of each set in a batch.
        seed: Seed of order and augmentation.
        first_step: Number of the first batch.
    """
    image, classes = sets[0][0]
    signature = (
        tf.TensorSpec((batch_size * len(sets), *image.shape), tf.float32),
        tf.TensorSpec((batch_size * len(sets), *classes.shape), tf.int32),
        tf.TensorSpec((), tf.int32),
    )

    def generate() -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
        orders = [Shuffled(len(own), (seed, i)).batches(batch_size, first_step) for i, own in enumerate(sets)]
        for step, drawn in enumerate(zip(*orders, strict=True), first_step):
            found = [own[index] for own, indices in zip(sets, drawn, strict=True) for index in indices]
            images, labels = zip(*found, strict=True)
            yield np.stack(images), np.stack(labels).astype(np.int32), step

    def finish(images: tf.Tensor, labels: tf.Tensor, step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        key = tf.random.experimental.stateless_fold_in([seed, 0], step)
        return augment_labelled(images, labels, augmentation, key)

    dataset = tf.data.Dataset.from_generator(generate, output_signature=signature)
    return _ahead(dataset.map(finish, num_parallel_calls=AHEAD))


def _ahead(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Lets batches be prepared before they are asked for.

    TensorFlow's tuning of their number is off: a program that is stopped would wait for its thread, up to a minute.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.prefetch(AHEAD).with_options(options)


def decode(codes: tf.Tensor) -> tf.Tensor:
    """Images of int16 codes, float32 `[batch, size, size, channels]` in [-1, 1].

    Example:
        >>> float(decode(tf.fill((1, 2, 2, 1), tf.constant(32767, tf.int16)))[0, 0, 0, 0])
        1.0
    """
    return tf.cast(codes, tf.float32) / STEPS


def augment(
    images: tf.Tensor, limits: Augmentation, seed: tf.Tensor, may_be_mirrored: tf.Tensor | bool = True
) -> tf.Tensor:
    """Turns, scales, shifts and mirrors each image at random, in one bilinear interpolation.

    Args:
        images: `[batch, height, width, channels]` in [-1, 1].
        limits: How far.
        seed: int32 `[2]`; the same one moves other images of this size and number in the same way.
        may_be_mirrored: Of each image, bool `[batch]`, or of all: whether its rows run from one side of the body to the
            other.

    Returns:
        Images of the same shape and range; pixels from outside are air (-1). Limits of zero change nothing.

    Example:
        >>> limits = Augmentation(flip=False, shift=0, scale=0, rotation_degrees=0)
        >>> float(tf.reduce_mean(augment(tf.ones((1, 8, 8, 1)), limits, tf.constant([1, 2]))))
        1.0
    """
    return _moved(images, _transforms(images.shape, limits, seed, may_be_mirrored), "BILINEAR", fill=-1.0)


def augment_labelled(
    images: tf.Tensor, classes: tf.Tensor, limits: Augmentation, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Changes each image as `augment` does, and its classes in the same way, nearest pixel by nearest pixel.

    Args:
        images: `[batch, height, width, channels]` in [-1, 1].
        classes: int32 `[batch, height, width]`; pixels from outside are background (0).
        limits: How far.
        seed: int32 `[2]`.
    """
    transforms = _transforms(images.shape, limits, seed)
    moved = _moved(classes[..., None], transforms, "NEAREST", fill=0.0)
    return _moved(images, transforms, "BILINEAR", fill=-1.0), moved[..., 0]


def _transforms(
    shape: tf.TensorShape, limits: Augmentation, seed: tf.Tensor, may_be_mirrored: tf.Tensor | bool = True
) -> tf.Tensor:
    """The map from output to input pixels of each image, `[batch, 8]` as `ImageProjectiveTransformV3` takes it."""
    batch, height, width = shape[0], shape[1], shape[2]
    extents = [limits.rotation_degrees * pi / 180, limits.scale, limits.shift * width, limits.shift * height]
    angle, scale, right, down = tf.unstack(
        tf.random.stateless_uniform([4, batch], seed, -1.0, 1.0) * tf.constant(extents)[:, None]
    )
    mirrored = limits.flip & (tf.random.stateless_uniform([batch], seed + 2) < 0.5) & may_be_mirrored
    sign = tf.where(mirrored, -1.0, 1.0)
    cosine, sine = tf.cos(angle) * (1 + scale), tf.sin(angle) * (1 + scale)
    # Output pixel -> input pixel, about the image's centre: input = R (output - centre) + centre + shift.
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    offset_x = centre_x + right - sign * cosine * centre_x + sine * centre_y
    offset_y = centre_y + down - sign * sine * centre_x - cosine * centre_y
    zero = tf.zeros_like(angle)
    rows = [sign * cosine, -sine, offset_x, sign * sine, cosine, offset_y, zero, zero]
    return tf.stack(rows, axis=1)


def _moved(images: tf.Tensor, transforms: tf.Tensor, interpolation: str, fill: float) -> tf.Tensor:
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=transforms,
        output_shape=images.shape[1:3],
        interpolation=interpolation,
        fill_mode="CONSTANT",
        fill_value=fill,
    )
