"""Sends requests by REST: raw pixels go as base64, numbers as JSON."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path

import numpy as np
import requests
from urllib3.exceptions import ProtocolError

from kerasgan.errors import ServingError
from kerasgan.serving.json_tensors import B64, base64_json
from kerasgan.serving.protocol import Address, Inputs, code_of, refused, tls_fault

CHUNK = 2**16


class _Bearer(requests.auth.AuthBase):
    """A token or nothing; without this, requests would send what `~/.netrc` has for the host in place of either."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class RestTransport:
    """HTTP connections to a model.

    Args:
        address: Address of the model.
        token: The token for `Authorization`; None for none.
        certificate: PEM file with what to trust; None: the authorities that the system trusts.
    """

    def __init__(self, address: Address, token: str | None, certificate: Path | None) -> None:
        self.address = address
        self._session = requests.Session()
        self._session.auth = _Bearer(token)
        self._verified: str | bool = str(certificate) if certificate else True

    def predict(self, signature: str, inputs: Inputs, version: int | None, timeout_s: float) -> np.ndarray:
        """Asks for the one output of a signature, see `Transport`."""
        pinned = "" if version is None else f"/versions/{version}"
        url = f"{self.address.scheme}://{self.address.place}/v1/models/{self.address.model}{pinned}:predict"
        columns = {
            name: [base64_json(value) for value in array] if array.dtype == object else array.tolist()
            for name, array in inputs.items()
        }
        status, content = self._post(url, json.dumps({"signature_name": signature, "inputs": columns}), timeout_s)
        if status != requests.codes.ok:
            try:
                reason = str(json.loads(content)["error"])
            except (ValueError, KeyError, TypeError):
                reason = content[:200].decode(errors="replace") or "no reason given"
            raise refused(self.address, code_of(status), reason)
        try:
            values = json.loads(content)["outputs"]
            if not isinstance(values[0], dict | str):
                return np.asarray(values, np.float32)
            strings = np.empty(len(values), object)
            strings[:] = [base64.b64decode(one[B64]) if isinstance(one, dict) else one.encode() for one in values]
            return strings
        except (ValueError, KeyError, TypeError, IndexError) as error:
            message = f"{self.address} sent a reply that is none of TensorFlow Serving's REST interface."
            raise ServingError(message) from error

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
                        raise requests.Timeout(
                            f"the reply was not complete after {timeout_s:g} s; allow a longer time, or send fewer "
                            "slices at once"
                        )
                return response.status_code, bytes(content)
        except requests.Timeout as error:
            raise refused(self.address, "DEADLINE_EXCEEDED", error) from error
        except requests.RequestException as error:
            if fault := tls_fault(self.address, str(error)):
                raise fault from error
            # The reason without the layers of the libraries around it.
            inner = error.args[0] if error.args else error
            if isinstance(inner, ProtocolError):
                cause = inner.args[0]
            else:
                cause = str(getattr(inner, "reason", inner)).rpartition(": ")[2]
            raise refused(self.address, "UNAVAILABLE", cause) from error
