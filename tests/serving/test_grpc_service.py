"""The official stubs against a running server; codes as TensorFlow Serving gives them."""

import socket
import threading
import time

import grpc
import numpy as np
import pytest
import tensorflow as tf
from needed import official
from tensorflow.core.framework import types_pb2

from kerasgan.serving import grpc_service

get_model_metadata_pb2 = official("apis.get_model_metadata_pb2")
get_model_status_pb2 = official("apis.get_model_status_pb2")
model_management_pb2 = official("apis.model_management_pb2")
model_service_pb2_grpc = official("apis.model_service_pb2_grpc")
predict_pb2 = official("apis.predict_pb2")
prediction_service_pb2_grpc = official("apis.prediction_service_pb2_grpc")

NAME = "mr2ct"


@pytest.fixture(scope="module")
def channel(server):
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as opened:
        yield opened


@pytest.fixture
def predict(channel):
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

    def call(signature, name=NAME, version=None, label=None, output_filter=(), **inputs):
        request = predict_pb2.PredictRequest(output_filter=output_filter)
        request.model_spec.name, request.model_spec.signature_name = name, signature
        if version is not None:
            request.model_spec.version.value = version
        if label is not None:
            request.model_spec.version_label = label
        for tensor, value in inputs.items():
            request.inputs[tensor].CopyFrom(tf.make_tensor_proto(value))
        return stub.Predict(request, timeout=20)

    return call


def refused(call, *arguments, **options):
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, **options)
    return caught.value.code().name, caught.value.details()


@pytest.mark.parametrize("signature", ["serving_default", "", "serving_default_ba", "serving_windowed"])
def test_floats_in_both_directions(predict, model, slices, signature):
    image = slices(3)
    extra = {"window": np.float32([[0, 300]] * 3)} if "windowed" in signature else {}
    response = predict(signature, image=image, **extra)
    assert response.model_spec.version.value == 1 and response.model_spec.name == NAME
    assert response.model_spec.signature_name == (signature or "serving_default")
    expected = model.predict(signature or "serving_default", {"image": image, **extra})["synthetic"]
    np.testing.assert_allclose(tf.make_ndarray(response.outputs["synthetic"]), expected, atol=1e-3)


@pytest.mark.parametrize(("suffix", "low"), [("", 0), ("_ba", -1000)])
def test_raw_pixels_in_both_directions(predict, model, suffix, low):
    stored = np.arange(6 * 4, dtype="<i2").reshape(1, 6, 4, 1) * 50  # 1200 at most, and its last byte is zero
    stored[0, -1, -1] = 256
    raw = {"pixels_bytes": [stored.tobytes()], "rows": [6], "columns": [4]}
    response = predict(f"serving_bytes{suffix}", **raw, slope=np.float32([1]), intercept=np.float32([low]))
    (content,) = tf.make_ndarray(response.outputs["synthetic_bytes"])
    image = stored.astype(np.float32) + low
    expected = model.predict(f"serving_default{suffix}", {"image": image})["synthetic"]
    step = (320 - 0) / 32767 if suffix else 1
    found = np.frombuffer(content, "<i2").reshape(1, 6, 4, 1) * step
    np.testing.assert_allclose(found, expected, atol=0.51 * step + 1e-3)


def test_only_the_output_that_is_asked_for(predict, slices):
    assert list(predict("", image=slices(1), output_filter=["synthetic"]).outputs) == ["synthetic"]
    code, text = refused(predict, "", image=slices(1), output_filter=["other"])
    assert code == "INVALID_ARGUMENT" and "output tensor alias not found in signature: other" in text


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ({"name": "other"}, "NOT_FOUND", "Servable not found for request: Latest(other)"),
        ({"version": 7}, "NOT_FOUND", "Servable not found for request: Specific(mr2ct, 7)"),
        ({"label": "canary"}, "INVALID_ARGUMENT", "Unrecognized servable version label: canary"),
        ({"signature": "serve"}, "FAILED_PRECONDITION", 'Serving signature key "serve" not found.'),
        (
            {"image": np.zeros((1, 8, 8, 1))},
            "INVALID_ARGUMENT",
            "its dtype is float64; a served model takes float32, int32",
        ),
        ({"image": np.zeros((8, 8, 1), np.float32)}, "INVALID_ARGUMENT", "float32 [batch, height, width, 1]; got"),
        ({"image": np.zeros((1, 8, 8, 3), np.float32)}, "INVALID_ARGUMENT", "got float32 [1, 8, 8, 3]"),
        ({"image": np.zeros((0, 8, 8, 1), np.float32)}, "INVALID_ARGUMENT", "at least 1; got [0]"),
        ({"image": [b"text"]}, "INVALID_ARGUMENT", "got string [1]"),
        ({"image": np.full((1, 8, 8, 1), np.nan, np.float32)}, "INVALID_ARGUMENT", "NaN or infinite values"),
        ({"image": np.zeros((1, 8, 8, 1), np.float32)}, "INVALID_ARGUMENT", "constant image"),
        ({"picture": np.zeros((1, 8, 8, 1), np.float32)}, "INVALID_ARGUMENT", "takes the inputs image; got picture"),
        ({}, "INVALID_ARGUMENT", "takes the inputs image; got none"),
    ],
)
def test_refused_requests(predict, options, code, said):
    found, text = refused(predict, **{"signature": "", **options})
    assert found == code and said in text, (found, text)


def test_pixels_that_do_not_fit(predict):
    floats = {"slope": np.float32([1]), "intercept": np.float32([0])}
    code, text = refused(predict, "serving_bytes", pixels_bytes=[b"1234"], rows=[2], columns=[2], **floats)
    assert code == "INVALID_ARGUMENT" and "Each image needs rows * columns * 2 bytes" in text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda tensor: setattr(tensor, "tensor_content", tensor.tensor_content[:-4]), "needs 480 values"),
        (lambda tensor: setattr(tensor.tensor_shape.dim[1], "size", 2**40), "needs 21990232555520 values, and it"),
        (lambda tensor: setattr(tensor.tensor_shape.dim[1], "size", -1), "-1, 20, 1] has unknown or negative lengths"),
        (lambda tensor: setattr(tensor.tensor_shape, "unknown_rank", True), "has unknown or negative lengths"),
        (lambda tensor: tensor.tensor_shape.dim.extend(5 * [tensor.tensor_shape.dim[0]]), "more than 8 axes"),
        (lambda tensor: setattr(tensor, "dtype", 99), "99"),
        (lambda tensor: setattr(tensor, "dtype", 0), "0"),
        (lambda tensor: setattr(tensor, "dtype", types_pb2.DT_VARIANT), "its dtype is number 21; a served model takes"),
        (lambda tensor: setattr(tensor, "dtype", types_pb2.DT_RESOURCE), "its dtype is number 20"),
        (lambda tensor: setattr(tensor, "dtype", types_pb2.DT_FLOAT_REF), "its dtype is number 101"),
        (lambda tensor: setattr(tensor, "dtype", types_pb2.DT_STRING), "needs 480 values"),
    ],
)
def test_tensors_of_other_content_than_they_say(channel, slices, change, said):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = NAME
    request.inputs["image"].CopyFrom(tf.make_tensor_proto(slices(1)))
    change(request.inputs["image"])
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    code, text = refused(stub.Predict, request, timeout=20)
    assert code == "INVALID_ARGUMENT" and "Tensor image is malformed" in text and said in text


def test_a_few_bytes_that_claim_a_gigabyte(server, channel, predict, slices):
    """One value for each of 16000 x 16000 pixels, which TensorFlow would repeat."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = NAME
    tensor = request.inputs["image"]
    tensor.dtype = types_pb2.DT_FLOAT
    for size in (1, 16000, 16000, 1):
        tensor.tensor_shape.dim.add(size=size)
    tensor.float_val.append(1.0)
    assert request.ByteSize() < 70
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    code, text = refused(stub.Predict, request, timeout=20)
    assert code == "INVALID_ARGUMENT" and "shape [1, 16000, 16000, 1] needs 256000000 values" in text
    assert predict("", image=slices(1)).outputs


def test_images_that_the_network_has_no_memory_for(serve, slices):
    """16 channels of float32 a pixel; 64 times 128 KiB for all."""
    server = serve(message_bytes=2**17)
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

        def ask(signature, images, **more):
            request = predict_pb2.PredictRequest()
            request.model_spec.name, request.model_spec.signature_name = NAME, signature
            for name, array in {"image": images, **more}.items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
            return stub.Predict(request, timeout=60)

        assert ask("", slices(1, 150, 200)).outputs
        server._backend.batcher.memory = 2**20
        code, text = refused(ask, "", slices(1, 150, 200))
        assert code == "RESOURCE_EXHAUSTED"
        assert "takes about 2 MiB for these images, and this server gives it 1 MiB. Send smaller ones" in text
        assert refused(ask, "", slices(5, 64, 64))[0] == "RESOURCE_EXHAUSTED"  # slices of one scan stay together
        windows = np.float32([[0, 300]] * 5)
        assert (
            ask("serving_windowed", slices(5, 64, 64), window=windows).outputs["synthetic"].tensor_shape.dim[0].size
            == 5
        )


def test_the_contract_again_and_again(predict):
    assert len(predict("contract", index=np.zeros(16, np.int32)).outputs["contract"].string_val) == 16
    code, text = refused(predict, "contract", index=np.zeros(100_000, np.int32))
    assert code == "INVALID_ARGUMENT" and "ask for the contract 16 times at most; got 100000" in text


def test_an_output_that_is_asked_for_twice(predict, slices):
    code, text = refused(predict, "", image=slices(1), output_filter=["synthetic", "synthetic"])
    assert (code, text) == ("INVALID_ARGUMENT", "duplicate output tensor alias: synthetic")


def test_long_names_do_not_break_the_status(predict, slices):
    code, text = refused(predict, "", **{"x" * 100_000: slices(1)})
    assert code == "INVALID_ARGUMENT" and len(text) == 1000


def test_a_call_whose_message_never_comes_is_given_up(serve, slices, monkeypatch):
    monkeypatch.setattr(grpc_service, "SILENT_S", 0.2)
    server, silent = serve(), threading.Event()
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        method = "/tensorflow.serving.PredictionService/Predict"
        waiting = [channel.stream_unary(method).future(iter(silent.wait, None)) for _ in range(40)]  # more than threads
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        request = predict_pb2.PredictRequest()
        request.model_spec.name = NAME
        request.inputs["image"].CopyFrom(tf.make_tensor_proto(slices(1)))
        assert stub.Predict(request, timeout=20).outputs
        for call in waiting:
            with pytest.raises(grpc.RpcError) as caught:
                call.result(20)
            assert caught.value.code().name == "CANCELLED"
        silent.set()


def test_a_reply_that_nobody_takes_is_given_up_and_its_room_with_it(serve, slices, monkeypatch):
    monkeypatch.setattr(grpc_service, "REPLY_S", 0.3)
    server = serve()
    room, window = server._backend.room, [("grpc.http2.lookahead_bytes", 2**16), ("grpc.http2.bdp_probe", 0)]
    free = room._free
    request = predict_pb2.PredictRequest()
    request.model_spec.name = NAME
    request.inputs["image"].CopyFrom(tf.make_tensor_proto(slices(1, 800, 800)))
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}", options=window) as channel:
        call = channel.unary_stream("/tensorflow.serving.PredictionService/Predict")
        answer = call(request.SerializeToString(), timeout=20)  # asks for no message before somebody iterates
        end = time.monotonic() + 20
        while room._free == free:
            assert time.monotonic() < end, "it is not read"
            time.sleep(0.01)
        while room._free != free:
            assert time.monotonic() < end, "it is not given back"
            time.sleep(0.01)
        assert answer is not None


def test_a_call_without_a_message(channel):
    call = channel.stream_unary("/tensorflow.serving.PredictionService/Predict")
    assert refused(call, iter(()), timeout=20) == ("INVALID_ARGUMENT", "The call has no message.")


def test_connections_that_say_nothing_are_ended(serve, monkeypatch):
    monkeypatch.setattr(grpc_service, "HANDSHAKE_S", 0.2)
    server = serve()
    started = b"PRI * HTTP/2.0\r\n\r\nSM"
    for said in (b"", started[:9], started):
        with socket.create_connection(("127.0.0.1", server.grpc_port), timeout=20) as connection:
            connection.sendall(said)
            while connection.recv(1000):
                pass  # its settings, and then the end


def test_there_are_only_so_many_connections(serve, monkeypatch):
    monkeypatch.setattr(grpc_service, "CONNECTIONS", 3)
    server = serve()
    opened = [socket.create_connection(("127.0.0.1", server.grpc_port), timeout=20) for _ in range(5)]
    for refused_one in opened[3:]:
        assert refused_one.recv(1000) == b""
    for one in opened:
        one.close()


def test_a_truncated_message_leaves_the_server_alive(channel, predict, slices):
    request = predict_pb2.PredictRequest()
    request.inputs["image"].CopyFrom(tf.make_tensor_proto(slices(1)))
    call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    code, _ = refused(call, request.SerializeToString()[:-9], timeout=20)
    assert code == "INTERNAL"
    assert predict("", image=slices(1)).outputs


def test_a_request_without_a_model(channel):
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    assert refused(stub.Predict, predict_pb2.PredictRequest(), timeout=20) == ("INVALID_ARGUMENT", "Missing ModelSpec")


def test_metadata(channel):
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = NAME
    response = stub.GetModelMetadata(request, timeout=20)
    found = get_model_metadata_pb2.SignatureDefMap()
    assert response.model_spec.version.value == 1 and response.metadata["signature_def"].Unpack(found)
    names = ["serving_default", "serving_windowed", "serving_bytes", "serving_bytes_windowed"]
    assert set(found.signature_def) == {*names, "serving_default_ba", "serving_bytes_ba", "contract"}
    image = found.signature_def["serving_default"].inputs["image"]
    assert [dim.size for dim in image.tensor_shape.dim] == [-1, -1, -1, 1]
    request.metadata_field[:] = ["other"]
    assert refused(stub.GetModelMetadata, request, timeout=20)[0] == "INVALID_ARGUMENT"


def test_status(channel):
    stub = model_service_pb2_grpc.ModelServiceStub(channel)
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = NAME
    (status,) = stub.GetModelStatus(request, timeout=20).model_version_status
    assert status.version == 1 and status.state == get_model_status_pb2.ModelVersionStatus.AVAILABLE
    request.model_spec.version.value = 4
    expected = ("NOT_FOUND", "Could not find version 4 of model mr2ct")
    assert refused(stub.GetModelStatus, request, timeout=20) == expected


def test_reloading_by_request_is_not_implemented(channel):
    stub = model_service_pb2_grpc.ModelServiceStub(channel)
    request = model_management_pb2.ReloadConfigRequest()
    assert refused(stub.HandleReloadConfigRequest, request, timeout=20)[0] == "UNIMPLEMENTED"
