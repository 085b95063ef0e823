"""An HTTP client against a running server; statuses as TensorFlow Serving gives them."""

import base64
import gzip
import json
import socket
import time
import zlib

import numpy as np
import pytest
import requests

from kerasgan.errors import ServingError


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


def body_of(slices):
    return json.dumps({"instances": slices(1, 6, 5).tolist()}).encode()


@pytest.fixture
def send(base):
    def call(body, encoding="gzip"):
        address = f"{base}/v1/models/mr2ct:predict"
        return requests.post(address, body, headers={"Content-Encoding": encoding}, timeout=20)

    return call


def test_a_compressed_body_is_decompressed(send, predict, slices):
    body = body_of(slices)
    expected = predict(body).json()
    half = len(body) // 2
    for compressed in (gzip.compress(body), gzip.compress(body[:half]) + gzip.compress(body[half:])):
        for sent in (compressed, (compressed[i : i + 7] for i in range(0, len(compressed), 7))):  # whole, and in chunks
            reply = send(sent)
            assert reply.status_code == 200 and reply.json() == expected


@pytest.mark.parametrize(
    ("change", "encoding", "said"),
    [
        (lambda body: gzip.compress(body)[:-9], "gzip", "The body in the format gzip is cut short."),
        (lambda body: b"", "gzip", "The body in the format gzip is cut short."),
        (lambda body: body, "gzip", "is not in the format gzip that its Content-Encoding names (Error -3"),
        (lambda body: gzip.compress(body) + b"more", "gzip", "is not in the format gzip"),
        (lambda body: zlib.compress(body), "deflate", "Content-Encoding deflate is unknown; send gzip, or none."),
        (lambda body: body, "gzip, gzip", "Content-Encoding gzip, gzip is unknown"),
    ],
)
def test_bodies_that_cannot_be_decompressed(send, slices, change, encoding, said):
    reply = send(change(body_of(slices)), encoding)
    assert reply.status_code == 400 and said in reply.json()["error"]


def test_a_body_that_grows_beyond_the_limit_is_refused(serve):
    server = serve(message_bytes=2**16)
    bomb = gzip.compress(bytes(10 * 2**20))
    assert len(bomb) < 2**14
    address = f"http://127.0.0.1:{server.rest_port}/v1/models/mr2ct:predict"
    reply = requests.post(address, bomb, headers={"Content-Encoding": "gzip"}, timeout=20)
    assert reply.status_code == 413 and "longer than this server's limit of 65536 bytes" in reply.json()["error"]


def test_there_is_only_so_much_room_for_all_requests(serve, slices):
    server = serve()
    address = f"http://127.0.0.1:{server.rest_port}/v1/models/mr2ct:predict"
    room = server._backend.room
    before = room._free
    room.take(before - 100)
    reply = requests.post(address, body_of(slices), timeout=20)
    assert reply.status_code == 503 and "busy with the requests of others; try again" in reply.json()["error"]
    room.take(100 - before)
    assert requests.post(address, body_of(slices), timeout=20).status_code == 200
    _wait_for(lambda: room._free == before)  # given back after the reply


def _wait_for(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.02)


@pytest.mark.parametrize(
    "body",
    [
        rb'{"signature_name": "\ud800", "instances": [1]}',
        rb'{"instances": ["\udc00"]}',
        rb'{"instances": [{"\uD8ff": 1}]}',
        b'{"signature_name": "\xed\xa0\x80", "instances": [1]}',
        '{"instances": [1]}'.encode("utf-16"),
    ],
)
def test_text_that_is_none_is_a_bad_request(predict, body):
    reply = predict(body)
    assert reply.status_code == 400 and "JSON Parse error" in reply.json()["error"]


def test_pairs_of_surrogates_are_characters(predict):
    reply = predict(rb'{"signature_name": "\ud83d\ude00", "instances": [1]}')
    assert reply.json() == {"error": 'Serving signature key "\N{GRINNING FACE}" not found.'}


def test_an_odd_host_is_not_our_concern(base, predict, slices):
    headers = {"Host": "["}
    reply = requests.post(f"{base}/v1/models/mr2ct:predict", body_of(slices), headers=headers, timeout=20)
    assert reply.status_code == 200


ORIGIN = "https://viewer.example.org"


def test_pages_of_an_origin_may_ask(serve, slices):
    server = serve(origins=(ORIGIN,), token="secret")
    address = f"http://127.0.0.1:{server.rest_port}/v1/models/mr2ct:predict"
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization, content-type"}
    reply = requests.options(address, headers={"Origin": ORIGIN, **asked}, timeout=20)
    assert reply.status_code == 200 and reply.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "Authorization" in reply.headers["Access-Control-Allow-Headers"]
    for headers in ({"Authorization": "Bearer secret"}, {}):  # a script reads why it is refused
        reply = requests.post(address, body_of(slices), headers={"Origin": ORIGIN, **headers}, timeout=20)
        assert reply.status_code == (200 if headers else 401)
        assert reply.headers["Access-Control-Allow-Origin"] == ORIGIN
    other = {"Origin": "https://other.example.org"}
    assert requests.options(address, headers={**other, **asked}, timeout=20).status_code == 400
    assert "Access-Control-Allow-Origin" not in requests.post(address, b"", headers=other, timeout=20).headers


def test_no_page_may_ask_by_default(base, slices):
    reply = requests.post(f"{base}/v1/models/mr2ct:predict", body_of(slices), headers={"Origin": ORIGIN}, timeout=20)
    assert reply.status_code == 200 and "Access-Control-Allow-Origin" not in reply.headers


@pytest.mark.parametrize(
    "origin", ["viewer.example.org", "https://viewer.example.org/page", "https://a/ https://b", ""]
)
def test_origins_that_are_none(serve, origin):
    with pytest.raises(ServingError, match=r"is no origin of a page\. Give its address without a path, such as https:"):
        serve(origins=(origin,))
