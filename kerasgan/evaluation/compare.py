"""Joins the evaluations of several runs, and refuses what cannot be compared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from shlex import quote

from kerasgan.errors import RunError
from kerasgan.evaluation.comparison import RunComparison, Section
from kerasgan.evaluation.results import EvaluationSummary, Scores, is_current, read_scores, read_summary
from kerasgan.evaluation.scale import CONSTANT, FLOOR
from kerasgan.runs.run import Run, load_run
from kerasgan.text import mean_and_spread

AGAIN = {
    "ba": " --direction ba",
    "external": " --data-dir ..., and the same --dataset as before, if any",
    "validation": " --part validation",
    "flip": " --flip",
}
"""Options of `kerasgan evaluate`, by what they put into the name of its folder."""


def compare(runs: Sequence[str | Path], out: str | Path | None = None) -> RunComparison:
    """Joins the evaluations of several runs by patient, and tests the differences, see `kerasgan.compare`.

    Raises:
        RunError: For fewer than two runs, a run that has not been evaluated, or where no evaluation can be compared,
            as of runs whose datasets or patients differ.
    """
    if len(runs) < 2:
        raise RunError(f"A comparison needs two runs or more; got {len(runs)}. Name another run directory.")
    opened = tuple(load_run(path) for path in runs)
    found = {run: sorted(path.parent.name for path in run.path.glob("evaluation*/summary.json")) for run in opened}
    for run, names in found.items():
        if not names:
            raise RunError(f"{run.path} has not been evaluated; run: kerasgan evaluate {quote(str(run.path))}")
    common = [name for name in found[opened[0]] if all(name in names for names in found.values())]
    if not common:
        texts = "; ".join(f"{run.path} has {', '.join(names)}" for run, names in found.items())
        raise RunError(
            f"The runs have no evaluation in common: {texts}. Evaluate them alike: the same --direction (ab, ba) and "
            "data, with kerasgan evaluate RUN."
        )
    sections, refused = list[Section](), dict[str, RunError]()
    for name in common:
        try:
            sections.append(_section(opened, name))
        except RunError as error:  # of other patients, say; the others can be compared nevertheless
            refused[name] = error
    if not sections:
        raise refused[common[0]]
    some = {name for names in found.values() for name in names}.difference(common)
    left_out = dict.fromkeys(sorted(some), "only some of the runs have it")
    left_out |= {name: str(error) for name, error in refused.items()}
    comparison = RunComparison(opened, tuple(sections), left_out)
    if out is not None:
        comparison.write(Path(out))
    return comparison


def _section(runs: Sequence[Run], name: str) -> Section:
    """Joins an evaluation of all runs.

    A metric in units of the model's window means something else where the windows differ, and is left out; one in HU
    does not.

    Raises:
        RunError: Where it cannot be compared.
    """
    read = [_read(run, name) for run in runs]
    summaries, scores = [summary for summary, _ in read], tuple(rows for _, rows in read)
    _require_alike(runs, name, summaries, scores)
    definitions = [summary.definitions for summary in summaries]
    shared = {
        metric: entry.model_dump()
        for metric, entry in definitions[0].items()
        if all(other.get(metric) == entry for other in definitions[1:])
    }
    if not shared:
        raise RunError(
            f"No metric of {name} means the same in {' and '.join(str(run.path) for run in runs)}: versions of "
            "kerasgan or, in metrics of an MR, the models' windows differ. Evaluate all with this version."
        )
    first, notes = summaries[0], tuple(summary.note for summary in summaries)
    left_out = tuple(sorted(set().union(*definitions) - set(shared)))
    scale = _scale(summaries, next(iter(shared)))
    return Section(name, first.direction, first.part, shared, scores, notes, left_out, scale)


def _scale(summaries: Sequence[EvaluationSummary], metric: str) -> dict[str, str]:
    """The mean of the constant and of the grid's floor, which has the run's number where runs differ in it."""
    found: dict[str, str] = {}
    for method in (CONSTANT, FLOOR):
        means = [summary.methods.get(method, {}).get(metric) for summary in summaries]
        texts = {number: mean_and_spread(mean["mean"], mean["sd"]) for number, mean in enumerate(means, 1) if mean}
        differ = len(set(texts.values())) > 1
        found |= {f"{method} of {number}" if differ else method: text for number, text in texts.items()}
    return found


def _read(run: Run, name: str) -> tuple[EvaluationSummary, Scores]:
    """Reads the content of `summary.json`, and the scores of each patient.

    Raises:
        RunError: Where the files are damaged, of an earlier version, or of other weights.
    """
    folder = run.path / name
    options = "".join(AGAIN.get(part, "") for part in name.split("-"))
    again = f"Evaluate again: kerasgan evaluate {quote(str(run.path))}{options}"
    summary, scores = read_summary(folder, again), read_scores(folder, again)
    if lacking := summary.definitions.keys() - next(iter(scores.values())).keys():
        raise RunError(f"{folder / 'scores.csv'} lacks {', '.join(sorted(lacking))} of summary.json. {again}")
    if not is_current(run, folder):
        raise RunError(f"{folder} scored other weights than {run.path} has now. {again}")
    return summary, scores


def _require_alike(
    runs: Sequence[Run], name: str, summaries: Sequence[EvaluationSummary], scores: Sequence[Scores]
) -> None:
    """Checks that direction, part, mirroring, dataset, patients and scans are those of the first run.

    External patients may be of another dataset than the run was trained on.

    Raises:
        RunError: With what differs.
    """
    first, base = runs[0], summaries[0]
    for run, summary, rows in zip(runs[1:], summaries[1:], scores[1:], strict=True):
        for fact in ("direction", "part"):
            if getattr(summary, fact) != getattr(base, fact):
                raise RunError(
                    f"{run.path / name} is an evaluation of {fact} {getattr(summary, fact)}, {first.path / name} one "
                    f"of {getattr(base, fact)}. Evaluate both runs alike, on the same patients and with the same "
                    "--direction."
                )
        if summary.flip != base.flip:
            with_it, without = (run, first) if summary.flip else (first, run)
            raise RunError(
                f"{with_it.path / name} took the mean with mirrored slices, {without.path / name} did not. Evaluate "
                "both runs with --flip, or both without."
            )
        if summary.part != "external" and run.facts.dataset != first.facts.dataset:
            raise RunError(
                f"{run.path} was trained on dataset {run.facts.dataset}, {first.path} on {first.facts.dataset}. "
                "Compare runs of one dataset, or evaluate both on other people's scans with --dataset and --data-dir."
            )
        if odd := set(rows) ^ set(scores[0]):
            raise RunError(
                f"{run.path / name} and {first.path / name} have different patients: {len(rows)} and "
                f"{len(scores[0])}, {len(odd)} of them in one only. Compare runs of one split (the same data and "
                "--seed, or trained with --set data.split_seed=0), or evaluate them all on other patients with "
                "--data-dir."
            )
        if summary.scans != base.scans:
            raise RunError(
                f"{run.path / name} and {first.path / name} scored other scans under the same patient keys. Evaluate "
                "both on the same data."
            )
