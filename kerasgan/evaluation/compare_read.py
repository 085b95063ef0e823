"""Reading the evaluations of some runs, and refusing what cannot be compared."""

from __future__ import annotations

from collections.abc import Sequence
from shlex import quote
from typing import Any

from kerasgan.errors import RunError
from kerasgan.evaluation.results import Scores, is_current, read_scores, read_summary
from kerasgan.runs.run import Run

Content = dict[str, Any]

AGAIN = {"ba": " --direction ba", "external": " --data-dir ..., and the same --dataset as before, if any"}
"""Options of `kerasgan evaluate`, by what they put into the name of its folder."""


def evaluations(run: Run) -> list[str]:
    """Names of the folders in a run that an evaluation was written to.

    Raises:
        RunError: Where there is none.
    """
    found = sorted(path.parent.name for path in run.path.glob("evaluation*/summary.json"))
    if not found:
        raise RunError(f"{run.path} has not been evaluated; run: kerasgan evaluate {quote(str(run.path))}")
    return found


def common_evaluations(runs: Sequence[Run]) -> list[str]:
    """Those that all runs have, `evaluation` first.

    Raises:
        RunError: Where there is none, with what is there and what to run.
    """
    found = {run: evaluations(run) for run in runs}
    common = [name for name in found[runs[0]] if all(name in names for names in found.values())]
    if not common:
        texts = "; ".join(f"{run.path} has {', '.join(names)}" for run, names in found.items())
        raise RunError(
            f"The runs have no evaluation in common: {texts}. Evaluate them alike: the same --direction (ab, ba) and "
            "data, with kerasgan evaluate RUN."
        )
    return common


def read(run: Run, name: str) -> tuple[Content, Scores]:
    """Content of `summary.json`, and the figures of each patient.

    Raises:
        RunError: Where the files are damaged or of an earlier version.
    """
    folder = run.path / name
    try:
        summary, scores = read_summary(folder), read_scores(folder)
    except (OSError, ValueError, KeyError) as error:
        raise RunError(f"{folder} cannot be read ({error}); {_again(run, name)}") from error
    if not {"part", "direction", "weights", "scans"} <= summary.keys() or not scores:
        raise RunError(f"{folder} was written by an earlier version of kerasgan; {_again(run, name)}")
    if not is_current(run, folder):
        raise RunError(f"{folder} scored other weights than {run.path} has now; {_again(run, name)}")
    return summary, scores


def require_alike(runs: Sequence[Run], name: str, summaries: Sequence[Content]) -> None:
    """Makes sure that direction and part are those of the first run, and the dataset, unless the patients are external.

    Raises:
        RunError: With what differs.
    """
    for run, summary in zip(runs[1:], summaries[1:], strict=True):
        for fact in ("direction", "part"):
            if summary[fact] != summaries[0][fact]:
                raise RunError(
                    f"{run.path / name} is an evaluation of {fact} {summary[fact]}, {runs[0].path / name} one of "
                    f"{summaries[0][fact]}. Evaluate both runs alike, on the same patients and with the same "
                    "--direction."
                )
        datasets = run.facts.dataset, runs[0].facts.dataset
        if summary["part"] != "external" and datasets[0] != datasets[1]:
            raise RunError(
                f"{run.path} was trained on dataset {datasets[0]}, {runs[0].path} on {datasets[1]}. Compare runs of "
                "one dataset, or evaluate both on other people's scans with --dataset and --data-dir."
            )


def shared_definitions(summaries: Sequence[Content]) -> tuple[Content, tuple[str, ...]]:
    """The metrics that all runs have with one definition, and the names of the others.

    A figure in units of the model's window means another thing where the windows differ; one in HU does not.
    """
    definitions = [summary["definitions"] for summary in summaries]
    shared = {
        metric: entry
        for metric, entry in definitions[0].items()
        if all(other.get(metric) == entry for other in definitions[1:])
    }
    return shared, tuple(sorted(set().union(*definitions) - set(shared)))


def require_same_patients(
    runs: Sequence[Run], name: str, summaries: Sequence[Content], scores: Sequence[Scores]
) -> None:
    """Makes sure that all runs were scored on the first run's patients, and on the same scans of them.

    Raises:
        RunError: With how many differ.
    """
    for run, rows in zip(runs[1:], scores[1:], strict=True):
        odd = set(rows) ^ set(scores[0])
        if odd:
            raise RunError(
                f"{run.path / name} and {runs[0].path / name} do not hold the same patients: {len(rows)} and "
                f"{len(scores[0])}, {len(odd)} of them in one only. Compare runs of one split (the same data and "
                "--seed, or trained with --set data.split_seed=0), or evaluate them all on other patients with "
                "--data-dir."
            )
    for run, summary in zip(runs[1:], summaries[1:], strict=True):
        if summary["scans"] != summaries[0]["scans"]:
            raise RunError(
                f"{run.path / name} and {runs[0].path / name} scored other scans under the same patient keys. Evaluate "
                "both on the same data."
            )


def _again(run: Run, name: str) -> str:
    """The command for an evaluation of that name, see `kerasgan.evaluation.evaluate.evaluate`."""
    options = "".join(AGAIN.get(part, "") for part in name.split("-"))
    return f"evaluate again: kerasgan evaluate {quote(str(run.path))}{options}"
