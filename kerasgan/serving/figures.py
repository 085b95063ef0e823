"""Counts and times of requests in Prometheus' text format, under the names that TensorFlow Serving gives them."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from kerasgan.errors import ServingError

COUNT, LATENCY = ":tensorflow:serving:request_count", ":tensorflow:serving:request_latency"
LIMITS_US = [1000 * 2**power for power in range(17)]  # 1 ms to 65 s


class Figures:
    """What happened since the server started; safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, str]] = Counter()
        self._buckets: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0] * (len(LIMITS_US) + 1))
        self._microseconds: Counter[tuple[str, str]] = Counter()

    @contextmanager
    def request(self, model: str, entrypoint: str) -> Iterator[None]:
        """Counts what happens inside as one request.

        Args:
            model: Its name, "" where there is no such model: a stranger's guesses shall not fill the memory.
            entrypoint: GRPC or REST.
        """
        start, status = time.perf_counter(), "OK"
        try:
            yield
        except ServingError as error:
            status = error.code
            raise
        except BaseException:
            status = "INTERNAL"
            raise
        finally:
            microseconds = round((time.perf_counter() - start) * 1e6)
            with self._lock:
                self._requests[model, status] += 1
                self._buckets[model, entrypoint][bisect_left(LIMITS_US, microseconds)] += 1
                self._microseconds[model, entrypoint] += microseconds

    def text(self) -> str:
        """The page that Prometheus reads."""
        with self._lock:
            return "\n".join([*self._count_lines(), *self._latency_lines(), ""])

    def _count_lines(self) -> Iterator[str]:
        yield f"# TYPE {COUNT} counter"
        for (model, status), count in sorted(self._requests.items()):
            yield f'{COUNT}{{model_name="{model}",status="{status}"}} {count}'

    def _latency_lines(self) -> Iterator[str]:
        yield f"# TYPE {LATENCY} histogram"
        for key, counts in sorted(self._buckets.items()):
            labels = f'model_name="{key[0]}",API="predict",entrypoint="{key[1]}"'
            below = 0
            for limit, count in zip([*LIMITS_US, "+Inf"], counts, strict=True):
                below += count
                yield f'{LATENCY}_bucket{{{labels},le="{limit}"}} {below}'
            yield f"{LATENCY}_sum{{{labels}}} {self._microseconds[key]}"
            yield f"{LATENCY}_count{{{labels}}} {below}"
