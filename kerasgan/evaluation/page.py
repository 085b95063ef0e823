"""An evaluation as one page for a browser: the table, then pictures of patients from the best to the worst."""

from __future__ import annotations

from kerasgan.evaluation import error_map
from kerasgan.evaluation.results import PICTURE, Evaluation
from kerasgan.files import replacing
from kerasgan.pictures.html import PAGE, Picture, Section, Table, page

SHOWN = 12  # patients with a picture in the page, evenly from the best to the worst: 20 of them weigh some MB


def write_page(result: Evaluation, title: str) -> None:
    """Writes `report.html` into the evaluation's folder, in which its pictures are already.

    Args:
        result: The scores.
        title: What was scored, such as `MR to CT`.
    """
    errors: list[Table | Picture] = [
        Table(result.heading, result.rows(result.main)),
        Picture(
            "MAE over the mask, by place and by true tissue, beside its scale.",
            result.folder / PICTURE,
            "Bars of the mean absolute error, those of the baselines beside it; the table has the means.",
        ),
    ]
    sections = [Section("Errors", result.remarks(), errors), _patients(result)]
    if result.centres:
        sections.append(Section("Centres", (), [Table("MAE by centre", result.centre_rows())]))
    if result.maps:
        sections.append(
            Section("Map of expected error", (), [Table("How well it finds them", error_map.rows(result.maps))])
        )
    sections.append(Section("All figures", (), [Table(result.heading, result.rows(result.every))]))
    meanings = Table("What each figure is", [("figure", "definition"), *result.definitions()])
    sections.append(Section("Definitions", (), [meanings]))
    with replacing(result.folder / PAGE) as path:
        path.write_text(page(title, [], sections), encoding="utf-8")


def _patients(result: Evaluation) -> Section:
    """Pictures of patients; one with several scans has a picture for each, and is shown by the first."""
    metric = result.metrics[0]
    errors = {key: row[metric.name] for key, row in result.scores[result.method].items()}
    known = {
        key: value for key, value in errors.items() if value is not None and (result.folder / f"{key}.png").exists()
    }
    ranked = sorted(known, key=lambda key: known[key])
    count = min(SHOWN, len(ranked))
    shown = [ranked[round(place * (len(ranked) - 1) / max(1, count - 1))] for place in range(count)]
    text = [f"Source, synthetic scan, truth and error, from the best patient to the worst by {result.error}."]
    if count < len(ranked):
        text.append(f"{count} of {len(ranked)} are shown; the folder of this page has the others.")
    pictures = [
        Picture(
            f"{key}: {metric.name} {known[key]:.1f} {metric.unit}, number {ranked.index(key) + 1} of {len(ranked)}",
            result.folder / f"{key}.png",
            f"Slices of {key} in three planes, or of a single slice in one: source, synthetic scan, truth and error.",
        )
        for key in shown
    ]
    return Section("Patients", text, pictures)
