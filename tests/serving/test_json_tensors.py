import base64
import json

import numpy as np
import pytest

from kerasgan.errors import ServingError
from kerasgan.scans.contract import Signature, Tensor
from kerasgan.serving.json_tensors import parse, read_tensors, written_tensors


def tensor(dtype):
    return Tensor(dtype=dtype, shape=(None,), axes=("batch",), meaning="")


ONE = Signature(inputs={"image": tensor("float32")}, outputs={})
TWO = Signature(inputs={"pixels_bytes": tensor("string"), "rows": tensor("int32")}, outputs={})
RAW = b"\x00\xff\x00\x00"
B64 = {"b64": base64.b64encode(RAW).decode()}


def read(content, signature):
    parsed, _, layout = parse(json.dumps(content).encode())
    return read_tensors(parsed, layout, signature)


def test_one_input_needs_no_name():
    for content in ({"instances": [[1, 2.5]]}, {"inputs": [[1, 2.5]]}, {"instances": [{"image": [1, 2.5]}]}):
        image = read(content, ONE)["image"]
        assert image.dtype == np.float32 and image.tolist() == [[1, 2.5]]


def test_rows_and_columns_of_several_inputs():
    rows = {"instances": [{"pixels_bytes": B64, "rows": 3}, {"pixels_bytes": "text", "rows": 4}]}
    columns = {"inputs": {"pixels_bytes": [B64, "text"], "rows": [3, 4]}}
    for content in (rows, columns):
        found = read(content, TWO)
        assert found["pixels_bytes"].tolist() == [RAW, b"text"]  # trailing zeros and all
        assert found["rows"].dtype == np.int32 and found["rows"].tolist() == [3, 4]


@pytest.mark.parametrize(
    ("content", "signature", "said"),
    [
        ({"instances": [["1"]]}, ONE, "values of image are not of expected type: float32"),
        ({"instances": [[True]]}, ONE, "values of image are not of expected type: float32"),
        ({"instances": [[1, 2], [3]]}, ONE, "lists of image have different lengths"),
        ({"instances": []}, ONE, "at least one value"),
        ({"instances": 3}, ONE, "'instances' must be a list"),
        ({"inputs": {"picture": [1]}}, ONE, "needs exactly the inputs image; got picture"),
        ({"inputs": [1]}, TWO, "'inputs' must be an object with pixels_bytes, rows"),
        ({"inputs": {"pixels_bytes": [B64], "rows": [1.5]}}, TWO, "values of rows are not of expected type: int32"),
        ({"inputs": {"pixels_bytes": [B64], "rows": [2**40]}}, TWO, "values of rows do not fit into int32"),
        ({"inputs": {"pixels_bytes": [{"b64": "*"}], "rows": [1]}}, TWO, "Unable to base64 decode pixels_bytes"),
        (
            {"inputs": {"pixels_bytes": [7], "rows": [1]}},
            TWO,
            "values of pixels_bytes are not of expected type: string",
        ),
        ({"inputs": {"pixels_bytes": B64, "rows": [1]}}, TWO, "pixels_bytes must be a list"),
        ({"instances": [{"pixels_bytes": B64, "rows": 1}, {"rows": 1}]}, TWO, "All 'instances' need the same keys"),
    ],
)
def test_wrong_tensors(content, signature, said):
    with pytest.raises(ServingError, match=said) as caught:
        read(content, signature)
    assert caught.value.code == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "JSON Parse error"),
        (b'{"instances": [1', "JSON Parse error"),
        (b"\xff", "JSON Parse error"),
        (b"[" * 100_000, "JSON Parse error"),
        (b"[1]", "must be a JSON object"),
        (b"{}", "Missing 'inputs' or 'instances' key"),
        (b'{"inputs": 1, "instances": 1}', "both given; give one of them"),
        (b'{"inputs": 1, "signature_name": 3}', "'signature_name' key must be a string value"),
    ],
)
def test_what_is_no_request(body, said):
    with pytest.raises(ServingError, match=said) as caught:
        parse(body)
    assert caught.value.code == "INVALID_ARGUMENT"


def test_replies_in_both_formats():
    stored = np.array([RAW, b"a"], object)
    image = np.float32([[1], [2]])
    assert written_tensors({"image": image}, "instances") == {"predictions": [[1], [2]]}
    assert written_tensors({"image": image}, "inputs") == {"outputs": [[1], [2]]}
    encoded = [B64, {"b64": "YQ=="}]
    assert written_tensors({"synthetic_bytes": stored}, "inputs") == {"outputs": encoded}
    both = {"image": image, "synthetic_bytes": stored}
    assert written_tensors(both, "inputs") == {"outputs": {"image": [[1], [2]], "synthetic_bytes": encoded}}
    assert written_tensors(both, "instances")["predictions"][1] == {"image": [2], "synthetic_bytes": {"b64": "YQ=="}}
    assert written_tensors({"contract": np.array([b"{}"], object)}, "inputs") == {"outputs": ["{}"]}
