"""Does a score that needs no truth choose the checkpoint that the truth would choose?

    python benchmarks/checkpoint_choice.py RUN [RUN ...] --direction ab

Reads the `validation.csv` of runs with paired validation patients, which holds the error and the terms that need no
pairs side by side. For each term it prints Spearman's rank correlation with the error over the validations of a run, as
mean, least and greatest of all runs; 1 means that the term ranks them as the error does, and -1 the other way round.
Beside it, by how many per cent the error at the checkpoint that the term would choose exceeds the least of its run.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

import bench
import numpy as np
from scipy.stats import spearmanr

# 1 where less is better, as with the error, and -1 where more is.
TERMS = {
    "gradient_correlation": -1,
    "mutual_information": -1,
    "intensity_distance": 1,
    "gradient_distance": 1,
    "composite": 1,
}

Table = dict[str, np.ndarray]


def read(run: Path, direction: str) -> Table:
    """The error and the terms of each validation of a run, all such that less is better."""
    path = run / "validation.csv"
    if not path.is_file():
        raise SystemExit(f"{run} has no validation.csv; name folders that kerasgan train wrote.")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    wanted = {"error": f"mae_{direction}", **{term: f"{term}_{direction}" for term in TERMS}}
    missing = [column for column in wanted.values() if column not in rows[0]]
    if missing or len(rows) < 3:
        raise SystemExit(
            f"{path} has {len(rows)} validations and lacks the columns {missing}; it needs three or more of a run "
            "with paired validation patients."
        )
    return {name: TERMS.get(name, 1) * np.array([float(row[col]) for row in rows]) for name, col in wanted.items()}


def rank_correlation(table: Table, term: str) -> float:
    """Spearman's rank correlation of a term with the error."""
    return float(spearmanr(table[term], table["error"]).statistic)


def excess(table: Table, term: str) -> float:
    """By how much the error of the checkpoint that a term chooses exceeds the least, relative to it."""
    error = table["error"]
    return float(error[np.argmin(table[term])] / error.min() - 1)


def report(tables: Sequence[Table]) -> str:
    """A row for each term and one for taking the last checkpoint, in markdown."""
    rows = [
        [
            term,
            *_row([rank_correlation(t, term) for t in tables], ".2f"),
            *_row([excess(t, term) for t in tables], ".1%"),
        ]
        for term in TERMS
    ]
    last = [t["error"][-1] / t["error"].min() - 1 for t in tables]
    rows.append(["the last checkpoint", "", "", "", *_row(last, ".1%")])
    heading = [
        f"{what} {which}" for what in ("rank correlation,", "excess error,") for which in ("mean", "least", "most")
    ]
    counts = [len(table["error"]) for table in tables]
    note = f"{len(tables)} runs of {min(counts)} to {max(counts)} validations each."
    return f"{bench.markdown(['term', *heading], rows)}\n\n{note}"


def _row(values: Sequence[float], form: str) -> list[str]:
    return [f"{value:{form}}" for value in (np.mean(values), min(values), max(values))]


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the report on the runs that the command line names."""
    options = argparse.ArgumentParser(description="Rank correlation of scores without truth with the true error.")
    options.add_argument("runs", nargs="+", type=Path, help="run directories")
    options.add_argument("--direction", choices=("ab", "ba"), default="ab")
    chosen = options.parse_args(arguments)
    print(report([read(run, chosen.direction) for run in chosen.runs]))


if __name__ == "__main__":
    main()
