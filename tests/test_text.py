"""Figures as readers expect them, and tables whose columns stand below each other."""

import logging
import time

import pytest

from kerasgan.text import Rarely, duration, markdown_table, mean_and_spread, nearest, points, rounded


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (131.4, 3, "131"),
        (-131.4, 3, "-131"),
        (1234.4, 3, "1234"),
        (999.6, 3, "1000"),
        (0.72681, 3, "0.727"),
        (99.7, 2, "100"),
        (9.96, 2, "10"),
        (float("inf"), 3, "inf"),
    ],
)
def test_rounded(value, digits, text):
    assert rounded(value, digits) == text


def test_mean_and_spread():
    assert mean_and_spread(1310.2, 298.7) == "1310 ± 299"
    assert mean_and_spread(0.5, None) == "0.5"
    assert mean_and_spread(None, None) == "-"


def test_markdown_table():
    assert markdown_table([["metric", "a"], ["mae", "1 ± 2"]]) == [
        "| metric | a     |",
        "| ------ | ----- |",
        "| mae    | 1 ± 2 |",
    ]


def test_points_are_wrapped():
    (text,) = points(["ssim: " + "word " * 40])
    lines = text.splitlines()
    assert len(lines) == 3 and max(map(len, lines)) <= 100
    assert lines[0].startswith("- ssim: word") and lines[1].startswith("  word")


def test_nearest_offers_the_alike_or_all():
    assert nearest("filter", ["blocks", "filters"]) == "Did you mean filters?"
    assert nearest("zzz", ["b", "a"]) == "Choose from: a, b."


@pytest.mark.parametrize(
    ("seconds", "text"), [(5, "1 min"), (3000, "50 min"), (5700, "1 h 35 min"), (3 * 86400, "3 days")]
)
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_a_line_that_strangers_cause_is_written_a_few_times_a_minute(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    rarely, written = Rarely(), []

    def log():
        record = logging.LogRecord("asyncio", logging.ERROR, "place.py", 7, "bad %s", ("client",), None)
        if rarely.filter(record):
            written.append(record.getMessage())

    for _ in range(100):
        log()
    assert written == 5 * ["bad client"]
    now[0] = 61.0
    log()
    assert written[5:] == ["bad client (95 lines like this were left out.)"]
