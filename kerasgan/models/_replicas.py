"""What a training step shares between the replicas of a `tf.distribute` strategy.

Each replica takes an equal share of the batch, and whatever else a step reads or draws is that of the whole batch: its
random numbers, the image pools, the losses that it reports. So a step on several replicas is the step of one device on
the same batch, but for rounding, all replicas have the same state after it, and a checkpoint needs that of one only.
Without a strategy nothing here computes anything.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


def replicas() -> int:
    """How many replicas share a batch; 1 without a distribution strategy.

    Example:
        >>> replicas()
        1
    """
    return int(tf.distribute.get_strategy().num_replicas_in_sync)


def own_share(whole: tf.Tensor) -> tf.Tensor:
    """This replica's part of what belongs to a whole batch.

    Args:
        whole: `[batch, ...]`, equal on all replicas, which share it evenly.
    """
    if replicas() == 1:
        return whole
    parts = tf.reshape(whole, [replicas(), whole.shape[0] // replicas(), *whole.shape[1:]])
    return parts[tf.distribute.get_replica_context().replica_id_in_sync_group]


def whole_batch(share: tf.Tensor) -> tf.Tensor:
    """The shares of all replicas, one after the other, as `own_share` takes them apart; without a gradient.

    Args:
        share: `[share, ...]`, of the same shape on all replicas.
    """
    if replicas() == 1:
        return share
    context, size = tf.distribute.get_replica_context(), share.shape[0]
    before = size * context.replica_id_in_sync_group
    # A sum in which the others have zeros: unlike `all_gather`, it does not depend on the order of the devices.
    margins = [[before, size * (replicas() - 1) - before], *[[0, 0]] * (share.shape.rank - 1)]
    whole = context.all_reduce(tf.distribute.ReduceOp.SUM, tf.pad(tf.stop_gradient(share), margins))
    return tf.ensure_shape(whole, [size * replicas(), *share.shape[1:]])


def mean_of_replicas(value: tf.Tensor) -> tf.Tensor:
    """The mean of a value over the replicas: that of the whole batch, where each has the mean over its share."""
    if replicas() == 1:
        return value
    mean: Any = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, value)
    return mean


def shares_of_a_process(
    batches: tf.data.Dataset, batch_size: int, context: tf.distribute.InputContext
) -> tf.data.Dataset:
    """The shares that the replicas of one of several processes take of each batch, one after the other, without end.

    Each is packed into one tensor: before its first step, Keras 3.15 takes the mean of a batch over all replicas, which
    of several processes it can for one tensor only.

    Args:
        batches: Whole batches of tensors `[batch, ...]`, the same in every process.
        batch_size: Of these.
        context: Which of how many processes this is.
    """
    own = batch_size // context.num_input_pipelines
    first = own * context.input_pipeline_id

    def part(*tensors: tf.Tensor) -> tf.Tensor:
        images = [one if one.shape.rank == 4 else one[..., None] for one in tensors]  # classes have no channel
        return tf.concat([tf.cast(one[first : first + own], keras.config.floatx()) for one in images], axis=-1)

    shares = batches.map(part).rebatch(batch_size // context.num_replicas_in_sync, drop_remainder=True)
    return shares.repeat()  # or the processes would ask each other at each step whether there is another batch


def unpacked(share: tf.Tensor, specs: tuple[tf.TensorSpec, ...]) -> tuple[tf.Tensor, ...]:
    """The tensors of a share that `shares_of_a_process` has packed into one.

    Args:
        share: `[share, height, width, all channels]`.
        specs: Shapes and dtypes of the batch.
    """
    images = tf.split(share, [spec.shape[3] if spec.shape.rank == 4 else 1 for spec in specs], axis=-1)
    parts = zip(images, specs, strict=True)
    return tuple(tf.cast(tf.reshape(one, [share.shape[0], *spec.shape[1:]]), spec.dtype) for one, spec in parts)
