"""What a training has reached, in words and as a picture."""

from __future__ import annotations

from kerasgan.pictures import patients as report
from kerasgan.runs.run import Run
from kerasgan.text import rounded
from kerasgan.training.choice import kept
from kerasgan.training.history import read_rows


def draw_losses(run: Run) -> None:
    """Draws the losses of a run and its validation in `losses.png`, with a dot at each step that was kept."""
    scores, note = run.path / "validation.csv", "quick run" if run.quick else ""
    rows = read_rows(scores)
    steps: dict[str, int] = {way: int(row["step"]) for way in run.facts.directions if (row := kept(rows, way))}
    history, path = run.path / "history.csv", run.path / "losses.png"
    report.loss_figure(history, path, note, run.facts.modalities, scores, steps)


def results(run: Run) -> list[str]:
    """A sentence for each direction of a run: which step was kept, and by which score; none before a validation.

    Args:
        run: The run.

    Raises:
        RunError: For a damaged `validation.csv` or `split.json`.

    Example:
        results(run)  # ['MR to CT: 105 HU on 10 validation patients at step 3,000 (kept)']
    """
    rows, found = read_rows(run.path / "validation.csv"), []
    for direction in run.facts.directions:
        row = kept(rows, direction)
        if row is None:
            continue
        source, target = (run.facts.modalities[domain] for domain in direction)
        step = f"at step {int(row['step']):,} (kept)"
        if error := row.get(f"mae_{direction}"):
            held_out = run.split()["validation"]
            patients = len({*held_out["a"]} & {*held_out["b"]})
            unit = "HU" if target == "CT" else "in arbitrary units"
            on = f"{patients} validation patient{'s' if patients != 1 else ''}"
            found.append(f"{source} to {target}: {rounded(float(error), 3)} {unit} on {on} {step}")
        else:
            distance = rounded(float(row[f"composite_{direction}"]), 2)
            likeness = f"distance {distance} from real {target} (untranslated: 2)"  # of values and of gradients, 1 each
            found.append(f"{source} to {target}: {likeness} {step}; without pairs there is no error")
    return found
