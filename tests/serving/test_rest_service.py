"""An HTTP client against a running server; statuses as TensorFlow Serving gives them."""

import base64
import socket

import numpy as np
import pytest
import requests


@pytest.fixture(scope="module")
def base(server):
    return f"http://127.0.0.1:{server.rest_port}"


@pytest.fixture
def predict(base):
    def call(content, path="/v1/models/mr2ct:predict"):
        kind = {"data": content} if isinstance(content, bytes | str) else {"json": content}
        return requests.post(base + path, **kind, timeout=20)

    return call


@pytest.mark.parametrize("path", ["/v1/models/mr2ct:predict", "/v1/models/mr2ct/versions/1:predict"])
@pytest.mark.parametrize(("signature", "low"), [("", 0), ("serving_default_ba", -1000)])
def test_rows_and_columns_in_both_directions(predict, model, slices, path, signature, low):
    image = slices(2, 6, 5) + low
    expected = model.predict(signature or "serving_default", {"image": image})["synthetic"]
    for content, key in (
        ({"instances": image.tolist()}, "predictions"),
        ({"instances": [{"image": one.tolist()} for one in image]}, "predictions"),
        ({"inputs": {"image": image.tolist()}}, "outputs"),
        ({"inputs": image.tolist()}, "outputs"),
    ):
        reply = predict(content | ({"signature_name": signature} if signature else {}), path)
        assert reply.status_code == 200 and list(reply.json()) == [key]
        np.testing.assert_allclose(reply.json()[key], expected, atol=1e-3)


def test_raw_pixels_as_base64(predict, model):
    stored = (np.arange(2 * 6 * 4, dtype="<i2") * 8).reshape(2, 6, 4, 1)
    instances = [
        {
            "pixels_bytes": {"b64": base64.b64encode(one.tobytes()).decode()},
            "rows": 6,
            "columns": 4,
            "slope": 1,
            "intercept": 0,
        }
        for one in stored
    ]
    reply = predict({"signature_name": "serving_bytes", "instances": instances})
    found = [np.frombuffer(base64.b64decode(one["b64"]), "<i2") for one in reply.json()["predictions"]]
    expected = model.predict("serving_default", {"image": stored.astype(np.float32)})["synthetic"]
    np.testing.assert_allclose(np.reshape(found, expected.shape), expected, atol=0.51)


IMAGE = [[[[1.0]]]]


@pytest.mark.parametrize(
    ("path", "content", "status", "said"),
    [
        ("/v1/models/other:predict", {"instances": IMAGE}, 404, "Servable not found for request: Latest(other)"),
        ("/v1/models/mr2ct/versions/9:predict", {"instances": IMAGE}, 404, "Specific(mr2ct, 9)"),
        ("/v1/models/mr2ct/labels/new:predict", {"instances": IMAGE}, 400, "Unrecognized servable version label: new"),
        ("/v1/models/mr2ct:classify", {"instances": IMAGE}, 400, "Malformed request: POST /v1/models/mr2ct:classify"),
        ("/v1/models/mr2ct", {"instances": IMAGE}, 400, "Malformed request: POST /v1/models/mr2ct"),
        ("/v1/models/mr2ct:predict", {"instances": IMAGE, "signature_name": "x"}, 400, 'signature key "x" not found'),
        ("/v1/models/mr2ct:predict", '{"instances": [[[[1.0', 400, "JSON Parse error"),
        ("/v1/models/mr2ct:predict", {"instances": [[[["1"]]]]}, 400, "not of expected type: float32"),
        ("/v1/models/mr2ct:predict", {"instances": [1.0]}, 400, "got float32 [1]"),
        (
            "/v1/models/mr2ct:predict",
            {"inputs": {"picture": IMAGE}},
            400,
            "needs exactly the inputs image; got picture",
        ),
        ("/v1/models/mr2ct:predict", '{"instances": [[[[NaN]]]]}', 400, "NaN or infinite values"),
        ("/v1/models/mr2ct:predict", '{"instances": [[[[1e99]]]]}', 400, "NaN or infinite values"),
    ],
)
def test_refused_requests(predict, path, content, status, said):
    reply = predict(content, path)
    assert reply.status_code == status and list(reply.json()) == ["error"]
    assert said in reply.json()["error"]


def test_status(base):
    for path in ("/v1/models/mr2ct", "/v1/models/mr2ct/versions/1"):
        (found,) = requests.get(base + path, timeout=20).json()["model_version_status"]
        expected = {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        assert found == expected
    missing = requests.get(f"{base}/v1/models/mr2ct/versions/3", timeout=20)
    assert missing.status_code == 404 and missing.json() == {"error": "Could not find version 3 of model mr2ct"}
    assert requests.get(f"{base}/v1/models/mr2ct/labels/new", timeout=20).status_code == 400


def test_metadata(base):
    content = requests.get(f"{base}/v1/models/mr2ct/metadata", timeout=20).json()
    assert content["model_spec"] == {"name": "mr2ct", "signature_name": "", "version": "1"}
    image = content["metadata"]["signature_def"]["signature_def"]["serving_default"]["inputs"]["image"]
    assert image["dtype"] == "DT_FLOAT" and [dim["size"] for dim in image["tensor_shape"]["dim"]] == ["-1"] * 3 + ["1"]


def test_other_paths_and_methods(base):
    assert requests.get(f"{base}/elsewhere", timeout=20).status_code == 404
    assert requests.delete(f"{base}/v1/models/mr2ct", timeout=20).status_code == 400


def test_figures_and_health(base, predict, slices):
    def successes():
        text = requests.get(f"{base}/monitoring/prometheus/metrics", timeout=20).text
        prefix = ':tensorflow:serving:request_count{model_name="mr2ct",status="OK"} '
        return sum(int(line.removeprefix(prefix)) for line in text.splitlines() if line.startswith(prefix))

    before = successes()
    assert predict({"instances": slices(1, 4, 4).tolist()}).status_code == 200
    assert successes() == before + 1
    assert requests.get(f"{base}/health", timeout=20).json() == {"status": "SERVING", "models": ["mr2ct"]}


def test_a_body_that_ends_early_leaves_the_server_alive(base, server):
    with socket.create_connection(("127.0.0.1", server.rest_port)) as connection:
        connection.sendall(b"POST /v1/models/mr2ct:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{")
    assert requests.get(f"{base}/health", timeout=20).status_code == 200


def test_replies_do_not_wait_for_the_acknowledgement_of_their_headers(server):
    assert server._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)  # accepted sockets inherit it
