"""Copies of networks for files: in float32, and in layers of Keras's own, from which a file needs no kerasgan.

Training and exports use kerasgan's layers, which run faster or in more places. A file holds what plain Keras has in
their place; whoever opens it with kerasgan gets kerasgan's layers again, so that neither side pays for the other.
"""

from __future__ import annotations

import json
from typing import Any

import keras
from keras import layers, ops

from kerasgan.networks.deformable import DeformableConvolution
from kerasgan.networks.layers import (
    EPSILON,
    CroppingLike,
    InstanceNormalization,
    NearestUpsampling,
    PaddingToMultiple,
    ReflectionPadding,
)

Config = dict[str, Any]
REPLACED = (
    CroppingLike,
    DeformableConvolution,
    InstanceNormalization,
    NearestUpsampling,
    PaddingToMultiple,
    ReflectionPadding,
)


def float32_copy(network: keras.Model) -> keras.Model:
    """The same network with the same weights and no mixed-precision policy in its configuration.

    Example:
        >>> inputs = keras.Input((4,))
        >>> network = keras.Model(inputs, keras.layers.Dense(1, dtype="mixed_bfloat16")(inputs))
        >>> float32_copy(network).layers[-1].compute_dtype
        'float32'
    """
    copy = keras.Model.from_config(_float32_config(network))
    copy.set_weights(network.get_weights())
    return copy


def portable_copy(network: keras.Model) -> keras.Model:
    """The same network in float32 and in layers that Keras itself has; layers of other packages stay what they are.

    Values differ by rounding. A deformable convolution becomes an ordinary one with the same kernel, as a generator's
    own output is undeformed.

    Args:
        network: A functional model, which is left as it is.

    Returns:
        A model that `keras.models.load_model` opens without kerasgan once it was saved.

    Example:
        >>> from kerasgan.networks import generators
        >>> copy = portable_copy(generators.resnet(filters=2, blocks=1))
        >>> {type(layer).__module__.partition(".")[0] for layer in copy.layers}
        {'keras'}
    """
    config = _float32_config(network)
    config["layers"] = [_portable(entry, network) for entry in config["layers"]]
    copy = keras.Model.from_config(config)
    give_weights(network, copy)
    return copy


def give_weights(source: keras.Model, network: keras.Model) -> None:
    """Gives a network the weights of another one of the same layers, where one of both may be a portable copy.

    A deformable convolution that gets those of an ordinary one keeps what moves its samples.

    Args:
        source: The network that has the weights.
        network: The network that takes them.

    Raises:
        ValueError: For a network of other layers.

    Example:
        >>> from kerasgan.networks import generators
        >>> one, other = (generators.resnet(filters=2, blocks=1) for _ in range(2))
        >>> give_weights(portable_copy(one), other)
        >>> all((a == b).all() for a, b in zip(one.get_weights(), other.get_weights(), strict=True))
        True
    """
    if len(source.layers) != len(network.layers):
        raise ValueError(f"The network has {len(network.layers)} layers, and the other one {len(source.layers)}.")
    for given, layer in zip(source.layers, network.layers, strict=True):
        weights, own = given.get_weights(), layer.get_weights()
        if DeformableConvolution in (type(given), type(layer)):  # its first weights are those of the ordinary one
            weights = (weights + own[len(weights) :])[: len(own)]
        layer.set_weights(weights)


def with_fast_layers(config: Config) -> Config:
    """The configuration of a functional model with kerasgan's layers where `portable_copy` has Keras's.

    Args:
        config: As `keras.Model.get_config` gives it, or a file, which may be a stranger's.

    Example:
        >>> from kerasgan.networks import generators
        >>> generator = generators.resnet(filters=2, blocks=1)
        >>> fast = keras.Model.from_config(with_fast_layers(portable_copy(generator).get_config()))
        >>> [type(layer) for layer in fast.layers] == [type(layer) for layer in generator.layers]
        True
    """
    return config | {"layers": [_fast(entry) for entry in config["layers"]]}


def _float32_config(network: keras.Model) -> Config:
    config: Config = network.get_config()
    for entry in config["layers"]:
        if isinstance(entry["config"].get("dtype"), dict):
            entry["config"]["dtype"] = "float32"
    return config


def _portable(entry: Config, network: keras.Model) -> Config:
    """The entry of a layer in a configuration, with the layer of Keras's own that computes the same."""
    layer = network.get_layer(entry["name"]) if entry["config"].keys() >= {"trainable"} else None
    if not isinstance(layer, REPLACED):
        return entry
    return _entry(_twin(layer), entry["inbound_nodes"])


def _twin(layer: keras.Layer) -> keras.Layer:
    """A layer of Keras's own, or a small model of its operations."""
    if isinstance(layer, InstanceNormalization):
        return layers.GroupNormalization(-1, epsilon=EPSILON, center=False, scale=False, name=layer.name)
    if isinstance(layer, NearestUpsampling):
        return layers.UpSampling2D(name=layer.name)
    if isinstance(layer, DeformableConvolution):
        size, bias = layer.kernel_size, layer.use_bias
        return layers.Conv2D(layer.filters, size, padding="same", use_bias=bias, name=layer.name)
    image, like = keras.Input((None, None, None), name="image"), keras.Input((None, None, None), name="like")
    images = [image, like] if isinstance(layer, CroppingLike) else image
    return keras.Model(images, _operations(layer, image, like), name=layer.name)


def _operations(layer: keras.Layer, image: Any, like: Any) -> Any:
    """What a layer computes, by operations that take images of any size."""
    if isinstance(layer, ReflectionPadding):
        sides = [layer.padding, layer.padding]
        return ops.pad(image, [[0, 0], sides, sides, [0, 0]], mode="reflect")
    if isinstance(layer, PaddingToMultiple):
        # More than enough is added, and of that the first rows and columns are taken: a multiple of them.
        sides = [0, layer.multiple - 1]
        image = ops.pad(image, [[0, 0], sides, sides, [0, 0]], mode="symmetric")
        like = ops.repeat(ops.repeat(ops.max_pool(image, layer.multiple), layer.multiple, 1), layer.multiple, 2)
    for axis in (1, 2):
        ones = ops.ones_like(ops.max(like, axis=[0, 3 - axis, 3]))  # [height], then [width]
        image = ops.take(image, ops.cast(ops.cumsum(ones) - 1, "int32"), axis=axis)
    return image


def _fast(entry: Config) -> Config:
    """The entry of a layer in a configuration, with kerasgan's layer if it is what `_portable` writes."""
    config, layer = entry["config"], None
    match entry["class_name"]:
        case "GroupNormalization":
            wanted = {"groups": config["groups"], "epsilon": EPSILON, "center": False, "scale": False, "axis": -1}
            channels = (entry.get("build_config") or {}).get("input_shape", [0])[-1]
            if config["groups"] in (-1, channels) and config | wanted == config:
                layer = InstanceNormalization(name=config["name"])
        case "UpSampling2D":
            if list(config["size"]) == [2, 2] and config["interpolation"] == "nearest":
                layer = NearestUpsampling(name=config["name"])
        case "Functional":
            layer = _of_operations(config)
    return entry if layer is None else _entry(layer, entry["inbound_nodes"])


def _entry(layer: keras.Layer, nodes: list[Config]) -> Config:
    calls = [node | {"kwargs": {}} for node in nodes]  # each kind of layer has its own; the inputs are the same
    return {**keras.saving.serialize_keras_object(layer), "name": layer.name, "inbound_nodes": calls}


def _of_operations(config: Config) -> keras.Layer | None:
    """Kerasgan's layer that computes what a small model of operations does; None for another model."""
    parts = {part["class_name"]: part["config"] for part in config["layers"]}
    if "MaxPool" in parts:
        layer: keras.Layer = PaddingToMultiple(parts["MaxPool"]["pool_size"], name=config["name"])
    elif "Take" in parts:
        layer = CroppingLike(name=config["name"])
    elif "Pad" in parts:
        layer = ReflectionPadding(parts["Pad"]["pad_width"][1][0], name=config["name"])
    else:
        return None
    return layer if _parts(_twin(layer).get_config()) == _parts(config) else None


def _parts(config: Config) -> list[tuple[str, str]]:
    """The operations of a small model with their settings; their names, which Keras counts up, are left out."""
    parts = [(part["class_name"], {**part["config"], "name": ""}) for part in config["layers"]]
    return sorted((kind, json.dumps(settings, sort_keys=True)) for kind, settings in parts)
