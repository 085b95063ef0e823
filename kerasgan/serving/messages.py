"""The messages of TensorFlow Serving's protocol that kerasgan sends and reads, which need protobuf and no TensorFlow.

The package `tensorflow-serving-api` has all of them, but its messages import TensorFlow, and it asks for the package
`tensorflow` by name, beside which `tensorflow-cpu` cannot be installed. So the few that are needed are declared here,
with the fields and numbers of the official `tensorflow_serving/apis/*.proto` and `tensorflow/core/framework/*.proto`. A
message has no name where it travels: a field goes by its number, an enumeration as an integer, and a message as bytes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from kerasgan.errors import ServingError

PREDICT = "/tensorflow.serving.PredictionService/Predict"
GET_METADATA = "/tensorflow.serving.PredictionService/GetModelMetadata"
GET_STATUS = "/tensorflow.serving.ModelService/GetModelStatus"
SIGNATURE_MAP_TYPE = "type.googleapis.com/tensorflow.serving.SignatureDefMap"

STATES = {"AVAILABLE": 30, "END": 50}  # of a version, as far as kerasgan's server knows them

# The fields of each message as .proto files write them.
_FIELDS = {
    "Int64Value": "int64 value = 1",
    "Any": "string type_url = 1; bytes value = 2",
    "Dim": "int64 size = 1",
    "TensorShapeProto": "repeated Dim dim = 2; bool unknown_rank = 3",
    "TensorProto": "int32 dtype = 1; TensorShapeProto tensor_shape = 2; bytes tensor_content = 4; "
    "repeated float float_val = 5; repeated int32 int_val = 7; repeated bytes string_val = 8",
    "ModelSpec": "string name = 1; Int64Value version = 2; string signature_name = 3; string version_label = 4",
    "PredictRequest": "ModelSpec model_spec = 1; map<string, TensorProto> inputs = 2; "
    "repeated string output_filter = 3",
    "PredictResponse": "map<string, TensorProto> outputs = 1; ModelSpec model_spec = 2",
    "GetModelMetadataRequest": "ModelSpec model_spec = 1; repeated string metadata_field = 2",
    "GetModelMetadataResponse": "ModelSpec model_spec = 1; map<string, Any> metadata = 2",
    "SignatureDefMap": "map<string, bytes> signature_def = 1",  # each a SignatureDef of TensorFlow
    "GetModelStatusRequest": "ModelSpec model_spec = 1",
    "StatusProto": "int32 error_code = 1; string error_message = 2",
    "ModelVersionStatus": "int64 version = 1; int32 state = 2; StatusProto status = 3",
    "GetModelStatusResponse": "repeated ModelVersionStatus model_version_status = 1",
    "PredictLog": "PredictRequest request = 1",
    "PredictionLog": "PredictLog predict_log = 6",
}
_FIELD = re.compile(r"(repeated )?(?:map<string, (\w+)>|(\w+)) (\w+) = (\d+)")

# TensorFlow's dtypes by their numbers, those of images and text; and the field with the values of each that is taken.
DTYPES = {1: "float32", 2: "float64", 3: "int32", 4: "uint8", 5: "int16", 6: "int8", 7: "string", 9: "int64"}
VALUES = {"float32": "float_val", "int32": "int_val", "string": "string_val"}
LARGEST_RANK = 8


def _declare() -> dict[str, Any]:
    """Makes a class of each message, in a pool of its own, so that TensorFlow's messages can be there as well."""
    file = FileDescriptorProto(name="kerasgan/serving.proto", package="kerasgan", syntax="proto3")

    def add(message: Any, name: str, number: int, kind: str, repeated: bool) -> None:
        field = message.field.add(name=name, number=number)
        field.label = FieldDescriptorProto.LABEL_REPEATED if repeated else FieldDescriptorProto.LABEL_OPTIONAL
        if kind in _FIELDS or "." in kind:
            field.type, field.type_name = FieldDescriptorProto.TYPE_MESSAGE, f".kerasgan.{kind}"
        else:
            field.type = FieldDescriptorProto.Type.Value(f"TYPE_{kind.upper()}")

    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        for repeated, value, kind, field, number in _FIELD.findall(fields):
            if value:  # a map is a repeated message of key and value
                entry = message.nested_type.add(name=f"{field.title().replace('_', '')}Entry")
                entry.options.map_entry = True
                add(entry, "key", 1, "string", False)
                add(entry, "value", 2, value, False)
                kind = f"{name}.{entry.name}"
            add(message, field, int(number), kind, bool(repeated or value))
    pool = DescriptorPool()
    pool.Add(file)
    return {name: GetMessageClass(pool.FindMessageTypeByName(f"kerasgan.{name}")) for name in _FIELDS}


_classes = _declare()
GetModelMetadataRequest: Any = _classes["GetModelMetadataRequest"]
GetModelMetadataResponse: Any = _classes["GetModelMetadataResponse"]
GetModelStatusRequest: Any = _classes["GetModelStatusRequest"]
GetModelStatusResponse: Any = _classes["GetModelStatusResponse"]
PredictionLog: Any = _classes["PredictionLog"]
PredictRequest: Any = _classes["PredictRequest"]
PredictResponse: Any = _classes["PredictResponse"]
SignatureDefMap: Any = _classes["SignatureDefMap"]


def write_tensor(proto: Any, array: np.ndarray) -> None:
    """Puts an array into a `TensorProto`.

    Args:
        proto: An empty message.
        array: float32, int32, or strings as an object array of bytes.

    Raises:
        ServingError: INVALID_ARGUMENT, for another dtype.

    Example:
        >>> request = PredictRequest()
        >>> write_tensor(request.inputs["rows"], np.array([3, 4], np.int32))
        >>> arrays(request.inputs)
        {'rows': array([3, 4], dtype=int32)}
    """
    dtype = "string" if array.dtype == object else array.dtype.name
    if dtype not in VALUES:
        raise ServingError(f"A tensor can be {', '.join(VALUES)}; got {dtype}.", "INVALID_ARGUMENT")
    proto.dtype = next(number for number, name in DTYPES.items() if name == dtype)
    for length in array.shape:
        proto.tensor_shape.dim.add(size=length)
    if dtype == "string":
        proto.string_val.extend(array.ravel().tolist())
    else:
        proto.tensor_content = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def arrays(tensors: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Reads the arrays of `TensorProto`s; strings become object arrays of bytes.

    Args:
        tensors: The messages by name.

    Raises:
        ServingError: INVALID_ARGUMENT, if a tensor has another dtype than a served model takes, or not one value for
            each element of its shape. TensorFlow repeats the last value instead, so that a few bytes fill the memory.
    """
    found = {}
    for name, proto in tensors.items():
        shape = [dim.size for dim in proto.tensor_shape.dim]
        dtype, content = DTYPES.get(proto.dtype, f"number {proto.dtype}"), proto.tensor_content
        reason = ""
        if dtype not in VALUES:
            reason = f"its dtype is {dtype}; a served model takes {', '.join(VALUES)}"
        elif len(shape) > LARGEST_RANK or min(shape, default=0) < 0 or proto.tensor_shape.unknown_rank:
            reason = f"its shape {shape} has unknown or negative lengths, or more than {LARGEST_RANK} axes"
        elif (
            (len(content) != 4 * math.prod(shape) or dtype == "string")
            if content
            else len(getattr(proto, VALUES[dtype])) != math.prod(shape)
        ):
            reason = f"its shape {shape} needs {math.prod(shape)} values, and it does not have as many"
        if reason:
            raise ServingError(f"Tensor {name} is malformed: {reason}.", "INVALID_ARGUMENT")
        kind: Any = object if dtype == "string" else np.dtype(dtype)
        if content:
            values = np.frombuffer(content, np.dtype(dtype).newbyteorder("<")).astype(kind)
        else:
            values = np.array(getattr(proto, VALUES[dtype]), kind)
        found[name] = values.reshape(shape)
    return found
