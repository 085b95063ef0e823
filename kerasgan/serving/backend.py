"""What REST and gRPC share: a request is authorised, waits for its turn, runs with others, and is counted."""

from __future__ import annotations

import hmac
import logging
import threading
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kerasgan.errors import ServingError
from kerasgan.serving.metrics import RequestMetrics
from kerasgan.serving.models import Arrays, Model, Store
from kerasgan.text import utc

LARGEST = 16  # images in a merged batch, as in batching.config
WORKERS = 2
REQUESTS = 4  # of the longest kind that are in memory at once
NETWORK = 64  # times the longest request: what the networks may take while they run

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class _Request:
    """A request that waits.

    Attributes:
        image_bytes: Memory that the network takes for one image.
        most: Images that run at once; all of them where a batch is the slices of one scan.
        key: Requests with equal keys may be merged; None for one whose batch is the slices of one scan.
        count: Number of images.
        memory: Bytes that the network takes for it.
    """

    model: Model
    signature: str
    inputs: Mapping[str, np.ndarray]
    image_bytes: int
    most: int
    answer: Future[Arrays] = field(default_factory=Future)

    def __post_init__(self) -> None:
        self.count = len(next(iter(self.inputs.values())))
        self.key: Any = None
        if self.model.signature(self.signature).batch != "volume":
            # Rows and columns are int32: besides the shapes, their values must be equal.
            sizes = [(a.shape[1:], a[0] if a.dtype == np.int32 else None) for _, a in sorted(self.inputs.items())]
            self.key = (id(self.model), self.signature, *sizes)
        self.most = self.count if self.key is None else max(1, min(self.most, LARGEST))
        self.memory = min(self.count, self.most) * self.image_bytes


class Batcher:
    """Runs requests in a few threads and merges those that wait; it never waits for more to come.

    Args:
        memory: Bytes that the networks may take together while they run.
    """

    def __init__(self, memory: int) -> None:
        self.memory, self._taken = memory, 0
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
            ServingError: INVALID_ARGUMENT for bad inputs; RESOURCE_EXHAUSTED for images that the network would take too
                much memory for; UNAVAILABLE if the server stops.
        """
        model.check(signature, inputs)
        image_bytes = model.image_bytes(inputs)
        request = _Request(model, signature, inputs, image_bytes, self.memory // WORKERS // image_bytes)
        if request.memory > self.memory:
            raise ServingError(
                f"The network takes about {request.memory / 2**20:.0f} MiB for these images, and this server gives it "
                f"{self.memory / 2**20:.0f} MiB. Send smaller ones, send the slices of an MR in parts with its window, "
                "or start the server with a larger --message-mb.",
                "RESOURCE_EXHAUSTED",
            )
        with self._changed:
            if self._closed:
                raise _stopping()
            self._waiting.append(request)
            self._changed.notify()
        return request.answer.result()

    def close(self) -> None:
        """Takes no more requests, refuses those that wait, and ends when those under way are answered."""
        with self._changed:
            self._closed = True
            while self._waiting:
                self._waiting.popleft().answer.set_exception(_stopping())
            self._changed.notify_all()
        for worker in self._workers:
            worker.join()

    def _work(self) -> None:
        while requests := self._next():
            _answer(requests)
            with self._changed:
                self._taken -= sum(one.memory for one in requests)
                self._changed.notify_all()

    def _next(self) -> list[_Request]:
        """The request that waits longest and others that may be merged with it; none once closed and done."""
        with self._changed:
            self._changed.wait_for(self._may_go_on)
            if not self._waiting:
                return []
            taken = [self._waiting.popleft()]
            for request in [other for other in self._waiting if other.key is not None and other.key == taken[0].key]:
                if sum(one.count for one in taken) + request.count <= taken[0].most:
                    taken.append(request)
                    self._waiting.remove(request)
            self._taken += sum(one.memory for one in taken)
            return taken

    def _may_go_on(self) -> bool:
        if not self._waiting:
            return self._closed
        return not self._taken or self._taken + self._waiting[0].memory <= self.memory


def _stopping() -> ServingError:
    return ServingError("The server is stopping.", "UNAVAILABLE")


def _answer(requests: list[_Request]) -> None:
    first = requests[0]
    try:
        merged = {name: np.concatenate([one.inputs[name] for one in requests]) for name in first.inputs}
        parts = []
        for start in range(0, sum(one.count for one in requests), first.most):
            some = {name: array[start : start + first.most] for name, array in merged.items()}
            parts.append(first.model.predict(first.signature, some))
        outputs = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
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


class Room:
    """The memory that the messages of all requests may take together.

    Args:
        most: Bytes.
    """

    def __init__(self, most: int) -> None:
        self._free, self._lock = most, threading.Lock()

    def take(self, count: int) -> None:
        """Takes some bytes, or gives -`count` of them back.

        Raises:
            ServingError: UNAVAILABLE, if the messages of others fill it.
        """
        with self._lock:
            if count > self._free:
                raise ServingError("The server is busy with the requests of others; try again.", "UNAVAILABLE")
            self._free -= count


class Backend:
    """The parts of a server behind its ports.

    Args:
        store: The models.
        message_bytes: Size of the longest request; the memory for all of them, and for the networks, goes by it.
        token: The token that every request has to bring; None for none.
        access_log: Whether each request is logged.

    Attributes:
        batcher: Runs the requests.
        metrics: Counts the requests.
        room: The memory of messages.
        reading: Held while a message becomes tensors or tensors a message, which takes many times its size.
    """

    def __init__(self, store: Store, message_bytes: int, token: str | None = None, access_log: bool = False) -> None:
        self.store, self.message_bytes, self.token, self.access_log = store, message_bytes, token, access_log
        self.batcher, self.room = Batcher(NETWORK * message_bytes), Room(REQUESTS * message_bytes)
        self.metrics, self.reading = RequestMetrics(), threading.Lock()

    def authorise(self, header: str) -> None:
        """Refuses a request without the token.

        Args:
            header: The content of `Authorization`.

        Raises:
            ServingError: UNAUTHENTICATED, if it does not.
        """
        if self.token and not hmac.compare_digest(header.encode(), f"Bearer {self.token}".encode()):
            raise ServingError("This server asks for a token: Authorization: Bearer TOKEN.", "UNAUTHENTICATED")

    def log_access(self, client: str, asked: str, status: object, begun: float) -> None:
        """Logs a request that was answered, if that was asked for.

        Args:
            client: Address of the client.
            asked: What it asked for, without control characters.
            status: HTTP's status, or the name of gRPC's.
            begun: `time.monotonic()` of its arrival.
        """
        if self.access_log:
            milliseconds = 1000 * (time.monotonic() - begun)
            logger.info("%s %s %s %s %.0f ms", utc(time.time()), client, asked, status, milliseconds)
