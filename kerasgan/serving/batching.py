"""Requests that wait at the same time go through a network together."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kerasgan.errors import ServingError
from kerasgan.serving.model import Arrays, Model

LARGEST = 16  # images in a merged batch, as in batching.config
WAITING = 1024  # requests
WORKERS = 2


@dataclass(eq=False)
class _Request:
    model: Model
    signature: str
    inputs: Mapping[str, np.ndarray]
    answer: Future[Arrays] = field(default_factory=Future)

    def __post_init__(self) -> None:
        self.count = len(next(iter(self.inputs.values())))
        self.key = self._key()

    def _key(self) -> Any:
        """Requests with equal keys may be merged; None where a batch is the slices of one scan."""
        if self.model.signature(self.signature).batch == "volume":
            return None
        tensors = sorted(self.inputs.items())
        sizes = [(array.shape[1:], array[0] if array.dtype == np.int32 else None) for _, array in tensors]
        return id(self.model), self.signature, *sizes  # rows and columns are int32


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
        """The outputs of a signature, once its turn has come.

        Raises:
            ServingError: INVALID_ARGUMENT for bad inputs; UNAVAILABLE where too many wait, or the server stops.
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
        """Answers what waits, and takes no more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for worker in self._workers:
            worker.join()

    def _work(self) -> None:
        while requests := self._next():
            _answer(requests)

    def _next(self) -> list[_Request]:
        """The request that waits longest and others of its kind; none once closed and done."""
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
