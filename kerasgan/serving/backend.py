"""What REST and gRPC share: a request goes to a model, through the batcher, and is counted."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from kerasgan.errors import ServingError
from kerasgan.scans.contract import Signature
from kerasgan.scans.names import DEFAULT
from kerasgan.serving.batching import Batcher
from kerasgan.serving.figures import Figures
from kerasgan.serving.model import Arrays, Model
from kerasgan.serving.store import Store, Wanted

Reader = Callable[[Signature], Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class Backend:
    """The parts of a server behind its ports.

    Attributes:
        store: Of models.
        token: That every request has to bring; None for none.
    """

    store: Store
    token: str | None = None
    batcher: Batcher = field(default_factory=Batcher)
    figures: Figures = field(default_factory=Figures)

    def predict(self, wanted: Wanted, signature: str, read: Reader, entrypoint: str) -> tuple[Model, Arrays]:
        """The model that answered, and its outputs.

        Args:
            wanted: The model.
            signature: Its name, "" for the default one.
            read: The inputs from the request, for a signature.
            entrypoint: GRPC or REST.

        Raises:
            ServingError: Where the request is refused.
        """
        signature = signature or DEFAULT
        known = wanted.name if wanted.name in self.store.names() else ""
        with self.figures.request(known, entrypoint):
            model = self.store.find(wanted)
            return model, self.batcher.run(model, signature, read(model.signature(signature)))

    def authorise(self, header: str) -> None:
        """Makes sure that a request brings the token.

        Args:
            header: The content of `Authorization`.

        Raises:
            ServingError: UNAUTHENTICATED, where it does not.
        """
        if self.token and not hmac.compare_digest(header.encode(), f"Bearer {self.token}".encode()):
            raise ServingError("This server asks for a token: Authorization: Bearer TOKEN.", "UNAUTHENTICATED")
