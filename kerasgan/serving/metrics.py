"""Counts and times of requests in Prometheus' text format, under the names that TensorFlow Serving gives them."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from kerasgan.errors import ServingError

COUNT, LATENCY = ":tensorflow:serving:request_count", ":tensorflow:serving:request_latency"
LIMITS_US = [1000 * 2**power for power in range(17)]  # 1 ms to 65 s


@dataclass
class Counted:
    """A request that is counted.

    Attributes:
        model: Name of its model, "" if there is none of that name: a stranger's guesses shall not fill the memory.
    """

    model: str = ""


class RequestMetrics:
    """Counts the requests since the server started; it can be used by many threads at once.

    Example:
        >>> metrics = RequestMetrics()
        >>> with metrics.request("GRPC") as counted:
        ...     counted.model = "mr2ct"
        >>> metrics.text().splitlines()[1]
        ':tensorflow:serving:request_count{model_name="mr2ct",status="OK"} 1'
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, str]] = Counter()
        self._buckets: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0] * (len(LIMITS_US) + 1))
        self._microseconds: Counter[tuple[str, str]] = Counter()

    @contextmanager
    def request(self, entrypoint: str) -> Iterator[Counted]:
        """Counts what happens inside as one request, under the model that it sets once it is known.

        Args:
            entrypoint: `"GRPC"` or `"REST"`.
        """
        start, status, counted = time.perf_counter(), "OK", Counted()
        try:
            yield counted
        except BaseException as error:
            status = error.code if isinstance(error, ServingError) else "INTERNAL"
            raise
        finally:
            microseconds = round((time.perf_counter() - start) * 1e6)
            with self._lock:
                self._requests[counted.model, status] += 1
                self._buckets[counted.model, entrypoint][bisect_left(LIMITS_US, microseconds)] += 1
                self._microseconds[counted.model, entrypoint] += microseconds

    def text(self) -> str:
        """Writes the page that Prometheus reads."""
        with self._lock:
            lines = [f"# TYPE {COUNT} counter"]
            for (model, status), count in sorted(self._requests.items()):
                lines.append(f'{COUNT}{{model_name="{model}",status="{status}"}} {count}')
            lines.append(f"# TYPE {LATENCY} histogram")
            for key, counts in sorted(self._buckets.items()):
                labels = f'model_name="{key[0]}",API="predict",entrypoint="{key[1]}"'
                below = 0
                for limit, count in zip([*LIMITS_US, "+Inf"], counts, strict=True):
                    below += count
                    lines.append(f'{LATENCY}_bucket{{{labels},le="{limit}"}} {below}')
                lines.append(f"{LATENCY}_sum{{{labels}}} {self._microseconds[key]}")
                lines.append(f"{LATENCY}_count{{{labels}}} {below}")
        return "\n".join([*lines, ""])
