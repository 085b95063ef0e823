"""What REST and gRPC share: a request is authorised, waits for its turn, runs with others, and is counted."""

from __future__ import annotations

import hmac
import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kerasgan.errors import ServingError
from kerasgan.scans.contract import Signature
from kerasgan.scans.names import DEFAULT
from kerasgan.serving.metrics import RequestMetrics
from kerasgan.serving.models import Arrays, Model, Store, Wanted

LARGEST = 16  # images in a merged batch, as in batching.config
WAITING = 1024  # requests
WORKERS = 2


@dataclass(eq=False)
class _Request:
    """A request that waits.

    Attributes:
        key: Requests with equal keys may be merged; None for one whose batch is the slices of one scan.
        count: Number of images.
    """

    model: Model
    signature: str
    inputs: Mapping[str, np.ndarray]
    answer: Future[Arrays] = field(default_factory=Future)

    def __post_init__(self) -> None:
        self.count = len(next(iter(self.inputs.values())))
        self.key: Any = None
        if self.model.signature(self.signature).batch != "volume":
            # Rows and columns are int32: besides the shapes, their values must be equal.
            sizes = [(a.shape[1:], a[0] if a.dtype == np.int32 else None) for _, a in sorted(self.inputs.items())]
            self.key = (id(self.model), self.signature, *sizes)


class Batcher:
    """Runs requests in a few threads and merges those that wait; it never waits for more to come."""

    def __init__(self) -> None:
        self._waiting: deque[_Request] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._workers = [threading.Thread(target=self._work, daemon=True) for _ in range(WORKERS)]
        for worker in self._workers:
            worker.start()

    def run(self, model: Model, signature: str, inputs: Mapping[str, np.ndarray]) -> Arrays:
        """Runs a signature, once its turn has come.

        Args:
            model: The model.
            signature: Full name of the signature.
            inputs: The tensors by name.

        Returns:
            The outputs by name.

        Raises:
            ServingError: INVALID_ARGUMENT for bad inputs; UNAVAILABLE if too many wait, or the server stops.
        """
        model.check(signature, inputs)
        request = _Request(model, signature, inputs)
        with self._changed:
            if self._closed or len(self._waiting) >= WAITING:
                reason = "The server is stopping." if self._closed else "Too many requests are waiting."
                raise ServingError(reason, "UNAVAILABLE")
            self._waiting.append(request)
            self._changed.notify()
        return request.answer.result()

    def close(self) -> None:
        """Answers the requests that wait, and takes no more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for worker in self._workers:
            worker.join()

    def _work(self) -> None:
        while requests := self._next():
            _answer(requests)

    def _next(self) -> list[_Request]:
        """The request that waits longest and others that may be merged with it; none once closed and done."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if not self._waiting:
                return []
            taken = [self._waiting.popleft()]
            for request in [other for other in self._waiting if other.key is not None and other.key == taken[0].key]:
                if sum(one.count for one in taken) + request.count <= LARGEST:
                    taken.append(request)
                    self._waiting.remove(request)
            return taken


def _answer(requests: list[_Request]) -> None:
    first = requests[0]
    try:
        merged = {name: np.concatenate([one.inputs[name] for one in requests]) for name in first.inputs}
        outputs = first.model.predict(first.signature, merged)
    except Exception as error:
        if len(requests) == 1:
            first.answer.set_exception(error)
        else:  # one of them is bad; the others shall not suffer
            for request in requests:
                _answer([request])
        return
    ends = np.cumsum([request.count for request in requests])
    for request, end in zip(requests, ends, strict=True):
        part = slice(end - request.count, end)
        request.answer.set_result({name: output[part] for name, output in outputs.items()})


@dataclass(frozen=True)
class Backend:
    """The parts of a server behind its ports.

    Attributes:
        store: The models.
        token: The token that every request has to bring; None for none.
        batcher: Runs the requests.
        metrics: Counts the requests.
    """

    store: Store
    token: str | None = None
    batcher: Batcher = field(default_factory=Batcher)
    metrics: RequestMetrics = field(default_factory=RequestMetrics)

    def predict(
        self, wanted: Wanted, signature: str, read: Callable[[Signature], Mapping[str, np.ndarray]], entrypoint: str
    ) -> tuple[Model, Arrays]:
        """Answers a request.

        Args:
            wanted: The model that is asked for.
            signature: Full name of the signature, "" for the default one.
            read: Reads the inputs from the request, for a signature.
            entrypoint: `"GRPC"` or `"REST"`.

        Returns:
            The model that answered, and its outputs by name.

        Raises:
            ServingError: If the request is refused.
        """
        signature = signature or DEFAULT
        known = wanted.name if wanted.name in self.store.names() else ""
        with self.metrics.request(known, entrypoint):
            model = self.store.find(wanted)
            return model, self.batcher.run(model, signature, read(model.signature(signature)))

    def authorise(self, header: str) -> None:
        """Refuses a request without the token.

        Args:
            header: The content of `Authorization`.

        Raises:
            ServingError: UNAUTHENTICATED, if it does not.
        """
        if self.token and not hmac.compare_digest(header.encode(), f"Bearer {self.token}".encode()):
            raise ServingError("This server asks for a token: Authorization: Bearer TOKEN.", "UNAUTHENTICATED")
