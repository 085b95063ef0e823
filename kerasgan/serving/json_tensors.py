"""Tensors in TensorFlow Serving's JSON: by rows ("instances") or by columns ("inputs"), bytes as {"b64": ...}."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from kerasgan.errors import ServingError
from kerasgan.scans.contract import Signature

Format = Literal["instances", "inputs"]
KINDS = {"float32": "iuf", "int32": "iu"}  # of NumPy, which JSON's numbers may have become
B64 = "b64"
BYTES_SUFFIX = "_bytes"


def parse(body: bytes) -> tuple[dict[str, Any], str, Format]:
    """A request: its content, the name of its signature ("" for the default one), and its format.

    Raises:
        ServingError: INVALID_ARGUMENT, where it is no such request.
    """
    try:
        content = json.loads(body)
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
    """The inputs of a request; strings as object arrays of bytes.

    Raises:
        ServingError: INVALID_ARGUMENT, where names or types are not those of the signature.
    """
    columns = _columns(content[layout], signature) if layout == "instances" else _named(content[layout], signature)
    if set(columns) != set(signature.inputs):
        raise _bad(f"Needs the inputs {', '.join(sorted(signature.inputs))}; got {', '.join(sorted(columns))}.")
    return {name: _array(name, values, signature.inputs[name].dtype) for name, values in columns.items()}


def written_tensors(outputs: Mapping[str, np.ndarray], layout: Format) -> dict[str, Any]:
    """The content of a reply in the format of its request; a single output goes without its name."""
    columns = {name: _values(name, array) for name, array in outputs.items()}
    alone = next(iter(columns.values())) if len(columns) == 1 else None
    if layout == "inputs":
        return {"outputs": columns if alone is None else alone}
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return {"predictions": rows if alone is None else alone}


def encoded(value: bytes) -> dict[str, str]:
    """Bytes as JSON carries them."""
    return {B64: base64.b64encode(value).decode()}


def _named(given: Any, signature: Signature) -> dict[str, Any]:
    if isinstance(given, dict) and not _is_bytes(given):
        return given
    if len(signature.inputs) > 1:
        raise _bad(f"'inputs' must be an object with {', '.join(sorted(signature.inputs))}; got a plain value.")
    return {next(iter(signature.inputs)): given}


def _columns(rows: Any, signature: Signature) -> dict[str, list[Any]]:
    if not isinstance(rows, list) or not rows:
        raise _bad("'instances' must be a list of at least one value.")
    named = [_named(row, signature) for row in rows]
    if any(set(row) != set(named[0]) for row in named):
        raise _bad("All 'instances' need the same keys.")
    return {name: [row[name] for row in named] for name in named[0]}


def _array(name: str, values: Any, dtype: str) -> np.ndarray:
    if dtype == "string":
        return _strings(name, values)
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


def _strings(name: str, values: Any) -> np.ndarray:
    if not isinstance(values, list):
        raise _bad(f"{name} must be a list.")
    array = np.empty(len(values), object)
    array[:] = [_bytes(name, value) for value in values]
    return array


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


def _values(name: str, array: np.ndarray) -> Any:
    if array.dtype != object:
        return array.tolist()
    return [encoded(value) if name.endswith(BYTES_SUFFIX) else value.decode() for value in array]


def _bad(message: str) -> ServingError:
    return ServingError(message, "INVALID_ARGUMENT")
