import pytest

from kerasgan.errors import ServingError
from kerasgan.serving import client
from kerasgan.serving.client import until_deadline


class Clock:
    """Time that only pauses and attempts take."""

    def __init__(self):
        self.now, self.pauses = 0.0, []

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(client, "time", made)
    monkeypatch.setattr(client.random, "uniform", lambda low, high: high)
    return made


def failing(times, code="UNAVAILABLE"):
    left = [times]

    def attempt(seconds):
        left[0] -= 1
        if left[0] >= 0:
            raise ServingError("not now", code)
        return seconds

    return attempt


def test_pauses_double_and_the_rest_of_the_time_is_passed_on(clock):
    assert until_deadline(failing(3), 10) == pytest.approx(10 - 0.7)
    assert clock.pauses == pytest.approx([0.1, 0.2, 0.4])


def test_the_last_error_comes_within_the_deadline(clock, caplog):
    with pytest.raises(ServingError, match="not now"):
        until_deadline(failing(99), 60)
    assert clock.now < 60 and max(clock.pauses) == 5
    assert caplog.messages == ["not now Trying again for 57 s."]  # 0.1 + 0.2 + ... + 1.6 s are over


def test_a_moment_is_not_told(clock, caplog):
    until_deadline(failing(4), 60)
    assert clock.now < 2 and not caplog.messages


@pytest.mark.parametrize("code", ["NOT_FOUND", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "UNAUTHENTICATED"])
def test_what_would_fail_again_is_not_repeated(clock, code):
    with pytest.raises(ServingError) as caught:
        until_deadline(failing(1, code), 10)
    assert caught.value.code == code and clock.pauses == []
