"""What many jobs have in common, such as a network: sent with each, and made once in each process."""

from __future__ import annotations

import pickle
import threading
from functools import lru_cache
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")
_making = threading.Lock()


class SentOnce(Generic[Value]):
    """A value that comes with every job, and is unpickled for the first one alone.

    A process keeps the newest value, since a worker on a cluster outlives the commands that it works for.

    Args:
        value: Anything that can be pickled, in few bytes.

    Example:
        >>> first, second = (pickle.loads(pickle.dumps(SentOnce([1, 2]))) for _ in range(2))
        >>> first.value is second.value
        True
    """

    def __init__(self, value: Value) -> None:
        self.value = value

    def __reduce__(self) -> tuple[object, ...]:
        return _received, (pickle.dumps(self.value),)


def _received(pickled: bytes) -> SentOnce[Any]:
    with _making:  # or two threads would load a network each
        return _made(pickled)


@lru_cache(maxsize=1)
def _made(pickled: bytes) -> SentOnce[Any]:
    return SentOnce(pickle.loads(pickled))
