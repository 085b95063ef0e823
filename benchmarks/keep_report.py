"""Keeps what a reproduction found, small enough for the repository.

    python benchmarks/keep_report.py reproductions/hiasa2018-phantom_pelvis-laptop dice.png

Writes into `docs/results/`, by the reproduction's folder: `NAME.json`, which is `report.json` without cells and
patients; `NAME.png`, the picture that is named, from the report's folder `pictures/` or a cell's; and `NAME.md` with
the command, the picture and the tables of the experiment.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bench

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results"
DROPPED = ("cells", "patients", "pictures", "definitions")  # the table of definitions stays
MISSING = "Missing cells"
NOT_SHOWN = ("Recipe", "Definitions of the figures", "Work", "Data", MISSING)  # in the page; the JSON has them


def keep(folder: Path, picture: str) -> Path:
    """Writes the three files, and returns the page."""
    report = json.loads((folder / "report.json").read_text())
    found = [path for part in ("pictures", "cells") for path in sorted((folder / part).glob(picture))]
    if len(found) != 1:
        raise SystemExit(
            f"{folder} has {len(found)} pictures {picture}; name one of pictures/ or, as CELL/NAME.png, of cells/."
        )
    RESULTS.mkdir(parents=True, exist_ok=True)
    page = RESULTS / f"{folder.name}.md"
    kept = {name: value for name, value in report.items() if name not in DROPPED}
    kept["tables"] = [table for table in report["tables"] if table["rows"][0][0] != "patient"]
    page.with_suffix(".json").write_text(json.dumps(kept, indent=1) + "\n")
    shutil.copy(found[0], page.with_suffix(".png"))
    caption = re.sub(r", patient p\w+", "", report["pictures"].get(str(found[0].relative_to(folder)), ""))
    page.write_text(_page(kept, page.with_suffix(".png").name, caption))
    return page


def _page(report: dict[str, Any], picture: str, caption: str) -> str:
    lines = [
        f"# {report['experiment']}: {report['title']}",
        report["citation"],
        f"```\n{report['command']}\n```",
        f"{report['scale_note']} Repetitions: {report['seeds']}. Settings too: `{Path(picture).stem}.json`.",
        f"![{report['title']}]({picture})",
        *filter(None, [caption]),
    ]
    for table in report["tables"]:
        if table["section"] == MISSING:
            kinds = Counter(re.sub(r"\W.*", "", what) for _, what in table["rows"][1:])
            lines.append(f"Not computed: {', '.join(f'{kind} ({count} cells)' for kind, count in kinds.items())}.")
    section = ""
    for table in report["tables"]:
        if table["section"] in NOT_SHOWN:
            continue
        if table["section"] != section:
            section = table["section"]
            lines.append(f"## {section}")
        heading, *rows = table["rows"]
        lines += [f"**{table['caption']}**", bench.markdown(heading, rows), *table["notes"]]
    return "\n\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Keeps the report that the command line names."""
    options = argparse.ArgumentParser(description="Keep a reproduction's figures and one picture in docs/results.")
    options.add_argument("folder", type=Path, help="of a finished reproduction")
    options.add_argument("picture", help="in pictures/, or CELL/NAME.png in cells/; * stands for anything")
    chosen = options.parse_args(arguments)
    print(keep(chosen.folder, chosen.picture))


if __name__ == "__main__":
    main()
