"""Requests that are tried again with growing pauses until a deadline."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from kerasgan.errors import ServingError

PASSING = {"UNAVAILABLE"}  # a server that starts, stops, or has too much to do
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0

T = TypeVar("T")


def until_deadline(attempt: Callable[[float], T], deadline_s: float) -> T:
    """The result of the first attempt that succeeds.

    Args:
        attempt: Takes the seconds that are left.
        deadline_s: Seconds for all attempts and pauses together.

    Raises:
        ServingError: The last one; at once where another attempt would not help.
    """
    end, pause = time.monotonic() + deadline_s, FIRST_PAUSE_S
    while True:
        try:
            return attempt(max(end - time.monotonic(), 0.001))
        except ServingError as error:
            wait = pause * random.uniform(0.5, 1)  # so that many clients do not come back at once
            if error.code not in PASSING or time.monotonic() + wait >= end:
                raise
        time.sleep(wait)
        pause = min(2 * pause, LONGEST_PAUSE_S)
