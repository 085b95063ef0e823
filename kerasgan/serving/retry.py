"""Requests that are tried again with growing pauses until a deadline."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

from kerasgan.errors import ServingError

PASSING = {"UNAVAILABLE"}  # a server that starts, stops, or has too much to do
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
TOLD_AFTER_S = 2.0  # what lasts no longer is nobody's concern

logger = logging.getLogger(__name__)

T = TypeVar("T")


def until_deadline(attempt: Callable[[float], T], deadline_s: float) -> T:
    """The result of the first attempt that succeeds. What fails for more than a moment is logged once a request.

    Args:
        attempt: Takes the seconds that are left.
        deadline_s: Seconds for all attempts and pauses together.

    Raises:
        ServingError: The last one; at once where another attempt would not help.
    """
    begun, pause, told = time.monotonic(), FIRST_PAUSE_S, False
    end = begun + deadline_s
    while True:
        try:
            return attempt(max(end - time.monotonic(), 0.001))
        except ServingError as error:
            wait = pause * random.uniform(0.5, 1)  # so that many clients do not come back at once
            if error.code not in PASSING or time.monotonic() + wait >= end:
                raise
            if not told and time.monotonic() - begun > TOLD_AFTER_S:
                logger.warning("%s Trying again for %.0f s.", error, end - time.monotonic())
                told = True
        time.sleep(wait)
        pause = min(2 * pause, LONGEST_PAUSE_S)
