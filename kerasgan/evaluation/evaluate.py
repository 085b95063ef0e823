"""How good a run is on paired patients that it has not seen, beside what intensities alone can do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from tqdm import tqdm

from kerasgan import datasets
from kerasgan.datasets import DatasetCard, Scan, Split, files_digest
from kerasgan.errors import DatasetError
from kerasgan.evaluation import baseline, results
from kerasgan.evaluation.baseline import LookupBaseline
from kerasgan.evaluation.results import METHOD, Evaluation
from kerasgan.metrics import Metric, ct_metrics, mean_row, mr_metrics, score
from kerasgan.pictures import patients as report
from kerasgan.runs.run import Run, load_run
from kerasgan.scans.contract import Direction
from kerasgan.scans.geometry import oriented
from kerasgan.scans.intensity import body_mask
from kerasgan.scans.preparation import Prepared, prepare
from kerasgan.scans.volume import Volume
from kerasgan.translation.translate import translate_prepared

Pair = tuple[Scan, Scan]
Row = dict[str, float | None]


@dataclass(frozen=True)
class _Case:
    """A pair, read: the axial source as acquired and prepared, the truth on its grid, and where to score."""

    key: str
    acquired: Volume
    source: Prepared
    truth: Volume
    mask: np.ndarray


def evaluate(
    run_path: str | Path,
    data_dir: Path | None = None,
    out: Path | None = None,
    direction: Direction = "ab",
    dataset: str | None = None,
) -> Evaluation:
    """Translates every paired test patient and compares with the truth.

    A patient with several pairs of scans counts once, with the mean of the pairs' figures.

    Args:
        run_path: The run directory.
        data_dir: The dataset's folder, or one of the same layout with other patients; None: where it lay in training.
        out: Folder for the results; None: `evaluation` in the run, or `evaluation-ba`, `evaluation-external` and so on.
        direction: Which generator.
        dataset: Another dataset, or a `.py` file, of other people: who was trained on is known by the patient's key
            only, and another dataset may make keys in another way. None: the run's own.

    Returns:
        The scores, also written to `scores.csv`, `summary.json`, `table.md` and one picture for each pair.

    Raises:
        DatasetError: Where there are no paired patients outside the training part.
        RunError: Where the run cannot be used, or its folder for external patients holds those of other data.
    """
    run = load_run(run_path)
    generator, weights = run.generator(direction), results.weights_digest(run.generator_path(direction))
    if dataset in (None, run.facts.dataset):
        card, scans = datasets.load_scans(run.facts.dataset, data_dir or Path(run.facts.data_dir))
        part, pairs, others = unseen_pairs(run, card, scans)
    else:
        card, scans = datasets.load_scans(dataset, data_dir)
        part, pairs, others = "external", external_pairs(run, card, scans), []
    seen_scans = files_digest([scan for pair in pairs for scan in pair])
    folder = out or _default_folder(run, direction, part)
    if out is None and part == "external":
        results.require_same_scans(folder, seen_scans)
    folder.mkdir(parents=True, exist_ok=True)
    results.clear(folder)
    tables = _fit_baseline(run, [*pairs, *others], direction)
    found: dict[str, dict[str, list[Row]]] = {}
    seen: Counter[str] = Counter()
    for pair in tqdm(pairs, desc="Evaluating", unit="pair"):
        case = _load(run, pair, direction)
        seen[case.key] += 1
        name = case.key if seen[case.key] == 1 else f"{case.key}-{seen[case.key]}"
        for method, row in _score(run, case, direction, generator, tables, folder / f"{name}.png").items():
            found.setdefault(method, {}).setdefault(case.key, []).append(row)
    scores = {method: {key: mean_row(rows) for key, rows in own.items()} for method, own in found.items()}
    note = _note(run, direction, part)
    result = Evaluation(folder, part, _metrics(run, direction), scores, note, direction, weights, seen_scans)
    results.write(result)
    return result


def _default_folder(run: Run, direction: Direction, part: str) -> Path:
    name = "evaluation" + ("-ba" if direction == "ba" else "") + ("-external" if part == "external" else "")
    return run.path / name


def unseen_pairs(run: Run, card: DatasetCard, scans: Sequence[Scan]) -> tuple[str, list[Pair], list[Pair]]:
    """The paired patients to score, and further paired patients that training has not seen either.

    The split that the run recorded decides, whatever the data says today.

    Args:
        run: The run.
        card: Of the data.
        scans: All scans of the data.

    Returns:
        `"test"` with its pairs and those of the validation part; else `"validation"` with its pairs; else `"external"`
        with the pairs of all patients whose keys the run does not know.

    Raises:
        DatasetError: Where no pairs exist, or external ones show another anatomy or other modalities.
    """
    _require_pairs(card)
    split = Split.from_keys(scans, run.split())
    if test := split.test.pairs():
        return "test", test, split.validation.pairs()
    if validation := split.validation.pairs():
        return "validation", validation, []
    return "external", external_pairs(run, card, scans), []


def external_pairs(run: Run, card: DatasetCard, scans: Sequence[Scan]) -> list[Pair]:
    """The paired patients whose keys the run does not know.

    Args:
        run: The run.
        card: Of the data.
        scans: All scans of the data.

    Raises:
        DatasetError: Where there are none, or they show another anatomy or other modalities.
    """
    _require_pairs(card)
    _require_alike(run, card)
    known = {key for domains in run.split().values() for patients in domains.values() for key in patients}
    strangers = {scan.patient for scan in scans} - known
    external = Split.from_keys(scans, {"test": {"a": strangers, "b": strangers}}).test.pairs()
    if not external:
        raise DatasetError("The data has no paired patients outside the training part. Give --data-dir with some.")
    return external


def _require_pairs(card: DatasetCard) -> None:
    if not card.paired:
        raise DatasetError(
            f"Dataset {card.name} has no aligned MR and CT of the same patient, so nothing can be scored against a "
            "truth. Evaluate on a paired one with --dataset (synthrad, phantom, or folder with a file called paired "
            "where your scans are registered), or look at translated scans."
        )


def _require_alike(run: Run, card: DatasetCard) -> None:
    """Makes sure that data of other patients shows what the run was trained on."""
    wanted = (run.facts.anatomy, *run.facts.modalities.values())
    found = (card.anatomy, *card.modalities)
    is_known = run.facts.anatomy and card.anatomy  # of one's own scans in folders it is not
    if found[1:] != wanted[1:] or (is_known and found != wanted):
        raise DatasetError(
            f"The run was trained on {' '.join(filter(None, wanted))}, the data is {' '.join(filter(None, found))}. "
            "Give data of the same anatomy and modalities."
        )


def _load(run: Run, pair: Pair, direction: Direction) -> _Case:
    source_scan, truth_scan = pair if direction == "ab" else pair[::-1]
    source, truth = source_scan.load(), truth_scan.load()
    # A coronal MR may have an axial truth, voxel on voxel.
    oriented(source).grid.require(oriented(truth).grid, source_scan.patient)
    mask = _given_mask(source_scan, source)
    if mask is None:
        mask = _given_mask(truth_scan, truth)
    if mask is None:
        mask = body_mask(oriented(truth))
    if not mask.any():
        raise DatasetError(f"The body mask of patient {source_scan.patient} is empty; mend it, or leave it out.")
    with source_scan.usable():
        prepared = prepare(source, run.facts.preparation, crop=False)
    with truth_scan.usable():
        scaled = _on_the_models_scale(run, truth, direction)
    return _Case(source_scan.patient, oriented(source), prepared, scaled, mask)


def _given_mask(scan: Scan, volume: Volume) -> np.ndarray | None:
    """The dataset's own body mask on the axial grid, bool `[slices, rows, columns]`, or None."""
    mask = scan.load_mask(volume)
    return None if mask is None else oriented(volume.with_array(mask * 1.0)).array > 0.5


def _on_the_models_scale(run: Run, truth: Volume, direction: Direction) -> Volume:
    """The axial truth; MR in the unit in which the model writes it, since a scanner's own unit means nothing."""
    if truth.modality == "CT":
        return oriented(truth)
    prepared = prepare(truth, run.facts.preparation, crop=False)
    values = run.map(direction[1]).inverse(prepared.map.forward(prepared.axial.array))
    return prepared.axial.with_array(values)


def _fit_baseline(run: Run, pairs: Sequence[Pair], direction: Direction) -> LookupBaseline:
    tables = LookupBaseline()
    for pair in tqdm(pairs, desc="Fitting the look-up table", unit="pair"):
        case = _load(run, pair, direction)
        tables.add(case.key, case.source.map.forward(case.source.axial.array), case.truth.array, case.mask)
    return tables


def _score(
    run: Run, case: _Case, direction: Direction, generator: keras.Model, tables: LookupBaseline, picture: Path
) -> dict[str, Row]:
    """The figures of a pair by method; writes its picture."""
    metrics = _metrics(run, direction)
    synthetic = translate_prepared(run, case.source, direction, generator)
    guesses = {METHOD: synthetic.array}
    guess = tables.translate(case.key, case.source.map.forward(case.source.axial.array))
    if guess is not None:
        guesses[baseline.NAME] = guess
    truth, source = case.truth.array, case.acquired.array
    scores = {method: score(array, truth, case.mask, metrics, source) for method, array in guesses.items()}
    first = metrics[0]
    title = f"{case.key}   {first.name} {scores[METHOD][first.name]:.1f} {first.unit}"
    target = run.map(direction[1])
    comparison = report.Comparison(
        case.source.axial, synthetic, case.truth, case.mask, (target.low, target.high), title
    )
    report.comparison_figure(comparison, picture, note="quick run" if run.quick else "")
    return scores


def _note(run: Run, direction: Direction, part: str) -> str:
    chosen = part == "validation" and run.generator_path(direction).stem.endswith("best")
    notes = ["quick run"] * run.quick + ["the generator was chosen by these very patients"] * chosen
    return "; ".join(notes)


def _metrics(run: Run, direction: Direction) -> tuple[Metric, ...]:
    target = run.map(direction[1])
    is_ct = run.facts.modalities[direction[1]] == "CT"
    return (ct_metrics if is_ct else mr_metrics)((target.low, target.high))
