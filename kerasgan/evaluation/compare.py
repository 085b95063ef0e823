"""Joins the evaluations of several runs, or of scans of any origin, and refuses what cannot be compared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import Any

from kerasgan.errors import RunError
from kerasgan.evaluation import baseline
from kerasgan.evaluation.comparison import Compared, RunComparison, Section
from kerasgan.evaluation.comparison_page import write_comparison_page
from kerasgan.evaluation.folds import CrossValidation, FoldSection, folds_of
from kerasgan.evaluation.results import METHOD, EvaluationSummary, Scores, is_current, read_scores, read_summary
from kerasgan.evaluation.scale import CONSTANT, CONSTANT_IN_TRUTH, FLOOR
from kerasgan.files import path_of
from kerasgan.runs.run import load_run

AGAIN = {
    "ba": " --direction ba",
    "external": " --data-dir ..., and the same --dataset as before, if any",
    "validation": " --part validation",
    "flip": " --flip",
}
"""Options of `kerasgan evaluate`, by what they put into the name of its folder."""

ALONE = "score"
"""The name of the section, and of its picture, where no run is compared."""


def compare(runs: Sequence[str | Path], out: str | Path | None = None) -> RunComparison | CrossValidation:
    """Joins the evaluations of several runs by patient, and tests the differences, see `kerasgan.compare`.

    The folder of an evaluation that stands alone is compared with each evaluation that all the runs have.
    Of runs that are different folds of one cross-validation, the patients of all folds are joined.

    Raises:
        RunError: For fewer than two runs, a run that has not been evaluated, or where no evaluation can be compared,
            as of runs whose datasets or patients differ.
    """
    if len(runs) < 2:
        raise RunError(f"A comparison needs two runs or more; got {len(runs)}. Name another run directory.")
    opened = tuple(map(_open, runs))
    found = {
        one: sorted(path.parent.name for path in one.path.glob("evaluation*/summary.json")) for one in opened if one.run
    }
    for run, names in found.items():
        if not names:
            raise RunError(f"{run.path} has not been evaluated; run: kerasgan evaluate {quote(str(run.path))}")
    every = next(iter(found.values()), [ALONE])
    common = [name for name in every if all(name in names for names in found.values())]
    if not common:
        texts = "; ".join(f"{run.path} has {', '.join(names)}" for run, names in found.items())
        raise RunError(
            f"The runs have no evaluation in common: {texts}. Evaluate them alike: the same --direction (ab, ba) and "
            "data, with kerasgan evaluate RUN."
        )
    trained = tuple(one.run for one in opened if one.run)
    folds = folds_of(trained) if len(trained) == len(opened) else ()
    sections, fold_sections, refused = list[Section](), list[FoldSection](), dict[str, RunError]()
    for name in common:
        try:
            if folds:
                fold_sections.append(_fold_section(opened, name))
            else:
                sections.append(_section(opened, name))
        except RunError as error:  # of other patients, say; the others can be compared nevertheless
            refused[name] = error
    if not (sections or fold_sections):
        raise refused[common[0]]
    some = {name for names in found.values() for name in names}.difference(common)
    left_out = dict.fromkeys(sorted(some), "only some of the runs have it")
    left_out |= {name: str(error) for name, error in refused.items()}
    comparison: RunComparison | CrossValidation = RunComparison(opened, tuple(sections), left_out)
    if folds:
        comparison = CrossValidation(trained, folds, tuple(fold_sections), left_out)
    if out is not None:
        comparison.write(Path(out))
        write_comparison_page(comparison, Path(out))
    return comparison


def _open(path: str | Path) -> Compared:
    """Opens a run, or the folder of an evaluation that stands alone, as of `kerasgan score`."""
    alone = path_of(path, "run", "A kerasgan.Run is taken, too.")
    if (alone / "summary.json").is_file() and not (alone / "run.json").is_file():
        return Compared(alone)
    return Compared(alone, load_run(path))


def _section(runs: Sequence[Compared], name: str) -> Section:
    """Joins an evaluation of all runs.

    A metric in units of the model's window means something else where the windows differ, and is left out; one in HU
    does not.

    Raises:
        RunError: Where it cannot be compared.
    """
    read = [_read(run, name) for run in runs]
    summaries, scores = [summary for summary, _ in read], tuple(rows for _, rows in read)
    _require_alike(runs, name, summaries, scores)
    shared, left_out = _shared_metrics(runs, name, summaries)
    notes, known = tuple(summary.note for summary in summaries), [one for one in summaries if one.direction]
    first = (known or summaries)[0]
    scale = tuple(
        {
            method: summary.methods[method]
            for method in (CONSTANT, CONSTANT_IN_TRUTH, baseline.NAME, FLOOR)
            if method in summary.methods
        }
        for summary in summaries
    )
    return Section(name, first.direction or "", first.part, shared, scores, notes, left_out, scale)


def _fold_section(runs: Sequence[Compared], name: str) -> FoldSection:
    """Joins an evaluation of all folds, of different patients each.

    Raises:
        RunError: Where it cannot be read, or a patient was scored in two folds, as of another part than the test.
    """
    read = [_read(run, name) for run in runs]
    summaries, scores = [summary for summary, _ in read], {METHOD: tuple(rows for _, rows in read)}
    first = summaries[0]
    count = sum(map(len, scores[METHOD]))
    if (repeated := count - len(set().union(*scores[METHOD]))) or first.part != "test":
        raise RunError(
            f"{name} scored {first.part} patients, {repeated} of them in more than one fold; a cross-validation counts "
            "each patient once, in the fold whose test part they are. Evaluate each run with kerasgan evaluate RUN."
        )
    for method in (CONSTANT, baseline.NAME, FLOOR):
        if all(method in summary.methods for summary in summaries):
            scores[method] = tuple(read_scores(run.path / name, methods=(method,)) for run in runs)
    shared, left_out = _shared_metrics(runs, name, summaries)
    notes = tuple(sorted({summary.note for summary in summaries} - {""}))
    return FoldSection(name, first.direction or "", shared, scores, notes, left_out)


def _shared_metrics(
    runs: Sequence[Compared], name: str, summaries: Sequence[EvaluationSummary]
) -> tuple[dict[str, dict[str, Any]], tuple[str, ...]]:
    """Unit, definition and `in_table` of each metric that means the same in all runs, and the names of the others.

    Raises:
        RunError: Where there is none.
    """
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
    return shared, tuple(sorted(set().union(*definitions) - set(shared)))


def _read(run: Compared, name: str) -> tuple[EvaluationSummary, Scores]:
    """Reads the content of `summary.json`, and the scores of each patient.

    Raises:
        RunError: Where the files are damaged, of an earlier version, or of other weights.
    """
    folder = run.folder(name)
    options = "".join(AGAIN.get(part, "") for part in name.split("-"))
    again = f"Evaluate again: kerasgan evaluate {quote(str(run.path))}{options}"
    if not run.run:
        again = "Score the scans again with kerasgan score."
    summary, scores = read_summary(folder, again), read_scores(folder, again)
    if lacking := summary.definitions.keys() - next(iter(scores.values())).keys():
        raise RunError(f"{folder / 'scores.csv'} lacks {', '.join(sorted(lacking))} of summary.json. {again}")
    if run.run and not is_current(run.run, folder):
        raise RunError(f"{folder} scored other weights than {run.path} has now. {again}")
    return summary, scores


def _require_alike(
    runs: Sequence[Compared], name: str, summaries: Sequence[EvaluationSummary], scores: Sequence[Scores]
) -> None:
    """Checks that direction, part, mirroring, dataset, patients and scans are those of the first run.

    External patients may be of another dataset than the run was trained on. Evaluations that stand alone have the
    patients, true CTs and masks of the others, and nothing else that could differ.

    Raises:
        RunError: With what differs.
    """
    first, base = runs[0], summaries[0]
    for run, summary, rows in zip(runs[1:], summaries[1:], scores[1:], strict=True):
        here, there = run.folder(name), first.folder(name)
        if run.run and first.run:
            _require_alike_runs(run, first, name, summary, base)
        if odd := set(rows) ^ set(scores[0]):
            remedy = (
                "Compare runs of one split (the same data and --seed, or trained with --set data.split_seed=0), or "
                "evaluate them all on other patients with --data-dir."
            )
            if not (run.run and first.run):
                remedy = (
                    "Score the patients of the other one, with the folder of the run's data as TRUTH, so that they "
                    "have the same keys."
                )
            raise RunError(
                f"{here} and {there} have different patients: {len(rows)} and {len(scores[0])}, {len(odd)} of them in "
                f"one only. {remedy}"
            )
        if run.run and first.run:
            if summary.scans != base.scans:
                raise RunError(
                    f"{here} and {there} scored other scans under the same patient keys. Evaluate both on the same "
                    "data."
                )
        elif not summary.truth or summary.truth != base.truth:
            raise RunError(
                f"{here} and {there} do not score against the same true CTs in the same masks. Score both with the "
                "same --mask (that of the run's dataset, if it has masks), and evaluate runs of former versions again."
            )


def _require_alike_runs(
    run: Compared, first: Compared, name: str, summary: EvaluationSummary, base: EvaluationSummary
) -> None:
    """Checks that two runs were evaluated alike."""
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
    datasets = [one.run.facts.dataset for one in (run, first) if one.run]
    if summary.part != "external" and len(set(datasets)) > 1:
        raise RunError(
            f"{run.path} was trained on dataset {datasets[0]}, {first.path} on {datasets[1]}. "
            "Compare runs of one dataset, or evaluate both on other people's scans with --dataset and --data-dir."
        )
