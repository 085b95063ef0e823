"""A comparison as one page for a browser: tables, and the best and the worst patient of all runs side by side."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kerasgan.evaluation.comparison import RunComparison, Section
from kerasgan.evaluation.folds import CrossValidation
from kerasgan.files import replacing
from kerasgan.pictures import html


def write_comparison_page(result: RunComparison | CrossValidation, folder: Path) -> None:
    """Writes `report.html` into the folder of a comparison, in which its pictures are already.

    Args:
        result: The comparison.
        folder: The folder.
    """
    if isinstance(result, RunComparison):
        title, sections = f"Comparison of {len(result.runs)} runs", [*_compared(result, folder)]
    else:
        title, sections = f"Cross-validation of {len(result.folds)} folds", [*_joined(result)]
    if result.left_out:
        rows = [("evaluation", "why"), *result.left_out.items()]
        sections.append(html.Section("Left out", (), [html.Table("What cannot be compared", rows)]))
    meanings = html.Table("What each figure is", [("figure", "definition"), *result.explanations()])
    sections.append(html.Section("Definitions", (), [meanings]))
    with replacing(folder / html.PAGE) as path:
        path.write_text(html.page(title, result.names(), sections), encoding="utf-8")


def _compared(result: RunComparison, folder: Path) -> Iterator[html.Section]:
    for section in result.sections:
        transposed = list(zip(*result.means(section, section.every), strict=True))
        tables = [html.Table("Mean ± SD over the patients", result.means(section, section.main))]
        more = [html.Table("All figures, mean ± SD", transposed)]
        if len(section.patients) > 1:
            tables.append(html.Table("Differences to run 1", result.differences(section, section.main)))
            more.append(html.Table("Differences of all figures to run 1", result.differences(section, section.every)))
        boxes = html.Picture(
            "Scores of the patients, with a line from run to run.",
            folder / f"{section.name}.png",
            "Box plots of each figure for each run, a dot for each patient.",
        )
        heading = result.heading(section)
        yield html.Section(heading, result.remarks(section), [*tables, *_patients(result, section)])
        yield html.Section(f"{heading}: all figures", (), [*more, boxes])


def _patients(result: RunComparison, section: Section) -> Iterator[html.Row]:
    """The patients of the least and the largest error, mean over the runs, as each run's evaluation has drawn them."""
    metric, title = next(iter(section.main.items()))
    complete = [*section.complete(metric).values()]
    errors = {key: sum(scores[key] for scores in complete) / len(complete) for key in complete[0]}
    ranked = sorted(errors, key=lambda key: errors[key])
    for what, key in {"best": ranked[:1], "worst": ranked[1:][-1:]}.items():
        pictures = []
        for number, run in enumerate(result.runs, 1):
            # What a file calls a patient never becomes a path.
            drawn = {path.stem: path for path in run.folder(section.name).glob("*.png")}
            for one in filter(drawn.__contains__, key):
                caption = f"Run {number}, {what} patient {one}: {title} {complete[number - 1][one]:.3g}"
                text = f"Slices of {one} by run {number}: source, synthetic scan, truth and error."
                pictures.append(html.Picture(caption, drawn[one], text))
        if pictures:
            yield html.Row(pictures)


def _joined(result: CrossValidation) -> Iterator[html.Section]:
    for section in result.sections:
        heading = result.heading(section)
        main = html.Table("Mean ± SD over the patients", result.rows(section, section.main, beside=True))
        yield html.Section(heading, [*section.notes, *result.remarks(section)], [main])
        table = html.Table("All figures, mean ± SD", result.rows(section, section.every, beside=False))
        yield html.Section(f"{heading}: all figures", (), [table])
