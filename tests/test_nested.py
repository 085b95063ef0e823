"""Nested settings seen as paths."""

from kerasgan.config import flat, merged

SETTINGS = {"size": 1, "optimizer": {"rate": 2, "betas": {"first": [3, 4]}}, "empty": {}}


def test_flat_keeps_the_order_and_opens_dictionaries_only():
    found = {"size": 1, "optimizer.rate": 2, "optimizer.betas.first": [3, 4]}
    assert list(flat(SETTINGS).items()) == list(found.items())


def test_merged_changes_a_copy():
    changed = merged(SETTINGS, {"optimizer": {"betas": {"first": None}}, "added": 5})
    assert changed == {
        "size": 1,
        "optimizer": {"rate": 2, "betas": {"first": None}},
        "empty": {},
        "added": 5,
    }
    assert SETTINGS["optimizer"] == {"rate": 2, "betas": {"first": [3, 4]}}
