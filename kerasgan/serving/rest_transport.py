"""Requests by REST: raw pixels go as base64, numbers as JSON."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import requests
from urllib3.exceptions import ProtocolError

from kerasgan.errors import ServingError
from kerasgan.serving.address import Address
from kerasgan.serving.codes import code_of
from kerasgan.serving.json_tensors import B64, encoded
from kerasgan.serving.transports import Inputs, refused

CHUNK = 2**16


class RestTransport:
    """HTTP connections to a model.

    Args:
        address: Of the model.
        token: For `Authorization`.
        certificate: PEM file with what to trust.
    """

    def __init__(self, address: Address, token: str | None, certificate: Path | None) -> None:
        self.address = address
        self._session = requests.Session()
        if token:
            self._session.headers["Authorization"] = f"Bearer {token}"
        self._verified: str | bool = str(certificate) if certificate else True

    def predict(self, signature: str, inputs: Inputs, version: int | None, timeout_s: float) -> np.ndarray:
        """The one output of a signature."""
        pinned = "" if version is None else f"/versions/{version}"
        url = f"{self.address.scheme}://{self.address.place}/v1/models/{self.address.model}{pinned}:predict"
        columns = {name: _column(array) for name, array in inputs.items()}
        body = json.dumps({"signature_name": signature, "inputs": columns})
        status, content = self._post(url, body, timeout_s)
        if status != requests.codes.ok:
            raise refused(self.address, code_of(status), _reason(content))
        return _output(self.address, content)

    def close(self) -> None:
        """Ends the connections."""
        self._session.close()

    def _post(self, url: str, body: str, timeout_s: float) -> tuple[int, bytes]:
        end = time.monotonic() + timeout_s
        try:
            with self._session.post(url, body, timeout=timeout_s, verify=self._verified, stream=True) as response:
                content = bytearray()
                for chunk in response.iter_content(CHUNK):
                    content += chunk
                    if time.monotonic() > end:
                        raise requests.Timeout("the reply comes too slowly")
                return response.status_code, bytes(content)
        except requests.Timeout as error:
            raise refused(self.address, "DEADLINE_EXCEEDED", error) from error
        except requests.exceptions.SSLError as error:
            if "WRONG_VERSION_NUMBER" in str(error):
                raise ServingError(f"{self.address}: the server speaks no TLS; ask it by http://.") from error
            raise ServingError(f"{self.address}: the server's certificate is not trusted: {error}") from error
        except requests.RequestException as error:
            raise refused(self.address, "UNAVAILABLE", _cause(error)) from error


def _column(array: np.ndarray) -> list[Any]:
    return [encoded(value) for value in array] if array.dtype == object else array.tolist()


def _cause(error: requests.RequestException) -> object:
    """Why no reply came, without the layers of the libraries around it."""
    inner = error.args[0] if error.args else error
    if isinstance(inner, ProtocolError):
        return inner.args[0]
    return str(getattr(inner, "reason", inner)).rpartition(": ")[2]


def _reason(content: bytes) -> str:
    try:
        return str(json.loads(content)["error"])
    except (ValueError, KeyError, TypeError):
        return content[:200].decode(errors="replace") or "no reason given"


def _output(address: Address, content: bytes) -> np.ndarray:
    try:
        values = json.loads(content)["outputs"]
        return _strings(values) if isinstance(values[0], dict | str) else np.asarray(values, np.float32)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ServingError(f"{address} sent a reply that is none of TensorFlow Serving's REST interface.") from error


def _strings(values: list[Any]) -> np.ndarray:
    array = np.empty(len(values), object)
    array[:] = [base64.b64decode(value[B64]) if isinstance(value, dict) else value.encode() for value in values]
    return array
