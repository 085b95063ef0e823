"""A network as a frozen TensorFlow graph, from which the other engines are made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2
from tensorflow.python.grappler import tf_optimizer

Predict = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Frozen:
    """A graph whose weights are constants.

    Attributes:
        graph: The graph.
        image: Name of the tensor that goes in, float32 `[batch, height, width, channels]`.
        synthetic: Name of the tensor that comes out.
    """

    graph: tf.Graph
    image: str
    synthetic: str


def frozen(network: Callable[[Any], Any], channels: int) -> Frozen:
    """The graph of a network for images of any number and size.

    Args:
        network: A Keras model, or another function of tensors.
        channels: Channels of an image.

    Example:
        >>> halved = frozen(lambda images: images / 2, channels=1)
        >>> len(halved.graph.as_graph_def().node) > 0
        True
    """
    spec = tf.TensorSpec((None, None, None, channels), tf.float32, "image")
    traced = tf.function(network, input_signature=[spec], autograph=False).get_concrete_function()
    function = convert_variables_to_constants_v2(traced)
    return Frozen(function.graph, function.inputs[0].name, function.outputs[0].name)


def in_bfloat16(network: Frozen) -> Predict:
    """The network with its convolutions in bfloat16 and its statistics in float32, by TensorFlow's own optimiser.

    The graph is rewritten once, and by itself: the same optimiser as an option of TensorFlow would change every graph
    that the process computes.

    Raises:
        ValueError: For a graph in which nothing became bfloat16.
    """
    config = tf.compat.v1.ConfigProto()
    config.graph_options.rewrite_options.auto_mixed_precision_onednn_bfloat16 = 1  # on
    meta = tf.compat.v1.train.export_meta_graph(graph_def=network.graph.as_graph_def(), graph=network.graph)
    for name in (network.image, network.synthetic):
        meta.collection_def["train_op"].node_list.value.append(name.partition(":")[0])  # what must stay
    rewritten = tf_optimizer.OptimizeGraph(config, meta)
    if not any(node.op == "Cast" for node in rewritten.node):
        raise ValueError("TensorFlow leaves the whole graph in float32")
    whole = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(rewritten, name=""), [])
    function = whole.prune(network.image, network.synthetic)
    return lambda images: np.asarray(function(tf.constant(images, tf.float32)))
