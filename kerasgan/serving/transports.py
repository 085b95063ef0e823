"""One request to a server, by gRPC or by REST."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from kerasgan.errors import ServingError
from kerasgan.serving.address import Address

Inputs = Mapping[str, np.ndarray]

REMEDIES = {
    "NOT_FOUND": "kerasgan serve names its models when it starts; put one of them at the end of the address.",
    "UNAVAILABLE": "Check that a server runs there, that it is the port for gRPC or REST as the address says, and that "
    "grpcs or https stands for a server with TLS only.",
}


class Transport(Protocol):
    """Carries requests; safe to use from several threads."""

    def predict(self, signature: str, inputs: Inputs, version: int | None, timeout_s: float) -> np.ndarray:
        """The one output of a signature; strings as an object array of bytes.

        Args:
            signature: Its full name.
            inputs: By name; strings as object arrays of bytes.
            version: Of the model; None for the one that is served.
            timeout_s: Seconds until it is given up.

        Raises:
            ServingError: Where the server cannot be reached or refuses.
        """

    def close(self) -> None:
        """Ends the connections."""


def refused(address: Address, code: str, reason: object) -> ServingError:
    """The error for a request that was refused or did not arrive: by whom, why, and what to do.

    Args:
        address: Of the model.
        code: The name of gRPC's status.
        reason: As the server or the connection gives it.
    """
    text = f"{address}: {code}: {reason}"
    return ServingError(f"{text.rstrip('.')}. {REMEDIES[code]}" if code in REMEDIES else text, code)
