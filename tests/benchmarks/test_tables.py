"""The tables that readers see are those of the numbers that are kept."""

import json
import re
import shutil
from pathlib import Path

import keep_report
import pytest
import write_tables

PAGES = sorted(path for path in keep_report.RESULTS.glob("*.json") if "tables" in json.loads(path.read_text()))


def test_the_readme_and_the_page_on_real_heads_show_the_kept_results(tmp_path, monkeypatch):
    pages = {"README": write_tables.README, "KEPT": write_tables.KEPT.with_suffix(".md")}
    shown = {name: path.read_text(encoding="utf-8") for name, path in pages.items()}
    shutil.copy(write_tables.KEPT, tmp_path)
    for name, path in pages.items():
        monkeypatch.setattr(write_tables, name, tmp_path / getattr(write_tables, name).name)
        shutil.copy(path, tmp_path)
    write_tables.main()
    for name, path in pages.items():
        assert (tmp_path / path.name).read_text(encoding="utf-8") == shown[name], (
            "Run: python benchmarks/write_tables.py"
        )
    assert "| `kerasgan2026`, the default | 116, 118, 117 | 117 ± 29 | 24.5 ± 2.0 | 0.761 ± 0.051 |" in shown["README"]


def test_another_number_is_another_table():
    kept = json.loads(write_tables.KEPT.read_text(encoding="utf-8"))
    kept["mae_hu_of_repetitions"]["nehra2021"]["seed 0"] = 77
    assert "| `nehra2021` | 77, 199, 192 |" in write_tables.results(kept)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_of_results_shows_the_kept_tables(path: Path):
    page = path.with_suffix(".md").read_text(encoding="utf-8")
    picture = re.search(r"!\[.*\]\((.*)\)\n\n(.*)\n", page)
    caption = "" if picture[2].startswith("## ") else picture[2]
    assert page == keep_report._page(json.loads(path.read_text()), picture[1], caption)
