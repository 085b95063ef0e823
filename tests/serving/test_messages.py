"""The messages beside the official ones, field by field and byte by byte."""

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import any_pb2, wrappers_pb2
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto
from needed import official
from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2, types_pb2

from kerasgan.errors import ServingError
from kerasgan.serving import messages

WIRE = {"TYPE_ENUM": "TYPE_INT32"}  # both are varints


@pytest.fixture(scope="module")
def theirs():
    """The official messages by name."""
    apis = ["predict", "model", "get_model_status", "get_model_metadata", "prediction_log"]
    modules = [official(f"apis.{name}_pb2") for name in apis]
    modules += [official("apis.status_pb2"), tensor_pb2, tensor_shape_pb2, any_pb2, wrappers_pb2]
    found = {name: getattr(module, name) for module in modules for name in dir(module) if name[0].isupper()}
    return found | {"Dim": tensor_shape_pb2.TensorShapeProto.Dim}


def wire(field):
    """What decides how a field travels; the entries of a map by their parts."""
    kind = FieldDescriptorProto.Type.Name(field.type)
    if kind == "TYPE_MESSAGE" and field.message_type.GetOptions().map_entry:
        return {name: wire(part) for name, part in field.message_type.fields_by_name.items()}
    return field.number, WIRE.get(kind, kind), field.message_type and field.message_type.name


def labels(descriptor):
    """Which fields are repeated, in a way that all versions of protobuf have."""
    proto = DescriptorProto()
    descriptor.CopyToProto(proto)
    return {field.name: field.label for field in proto.field}


@pytest.mark.parametrize("name", sorted(messages._FIELDS))
def test_each_field_is_that_of_the_official_message(theirs, name):
    ours, official_fields = messages._classes[name].DESCRIPTOR, theirs[name].DESCRIPTOR.fields_by_name
    assert ours.fields
    for field in ours.fields:
        expected = wire(official_fields[field.name])
        if name == "SignatureDefMap":  # its values are never opened
            expected["value"] = (2, "TYPE_BYTES", None)
        assert wire(field) == expected and labels(ours)[field.name] == labels(theirs[name].DESCRIPTOR)[field.name]


def test_states_and_dtypes_have_the_official_numbers():
    states = official("apis.get_model_status_pb2").ModelVersionStatus.State
    assert {name: states.Value(name) for name in messages.STATES} == messages.STATES
    for number, name in messages.DTYPES.items():
        assert tf.dtypes.as_dtype(number).name == name


ARRAYS = [
    np.float32([[1.5, -2.0, np.inf]]),
    np.int32([3, -4]),
    np.int32(7),
    np.array([b"a\x00", b""], object),
    np.zeros((0, 4), np.float32),
    np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{list(array.shape)}")
def test_tensorflow_reads_what_is_written_and_the_other_way_round(array):
    array, request = np.asarray(array), messages.PredictRequest()
    messages.write_tensor(request.inputs["one"], array)
    written = tensor_pb2.TensorProto.FromString(request.inputs["one"].SerializeToString())
    np.testing.assert_array_equal(tf.make_ndarray(written), array)
    in_fields = tensor_pb2.TensorProto(dtype=written.dtype, tensor_shape=written.tensor_shape)
    field = {types_pb2.DT_FLOAT: "float_val", types_pb2.DT_INT32: "int_val", types_pb2.DT_STRING: "string_val"}
    getattr(in_fields, field[written.dtype]).extend(array.ravel().tolist())
    for theirs in (tf.make_tensor_proto(array), in_fields):  # the values as bytes, and as a field of numbers
        request.inputs["other"].ParseFromString(theirs.SerializeToString())
        found = messages.arrays(request.inputs)["other"]
        np.testing.assert_array_equal(found, array)
        assert found.dtype == array.dtype and found.shape == array.shape and found.flags.writeable


def test_other_dtypes_are_refused():
    with pytest.raises(ServingError, match="A tensor can be float32, int32, string; got float64"):
        messages.write_tensor(messages.PredictRequest().inputs["image"], np.zeros(2))
