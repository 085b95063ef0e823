"""Does a score that needs no truth choose the checkpoint that the truth would choose?

    python benchmarks/checkpoint_choice.py RUN [RUN ...]

Reads the `validation.csv` of runs with paired validation patients, which holds the error and the terms that need no
pairs side by side. For each dataset and direction it gives Spearman's rank correlation of each term with the error over
the validations of a run, as the mean over runs; 1 means that the term ranks them as the error does, and -1 the other
way round. Beside it, by how many per cent the error exceeds the least of its run at the checkpoint of the least
composite, at the one that a run without pairs keeps (see `kerasgan.training.choice`), and at the last one.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import bench
import numpy as np
from scipy.stats import spearmanr

from kerasgan.training.choice import TOLERATED

# 1 for terms of which less is better, as of the error, and -1 for those of which more is.
TERMS = {
    "composite": 1,
    "intensity_distance": 1,
    "gradient_distance": 1,
    "gradient_correlation": -1,
    "mutual_information": -1,
}
HEADS = (
    *("data", "runs", "validations", *TERMS, "composite: least to most"),
    *("excess, least composite", "excess, kept", "excess, last"),
)

Table = dict[str, np.ndarray]
Group = tuple[str, str]
"""Dataset, and the direction in words."""


def read(run: Path) -> dict[Group, Table]:
    """The error and the terms of each validation of a run by direction, with signs such that less is better."""
    path = run / "validation.csv"
    if not path.is_file():
        raise SystemExit(f"{run} has no validation.csv; name folders that kerasgan train wrote.")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    facts = json.loads((run / "run.json").read_text())
    found = {}
    for direction in ("ab", "ba"):
        wanted = {"error": f"mae_{direction}", **{term: f"{term}_{direction}" for term in TERMS}}
        missing = [column for column in wanted.values() if column not in rows[0]]
        if missing or len(rows) < 3:
            raise SystemExit(
                f"{path} has {len(rows)} validations and lacks the columns {missing}; it needs three or more of a run "
                "with paired validation patients."
            )
        source, target = (facts["modalities"][domain] for domain in direction)
        found[facts["dataset"], f"{source} to {target}"] = {
            name: TERMS.get(name, 1) * np.array([float(row[column]) for row in rows]) for name, column in wanted.items()
        }
    return found


def rank_correlation(table: Table, term: str) -> float:
    """Spearman's rank correlation of a term with the error."""
    return float(spearmanr(table[term], table["error"]).statistic)


def excess(table: Table, index: int) -> float:
    """By how much the error of a checkpoint exceeds the least of its run, relative to it."""
    error = table["error"]
    return float(error[index] / error.min() - 1)


def kept(table: Table) -> int:
    """The checkpoint that a run without pairs keeps."""
    composite = table["composite"]
    return int(np.flatnonzero(composite <= TOLERATED * composite.min())[-1])


def report(groups: Mapping[Group, Sequence[Table]]) -> str:
    """A Markdown table with a row for each dataset and direction."""
    return bench.markdown(HEADS, [_row(group, tables) for group, tables in sorted(groups.items())])


def _row(group: Group, tables: Sequence[Table]) -> list[str]:
    correlations = {term: [rank_correlation(table, term) for table in tables] for term in TERMS}
    counts = [len(table["error"]) for table in tables]
    composite = correlations["composite"]
    chosen = {
        "least": [excess(table, int(np.argmin(table["composite"]))) for table in tables],
        "kept": [excess(table, kept(table)) for table in tables],
        "last": [excess(table, -1) for table in tables],
    }
    return [
        f"{group[0]}, {group[1]}",
        str(len(tables)),
        " to ".join(map(str, sorted({min(counts), max(counts)}))),
        *(f"{np.mean(values):.2f}" for values in correlations.values()),
        f"{min(composite):.2f} to {max(composite):.2f}",
        *(f"{np.mean(values):.1%}" for values in chosen.values()),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the report on the runs that the command line names, and rewrites the README's table."""
    options = argparse.ArgumentParser(description="Rank correlation of scores without truth with the true error.")
    options.add_argument("runs", nargs="+", type=Path, help="run directories")
    options.add_argument("--print-only", action="store_true", help="leave README.md as it is")
    chosen = options.parse_args(arguments)
    groups: dict[Group, list[Table]] = {}
    for run in chosen.runs:
        for group, table in read(run).items():
            groups.setdefault(group, []).append(table)
    text = report(groups)
    print(text)
    if not chosen.print_only:
        bench.write("checkpoint_choice", f"\n{text}\n")


if __name__ == "__main__":
    main()
