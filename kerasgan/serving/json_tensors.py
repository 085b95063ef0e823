"""Tensors in TensorFlow Serving's JSON: by rows ("instances") or by columns ("inputs"), bytes as {"b64": ...}."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from kerasgan.errors import ServingError
from kerasgan.scans.contract import Signature

Format = Literal["instances", "inputs"]
KINDS = {"float32": "iuf", "int32": "iu"}  # NumPy's kinds that JSON's numbers may have become
B64 = "b64"
BYTES_SUFFIX = "_bytes"


def parse(body: bytes | bytearray) -> tuple[dict[str, Any], str, Format]:
    """Reads a request: its content, the name of its signature ("" for the default one), and its format.

    Args:
        body: The body of the HTTP request.

    Raises:
        ServingError: INVALID_ARGUMENT, if it is no such request.

    Example:
        >>> parse(b'{"inputs": [1.5]}')
        ({'inputs': [1.5]}, '', 'inputs')
    """
    try:
        content = json.loads(body.decode())
        if re.search(rb"\\u[dD][89a-fA-F]", body):
            json.dumps(content, ensure_ascii=False).encode()  # half of a surrogate pair is no character
    except (ValueError, RecursionError) as error:
        raise _bad(f"JSON Parse error: {error}") from error
    if not isinstance(content, dict):
        raise _bad("The request must be a JSON object.")
    signature = content.get("signature_name", "")
    if not isinstance(signature, str):
        raise _bad("'signature_name' key must be a string value.")
    if ("instances" in content) == ("inputs" in content):
        raise _bad("Missing 'inputs' or 'instances' key, or both given; give one of them.")
    return content, signature, "instances" if "instances" in content else "inputs"


def read_tensors(content: dict[str, Any], layout: Format, signature: Signature) -> dict[str, np.ndarray]:
    """Reads the inputs of a request; strings become object arrays of bytes.

    Args:
        content: The content of the request, see `parse`.
        layout: The format of the request.
        signature: The signature that is asked.

    Raises:
        ServingError: INVALID_ARGUMENT, if names or types are not those of the signature.
    """
    given = content[layout]
    if layout == "inputs":
        columns = _named(given, signature)
    else:
        if not isinstance(given, list) or not given:
            raise _bad("'instances' must be a list of at least one value.")
        rows = [_named(row, signature) for row in given]
        if any(set(row) != set(rows[0]) for row in rows):
            raise _bad("All 'instances' need the same keys.")
        columns = {name: [row[name] for row in rows] for name in rows[0]}
    if set(columns) != set(signature.inputs):
        wanted, got = (", ".join(sorted(names)) for names in (signature.inputs, columns))
        raise _bad(f"The request needs exactly the inputs {wanted}; got {got}.")
    return {name: _array(name, values, signature.inputs[name].dtype) for name, values in columns.items()}


def written_tensors(outputs: Mapping[str, np.ndarray], layout: Format) -> dict[str, Any]:
    """Writes a reply in the format of its request; a single output goes without its name.

    Args:
        outputs: The arrays by name; those that end in `_bytes` become base64.
        layout: The format of the request.

    Example:
        >>> written_tensors({"synthetic": np.array([[1.5]])}, "instances")
        {'predictions': [[1.5]]}
    """
    columns = {}
    for name, array in outputs.items():
        if array.dtype != object:
            columns[name] = array.tolist()
        else:
            is_raw = name.endswith(BYTES_SUFFIX)
            columns[name] = [base64_json(value) if is_raw else value.decode() for value in array]
    alone = next(iter(columns.values())) if len(columns) == 1 else None
    if layout == "inputs":
        return {"outputs": columns if alone is None else alone}
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return {"predictions": rows if alone is None else alone}


def base64_json(value: bytes) -> dict[str, str]:
    """Writes bytes as TensorFlow Serving's JSON carries them.

    Example:
        >>> base64_json(b"a")
        {'b64': 'YQ=='}
    """
    return {B64: base64.b64encode(value).decode()}


def _named(given: Any, signature: Signature) -> dict[str, Any]:
    if isinstance(given, dict) and not _is_bytes(given):
        return given
    if len(signature.inputs) > 1:
        raise _bad(f"'inputs' must be an object with {', '.join(sorted(signature.inputs))}; got a plain value.")
    return {next(iter(signature.inputs)): given}


def _array(name: str, values: Any, dtype: str) -> np.ndarray:
    if dtype == "string":
        if not isinstance(values, list):
            raise _bad(f"{name} must be a list.")
        strings = np.empty(len(values), object)
        strings[:] = [_bytes(name, value) for value in values]
        return strings
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise _bad(f"The lists of {name} have different lengths.") from error
    if array.dtype.kind not in KINDS[dtype]:
        raise _bad(f"The values of {name} are not of expected type: {dtype}.")
    with np.errstate(over="ignore"):  # becomes infinite, which the model refuses
        converted = array.astype(dtype)
    if dtype == "int32" and (converted != array).any():
        raise _bad(f"The values of {name} do not fit into int32.")
    return converted


def _bytes(name: str, value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if not _is_bytes(value):
        raise _bad(f'The values of {name} are not of expected type: string, or {{"b64": ...}} for bytes.')
    try:
        return base64.b64decode(value[B64], validate=True)
    except (binascii.Error, ValueError) as error:
        raise _bad(f"Unable to base64 decode {name}: {error}.") from error


def _is_bytes(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {B64} and isinstance(value[B64], str)


def _bad(message: str) -> ServingError:
    return ServingError(message, "INVALID_ARGUMENT")
