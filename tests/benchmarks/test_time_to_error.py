"""When an error is reached, and what the table says of seeds that do not reach it."""

from time_to_error import TORCH, Score, first_below, report

SLOW = [Score(100, 180.0, 50.0, 90.0), Score(200, 149.0, 100.0, 190.0), Score(300, 152.0, 150.0, 290.0)]
FAST = [Score(100, 139.0, 20.0, 30.0), Score(200, 128.0, 40.0, 60.0), Score(300, 129.0, 60.0, 90.0)]


def test_the_first_validation_counts_that_is_at_most_the_error():
    assert first_below(SLOW, 150) == SLOW[1] and first_below(SLOW, 180) == SLOW[0]
    assert first_below(SLOW, 140) is None


def test_the_table_has_the_clock_and_the_processors_and_says_which_seeds_are_missing():
    found = {TORCH: [SLOW, SLOW, FAST], "mine": [FAST, FAST, SLOW], "one": [SLOW]}
    rows = [line.split(" | ") for line in report(found, "What it is.").splitlines() if line.startswith("| ")]
    cells = {row[0].strip("| "): [cell.strip(" |") for cell in row[1:]] for row in rows}
    assert cells["149 HU, the best of PyTorch"] == ["100 (190)", "20 (30)", "100 (190)"]
    assert cells["130 HU"] == ["-", "40 (60) (2 of 3 seeds)", "-"]
    assert cells["best error, HU"] == ["149.0 (128.0 to 149.0)", "128.0 (128.0 to 149.0)", "149.0"]
