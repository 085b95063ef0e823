"""Requests that a server runs before it takes others, so that the first client does not wait for the first run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from kerasgan.export.requests import request
from kerasgan.export.serving_contract import ServingContract
from kerasgan.scans.contract import Contract
from kerasgan.scans.names import CONTRACT, INDEX

Tensors = Mapping[str, tf.Tensor]


def write_warmup(path: Path, described: ServingContract) -> None:
    """Writes one request for each signature: a made-up slice of the trained size, nothing of a patient.

    Args:
        path: `tf_serving_warmup_requests`, a TFRecord file of PredictionLog messages.
        described: The model.
    """
    requests: dict[str, Tensors] = {CONTRACT: {INDEX: tf.constant([0])}}
    for direction in described.directions.values():
        tensors = request(made_up_slice(direction), direction.source.window)
        for name, signature in direction.signatures.items():
            requests[name] = {tensor: tensors[tensor] for tensor in signature.inputs}
    with tf.io.TFRecordWriter(str(path)) as writer:
        for name, inputs in requests.items():
            writer.write(_prediction_log(described.name, name, inputs))


def made_up_slice(described: Contract) -> np.ndarray:
    """An ellipse that brightens towards its middle, float32 `[1, height, width, 1]` in the source's window.

    Args:
        described: One direction of a model.
    """
    rows, columns = described.trained_height_width
    low, high = described.source.window
    down, right = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    brightness = np.maximum(1 - np.hypot(down / 0.9, right / 0.7), 0)
    return (low + (high - low) * brightness)[None, ..., None].astype(np.float32)


def _prediction_log(model: str, signature: str, inputs: Tensors) -> bytes:
    """A PredictionLog with a PredictRequest, in protobuf's wire format.

    These few fields are all that is needed of `tensorflow-serving-api`; numbers as in its `prediction_log.proto`,
    `predict.proto` and `model.proto`.
    """
    spec = _field(1, model.encode()) + _field(3, signature.encode())
    tensors = {name: tf.make_tensor_proto(tensor).SerializeToString() for name, tensor in inputs.items()}
    entries = [_field(2, _field(1, name.encode()) + _field(2, tensor)) for name, tensor in tensors.items()]
    request = _field(1, spec) + b"".join(entries)
    return _field(6, _field(1, request))


def _field(number: int, content: bytes) -> bytes:
    """A field of known length: its number and wire type 2, the length, the content."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; all but the last byte have their highest bit set."""
    digits = bytearray()
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*digits, value])
