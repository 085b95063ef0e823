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
from kerasgan.evaluation.error_map import ErrorMaps
from kerasgan.evaluation.results import METHOD, Evaluation, Part
from kerasgan.evaluation.scale import CONSTANT, FLOOR, Perfect, constant, places
from kerasgan.files import file_digest, remove_leftovers, replacing, staging_folder
from kerasgan.metrics import PLACES, Metric, by_place, ct_metrics, mean_row, mr_metrics, score
from kerasgan.pictures.charts import bars_figure
from kerasgan.pictures.patients import Comparison, comparison_figure
from kerasgan.runs.contract import expected_error_path
from kerasgan.runs.run import Run, load_run, require_trust
from kerasgan.scans.contract import Direction
from kerasgan.scans.expected_error import People
from kerasgan.scans.gate import Answer
from kerasgan.scans.geometry import oriented
from kerasgan.scans.intensity import IntensityMap, body_mask
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

    def scaled(self) -> np.ndarray:
        """The source in the networks' [-1, 1], `[slices, rows, columns]`."""
        return self.source.map.forward(self.source.axial.array)


def evaluate(
    run_path: str | Path,
    data_dir: Path | None = None,
    out: Path | None = None,
    direction: Direction = "ab",
    dataset: str | None = None,
    trust: bool = False,
    wanted: Part = "test",
    flip: bool = False,
) -> Evaluation:
    """Translates every paired test patient and compares the result with the truth, see `kerasgan.evaluate`.

    Of a synthetic CT the expected error is measured as well, and kept in the run where the evaluation lies there and
    mirrors no slices. Each scan is read and prepared once. A patient with several pairs of scans counts once, with the
    mean of the pairs' scores. Who was trained on is known by the patient's key only, and another dataset may make keys
    in another way, so that `dataset` must have other people.

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
    part, pairs, others = _patients(run, data_dir, dataset, wanted)
    seen_scans = files_digest([scan for pair in pairs for scan in pair])
    folder = out or run.path / _folder_name(direction, part, wanted, flip)
    if out is None and part == "external":
        results.require_same_scans(folder, seen_scans)
    translator.generator(direction)  # a damaged one is refused before the former results go
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    results.clear(folder)

    target, target_is_ct = run.map(direction[1]), run.facts.modalities[direction[1]] == "CT"
    metrics = (ct_metrics if target_is_ct else mr_metrics)((target.low, target.high))
    tables, maps, answers = LookupBaseline(), ErrorMaps(), Counter[str]()
    rows: dict[str, dict[str, list[Row]]] = {METHOD: {}, CONSTANT: {}, baseline.NAME: {}, FLOOR: {}}
    # A look-up table needs samples of all other patients, so the baseline is scored at the end, from what is kept here.
    with staging_folder(folder / "baseline") as kept:
        for number, pair in enumerate(tqdm([*pairs, *others], desc="Evaluating", unit="pair")):
            case = _load(run, pair, direction)
            tables.add(case.key, case.scaled(), case.truth.array, case.mask)
            if number >= len(pairs):
                continue
            where, synthetic = places(case.source), translator.translate_prepared(case.source, direction, flip=flip)
            found = {
                METHOD: synthetic.array,
                CONSTANT: constant(case.source, run, direction),
                FLOOR: perfect.translate_truth(case.source, case.truth, direction).array,
            }
            if target_is_ct:
                shown = case.source.axial.with_array(case.scaled())
                maps.add(case.key, shown, synthetic, case.truth, case.mask & ~where["outside"])
            for method, array in found.items():
                row = score(array, case.truth.array, case.mask, _split(metrics, where), case.acquired.array)
                rows[method].setdefault(case.key, []).append(row)
            if verdict := translator.verdict(case.source, direction):
                answers[verdict.answer] += 1
            _draw(case, synthetic, rows[METHOD][case.key], metrics[0], target, folder, run.quick)
            _keep(case, where, kept / f"{number}.npz")
        for number, (scan, _) in enumerate(tqdm(pairs, desc="Scoring the look-up table", unit="pair")):
            if own := _baseline_row(tables, scan.patient, kept / f"{number}.npz", metrics):
                rows[baseline.NAME].setdefault(scan.patient, []).append(own)

    chosen = part == "validation" and run.generator_path(direction).stem.endswith("best")
    notes = ["quick run"] * run.quick + ["the generator was chosen by these very patients"] * chosen
    notes += ["mean with mirrored slices"] * flip
    result = Evaluation(
        folder,
        part,
        metrics=_split(metrics, dict.fromkeys(PLACES, np.empty(0))),
        scores={name: {key: mean_row(own) for key, own in found.items()} for name, found in rows.items() if found},
        note="; ".join(notes),
        direction=direction,
        weights=weights,
        scans=seen_scans,
        centres={scan.patient: scan.centre for scan, _ in pairs if scan.centre},
        flip=flip,
        maps=maps.scores(),
        answers={answer: answers[answer] for answer in get_args(Answer)} if answers else {},
    )
    title = f"{result.error}, {len(result.scores[METHOD])} {part} patients"
    bars_figure(result.bars(), folder / results.PICTURE, title, result.note)
    results.write(result)
    if out is None and not flip and (expected := maps.fitted(part, weights)):
        with replacing(expected_error_path(run, direction)) as path:
            path.write_text(expected.model_dump_json() + "\n")
    return result


def _patients(
    run: Run, data_dir: Path | None, dataset: str | None, wanted: Part
) -> tuple[People, list[Pair], list[Pair]]:
    """The part that is scored, its pairs, and further pairs that training has not seen; see `unseen_pairs`."""
    secret, planes = run.patient_secret(data_dir), run.facts.preparation.planes
    if dataset in (None, run.facts.dataset):
        folder = data_dir or run.data_dir
        card, scans = datasets.load_scans(run.facts.dataset, folder, run.facts.modalities, secret, planes)
        run.require_channels(card.channels)
        return unseen_pairs(run, card, scans, wanted)
    if wanted == "validation":
        raise DatasetError("The validation patients are those of the run's own dataset; leave --dataset or --part out.")
    card, scans = datasets.load_scans(dataset, data_dir, run.facts.modalities, secret, planes)
    run.require_channels(card.channels)
    return "external", external_pairs(run, card, scans), []


def _folder_name(direction: Direction, part: str, wanted: Part, flip: bool) -> str:
    """The folder of an evaluation in its run; a comparison tells from it how to evaluate again."""
    name = "evaluation" + "-ba" * (direction == "ba") + "-external" * (part == "external")
    return name + "-validation" * (wanted == "validation") + "-flip" * flip


def unseen_pairs(
    run: Run, card: DatasetCard, scans: Sequence[Scan], wanted: Part = "test"
) -> tuple[People, list[Pair], list[Pair]]:
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
    (source, *further), truth = source_scan.load_channels(), truth_scan.load()
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
        prepared = prepare(source, run.facts.preparation, crop=False, further=further)
    with truth_scan.usable():
        if truth.modality == "CT":
            scaled = oriented(truth)
        else:  # a scanner's own unit means nothing, so MR is compared in the unit in which the model writes it
            target = prepare(truth, run.facts.preparation, crop=False)
            values = run.map(direction[1]).inverse(target.map.forward(target.axial.array))
            scaled = target.axial.with_array(values)
    return _Case(source_scan.patient, oriented(source), prepared, scaled, mask)


def _draw(
    case: _Case, synthetic: Volume, scored: list[Row], error: Metric, target: IntensityMap, folder: Path, quick: bool
) -> None:
    """Draws source, synthetic scan, truth and error of the newest scan that was scored of a patient."""
    name = case.key if len(scored) == 1 else f"{case.key}-{len(scored)}"
    title = f"{case.key}   {error.name} {scored[-1][error.name]:.1f} {error.unit}"
    compared = Comparison(case.source.axial, synthetic, case.truth, case.mask, (target.low, target.high), title)
    comparison_figure(compared, folder / f"{name}.png", note="quick run" if quick else "")


def _keep(case: _Case, where: Mapping[str, np.ndarray], path: Path) -> None:
    """Keeps what the look-up table is scored on: the voxels of the body, since metrics look at no others."""
    volumes = {"source": case.scaled(), "truth": case.truth.array, "acquired": case.acquired.array, **where}
    np.savez(path, mask=case.mask, **{name: array[case.mask] for name, array in volumes.items()})


def _baseline_row(tables: LookupBaseline, key: str, path: Path, metrics: tuple[Metric, ...]) -> Row | None:
    """Scores the look-up table of all other patients on what `_keep` wrote of a patient; None without others."""
    with np.load(path) as arrays:
        mask = arrays["mask"]
        volumes = {name: _spread(arrays[name], mask) for name in arrays.files if name != "mask"}
    guess = tables.translate(key, volumes["source"])
    if guess is None:
        return None
    return score(guess, volumes["truth"], mask, _split(metrics, volumes), volumes["acquired"])


def _split(metrics: tuple[Metric, ...], where: Mapping[str, np.ndarray]) -> tuple[Metric, ...]:
    """The metrics with the first one, the MAE, split by place as well."""
    return (*metrics[:1], *by_place(metrics[0], where), *metrics[1:])


def _spread(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Puts the values of the mask's voxels back into an array of its shape, 0 elsewhere."""
    array = np.zeros(mask.shape, values.dtype)
    array[mask] = values
    return array
