"""Scores a run on paired patients that it has not seen, on a scale from no network at all to a perfect one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from tqdm import tqdm

from kerasgan import datasets
from kerasgan.datasets import DatasetCard, Scan, Split, files_digest
from kerasgan.errors import DatasetError
from kerasgan.evaluation import baseline, results
from kerasgan.evaluation.baseline import LookupBaseline
from kerasgan.evaluation.results import METHOD, Evaluation, Part, Scores
from kerasgan.evaluation.scale import CONSTANT, FLOOR, Perfect, constant, places
from kerasgan.files import file_digest, remove_leftovers, staging_folder
from kerasgan.metrics import PLACES, Metric, by_place, ct_metrics, mean_row, mr_metrics, score
from kerasgan.pictures.charts import bars_figure
from kerasgan.pictures.patients import Comparison, comparison_figure
from kerasgan.runs.run import Run, load_run, require_trust
from kerasgan.scans.contract import Direction
from kerasgan.scans.geometry import oriented
from kerasgan.scans.intensity import body_mask
from kerasgan.scans.preparation import Prepared, prepare
from kerasgan.scans.volume import Volume
from kerasgan.translation.of_run import RunTranslator

Pair = tuple[Scan, Scan]
Row = dict[str, float | None]


@dataclass(frozen=True)
class _Case:
    """A pair of scans, read: the axial source as acquired and prepared, the truth on its grid, and where to score."""

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
    trust: bool = False,
    wanted: Part = "test",
) -> Evaluation:
    """Translates every paired test patient and compares the result with the truth, see `kerasgan.evaluate`.

    Each scan is read and prepared once. A patient with several pairs of scans counts once, with the mean of the pairs'
    scores. Who was trained on is known by the patient's key only, and another dataset may make keys in another way, so
    that `dataset` must have other people.

    Raises:
        ValueError: For another part than `"test"` or `"validation"`.
        DatasetError: Where there are no paired patients outside the training part.
        RunError: Where the run cannot be used or names code that is not trusted, or its folder for external patients
            has those of other data.
    """
    if wanted not in get_args(Part):
        raise ValueError(f"part must be 'test' or 'validation'; got {wanted!r}.")
    run = load_run(run_path)
    require_trust(run, [dataset or run.facts.dataset], trust, [dataset])
    translator, perfect, weights = RunTranslator(run), Perfect(run), file_digest(run.generator_path(direction))
    secret, planes = run.patient_secret(data_dir), run.facts.preparation.planes
    if dataset in (None, run.facts.dataset):
        folder = data_dir or run.data_dir
        card, scans = datasets.load_scans(run.facts.dataset, folder, run.facts.modalities, secret, planes)
        part, pairs, others = unseen_pairs(run, card, scans, wanted)
    elif wanted == "validation":
        raise DatasetError("The validation patients are those of the run's own dataset; leave --dataset or --part out.")
    else:
        card, scans = datasets.load_scans(dataset, data_dir, run.facts.modalities, secret, planes)
        part, pairs, others = "external", external_pairs(run, card, scans), []
    seen_scans = files_digest([scan for pair in pairs for scan in pair])
    name = "evaluation" + "-ba" * (direction == "ba") + "-external" * (part == "external")
    name += "-validation" * (wanted == "validation")
    folder = out or run.path / name
    if out is None and part == "external":
        results.require_same_scans(folder, seen_scans)
    translator.generator(direction)  # a damaged one is refused before the former results go
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    results.clear(folder)

    target = run.map(direction[1])
    metrics = (ct_metrics if run.facts.modalities[direction[1]] == "CT" else mr_metrics)((target.low, target.high))
    tables, seen = LookupBaseline(), Counter[str]()
    rows: dict[str, dict[str, list[Row]]] = {METHOD: {}, CONSTANT: {}, baseline.NAME: {}, FLOOR: {}}
    # A look-up table needs samples of all other patients, so the baseline is scored at the end, from what is kept here.
    with staging_folder(folder / "baseline") as kept:
        for number, pair in enumerate(tqdm([*pairs, *others], desc="Evaluating", unit="pair")):
            case = _load(run, pair, direction)
            scaled = case.source.map.forward(case.source.axial.array)  # the source in the networks' [-1, 1]
            tables.add(case.key, scaled, case.truth.array, case.mask)
            if number >= len(pairs):
                continue
            synthetic = translator.translate_prepared(case.source, direction)
            where = places(case.source)
            found = {
                METHOD: synthetic.array,
                CONSTANT: constant(case.source, run, direction),
                FLOOR: perfect.translate_truth(case.source, case.truth, direction).array,
            }
            everything = _split(metrics, where)
            for method, array in found.items():
                row = score(array, case.truth.array, case.mask, everything, case.acquired.array)
                rows[method].setdefault(case.key, []).append(row)
            row = rows[METHOD][case.key][-1]
            seen[case.key] += 1
            picture = case.key if seen[case.key] == 1 else f"{case.key}-{seen[case.key]}"
            title = f"{case.key}   {metrics[0].name} {row[metrics[0].name]:.1f} {metrics[0].unit}"
            window = (target.low, target.high)
            compared = Comparison(case.source.axial, synthetic, case.truth, case.mask, window, title)
            comparison_figure(compared, folder / f"{picture}.png", note="quick run" if run.quick else "")
            # Metrics look at voxels of the body alone, so those are enough.
            volumes = {"source": scaled, "truth": case.truth.array, "acquired": case.acquired.array, **where}
            voxels = {name: array[case.mask] for name, array in volumes.items()}
            np.savez(kept / f"{number}.npz", mask=case.mask, **voxels)
        for number, (scan, _) in enumerate(tqdm(pairs, desc="Scoring the look-up table", unit="pair")):
            with np.load(kept / f"{number}.npz") as arrays:
                mask = arrays["mask"]
                volumes = {name: _spread(arrays[name], mask) for name in arrays.files if name != "mask"}
            guess = tables.translate(scan.patient, volumes["source"])
            if guess is not None:
                row = score(guess, volumes["truth"], mask, _split(metrics, volumes), volumes["acquired"])
                rows[baseline.NAME].setdefault(scan.patient, []).append(row)

    scores: dict[str, Scores] = {
        method: {key: mean_row(own) for key, own in by_patient.items()}
        for method, by_patient in rows.items()
        if by_patient
    }
    centres = {scan.patient: scan.centre for scan, _ in pairs if scan.centre}
    chosen = part == "validation" and run.generator_path(direction).stem.endswith("best")
    notes = ["quick run"] * run.quick + ["the generator was chosen by these very patients"] * chosen
    everything = _split(metrics, dict.fromkeys(PLACES, np.empty(0)))
    result = Evaluation(folder, part, everything, scores, "; ".join(notes), direction, weights, seen_scans, centres)
    title = f"{result.error}, {len(scores[METHOD])} {part} patients"
    bars_figure(result.bars(), folder / results.PICTURE, title, result.note)
    results.write(result)
    return result


def unseen_pairs(
    run: Run, card: DatasetCard, scans: Sequence[Scan], wanted: Part = "test"
) -> tuple[str, list[Pair], list[Pair]]:
    """Finds the paired patients to score, and further paired patients that training has not seen either.

    The split that the run recorded decides, whatever the data says today.

    Args:
        run: The run.
        card: Card of the data.
        scans: All of its scans.
        wanted: `"validation"` for those that chose the generator, though there are others.

    Returns:
        `"test"` with its pairs and those of the validation part; else `"validation"` with its pairs; else `"external"`
        with the pairs of all patients whose keys the run does not know.

    Raises:
        DatasetError: Where no pairs exist, or external ones show another anatomy or other modalities.
    """
    _require_pairs(card)
    split = Split.from_keys(scans, run.split())
    if wanted == "test" and (test := split.test.pairs()):
        return "test", test, split.validation.pairs()
    if validation := split.validation.pairs():
        return "validation", validation, []
    if wanted == "validation":
        raise DatasetError("The data has no pair of the run's validation patients; leave --part out.")
    return "external", external_pairs(run, card, scans), []


def external_pairs(run: Run, card: DatasetCard, scans: Sequence[Scan]) -> list[Pair]:
    """Finds the paired patients of the data whose keys the run does not know.

    Raises:
        DatasetError: Where there are none, or they show another anatomy or other modalities.
    """
    _require_pairs(card)
    wanted, found = (run.facts.anatomy, *run.facts.modalities.values()), (card.anatomy, *card.modalities)
    is_known = run.facts.anatomy and card.anatomy  # unknown for one's own scans in folders
    if found[1:] != wanted[1:] or (is_known and found != wanted):
        raise DatasetError(
            f"The run was trained on {' '.join(filter(None, wanted))}, the data is {' '.join(filter(None, found))}. "
            "Give data of the same anatomy and modalities."
        )
    known = {key for domains in run.split().values() for patients in domains.values() for key in patients}
    strangers = {scan.patient for scan in scans} - known
    external = Split.from_keys(scans, {"test": {"a": strangers, "b": strangers}}).test.pairs()
    if not external:
        people = {scan.patient for scan in scans}
        paired = Split.from_keys(scans, {"test": {"a": people, "b": people}}).test.pairs()
        keys = {scan.patient for scan, _ in paired}
        parts = {part: len(keys & {*domains["a"], *domains["b"]}) for part, domains in run.split().items()}
        reason = f"All patients of the data who have both scans are in the run's split already: {parts}"
        if not keys:
            reason = "No patient of the data has a scan in both domains"
        raise DatasetError(f"{reason}. Give --data-dir with pairs of other patients.")
    return external


def _require_pairs(card: DatasetCard) -> None:
    if not card.paired:
        raise DatasetError(
            f"Dataset {card.name} has no aligned MR and CT of the same patient, so nothing can be scored against a "
            "truth. Evaluate on a paired one with --dataset (synthrad, phantom, or folder with a file called paired "
            "where your scans are registered), or look at translated scans."
        )


def _load(run: Run, pair: Pair, direction: Direction) -> _Case:
    """Reads a pair. The mask is the dataset's own, or the body found in the truth, on the axial grid."""
    source_scan, truth_scan = pair if direction == "ab" else pair[::-1]
    source, truth = source_scan.load(), truth_scan.load()
    # A coronal MR may have an axial truth, voxel on voxel.
    oriented(source).grid.require(oriented(truth).grid, source_scan.patient)
    mask = None
    for scan, volume in ((source_scan, source), (truth_scan, truth)):
        given = scan.load_mask(volume) if mask is None else None
        if given is not None:
            mask = oriented(volume.with_array(given * 1.0)).array > 0.5
    if mask is None:
        mask = body_mask(oriented(truth))
    if not mask.any():
        raise DatasetError(f"The body mask of patient {source_scan.patient} is empty; mend it, or leave it out.")
    with source_scan.usable():
        prepared = prepare(source, run.facts.preparation, crop=False)
    with truth_scan.usable():
        if truth.modality == "CT":
            scaled = oriented(truth)
        else:  # a scanner's own unit means nothing, so MR is compared in the unit in which the model writes it
            target = prepare(truth, run.facts.preparation, crop=False)
            values = run.map(direction[1]).inverse(target.map.forward(target.axial.array))
            scaled = target.axial.with_array(values)
    return _Case(source_scan.patient, oriented(source), prepared, scaled, mask)


def _split(metrics: tuple[Metric, ...], where: Mapping[str, np.ndarray]) -> tuple[Metric, ...]:
    """The metrics with the first one, the MAE, split by place as well."""
    return (*metrics[:1], *by_place(metrics[0], where), *metrics[1:])


def _spread(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Puts the values of the mask's voxels back into an array of its shape, 0 elsewhere."""
    array = np.zeros(mask.shape, values.dtype)
    array[mask] = values
    return array
