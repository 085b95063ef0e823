"""What is kept of a report: figures and one picture, nobody's patients."""

import json

import keep_report
import pytest

TABLES = [
    {"section": "Errors", "caption": "Error", "rows": [["method", "MAE"], ["one", "2.0"]], "notes": ["A note."]},
    {"section": "Errors", "caption": "Each", "rows": [["patient", "one"], ["p1234567890", "2.0"]], "notes": []},
    {"section": "Work", "caption": "Minutes", "rows": [["cell", "minutes"], ["train", "1"]], "notes": []},
]
REPORT = {
    "experiment": "toy",
    "title": "A toy",
    "citation": "Somebody 2020",
    "command": "kerasgan reproduce toy",
    "scale_note": "Small.",
    "seeds": 3,
    "patients": {"test": ["p1234567890"]},
    "cells": [1],
    "pictures": {"pictures/errors.png": "Errors of one, patient p1234567890: all of them."},
    "tables": TABLES,
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(keep_report, "RESULTS", tmp_path / "results")
    made = tmp_path / "toy-phantom-laptop"
    (made / "pictures").mkdir(parents=True)
    (made / "pictures" / "errors.png").write_bytes(b"picture")
    (made / "report.json").write_text(json.dumps(REPORT))
    return made


def test_tables_and_a_picture_are_kept_and_no_patient(folder):
    page = keep_report.keep(folder, "errors.png")
    assert page.with_suffix(".png").read_bytes() == b"picture"
    kept = json.loads(page.with_suffix(".json").read_text())
    assert [table["caption"] for table in kept["tables"]] == ["Error", "Minutes"] and "cells" not in kept
    text = page.read_text()
    assert "| one | 2.0 |" in text and "A note." in text and "kerasgan reproduce toy" in text
    assert "Minutes" not in text and "Errors of one: all of them." in text
    assert not any("p1234567890" in path.read_text() for path in (page, page.with_suffix(".json")))


def test_a_picture_that_is_not_there_is_named(folder):
    with pytest.raises(SystemExit, match=r"has 0 pictures other\.png; name one of pictures/"):
        keep_report.keep(folder, "other.png")
    assert not keep_report.RESULTS.exists()
