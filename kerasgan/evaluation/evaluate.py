"""Scores a run on paired patients that it has not seen, on a scale from no network at all to a perfect one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from tqdm import tqdm

from kerasgan import datasets
from kerasgan.datasets import DatasetCard, Scan, Split, files_digest
from kerasgan.errors import DatasetError
from kerasgan.evaluation import results
from kerasgan.evaluation.error_map import ErrorMaps
from kerasgan.evaluation.results import METHOD, Evaluation, Part
from kerasgan.evaluation.scale import CONSTANT, FLOOR, Perfect, constant, places
from kerasgan.evaluation.scoring import Case, Scoring, publish
from kerasgan.files import file_digest, remove_leftovers, replacing, staging_folder
from kerasgan.metrics import ct_metrics, mr_metrics
from kerasgan.runs.contract import expected_error_path
from kerasgan.runs.run import Run, load_run, require_trust
from kerasgan.scans.contract import Direction
from kerasgan.scans.expected_error import People
from kerasgan.scans.gate import Answer
from kerasgan.scans.geometry import oriented
from kerasgan.scans.intensity import body_mask
from kerasgan.scans.preparation import Prepared, prepare
from kerasgan.translation.of_run import RunTranslator

Pair = tuple[Scan, Scan]


def evaluate(
    run_path: str | Path,
    data_dir: Path | None = None,
    out: Path | None = None,
    direction: Direction = "ab",
    dataset: str | None = None,
    trust: bool = False,
    wanted: Part = "test",
    flip: bool = False,
    index: Path | None = None,
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
    part, pairs, others = _patients(run, data_dir, dataset, wanted, index)
    seen_scans = files_digest([scan for pair in pairs for scan in pair])
    folder = out or run.path / _folder_name(direction, part, wanted, flip)
    if out is None and part == "external":
        results.require_same_scans(folder, seen_scans)
    translator.generator(direction)  # a damaged one is refused before the former results go
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    results.clear(folder)

    target, target_is_ct = run.map(direction[1]), run.facts.modalities[direction[1]] == "CT"
    window = target.low, target.high
    metrics, maps, answers = (ct_metrics if target_is_ct else mr_metrics)(window), ErrorMaps(), Counter[str]()
    with staging_folder(folder / "baseline") as kept:
        scoring = Scoring(metrics, folder, kept, window, "quick run" if run.quick else "")
        for number, pair in enumerate(tqdm([*pairs, *others], desc="Evaluating", unit="pair")):
            case, source = _load(run, pair, direction)
            if number >= len(pairs):
                scoring.sample(case)
                continue
            where, synthetic = places(source), translator.translate_prepared(source, direction, flip=flip)
            found = {
                METHOD: synthetic.array,
                CONSTANT: constant(source.body, None if target_is_ct else window),
                FLOOR: perfect.translate_truth(source, case.truth, direction).array,
            }
            scoring.add(case, found, where)
            if target_is_ct:
                shown = source.axial.with_array(source.map.forward(source.axial.array))
                maps.add(case.key, shown, synthetic, case.truth, case.mask & ~where["outside"])
            if verdict := translator.verdict(source, direction):
                answers[verdict.answer] += 1
        scores = scoring.scores()

    chosen = part == "validation" and run.generator_path(direction).stem.endswith("best")
    notes = ["quick run"] * run.quick + ["the generator was chosen by these very patients"] * chosen
    notes += ["mean with mirrored slices"] * flip
    result = Evaluation(
        folder,
        part,
        metrics=scoring.defined(placed=True),
        scores=scores,
        note="; ".join(notes),
        direction=direction,
        weights=weights,
        scans=seen_scans,
        truth=scoring.truth,
        centres={scan.patient: scan.centre for scan, _ in pairs if scan.centre},
        flip=flip,
        maps=maps.scores(),
        answers={answer: answers[answer] for answer in get_args(Answer)} if answers else {},
    )
    publish(result)
    if out is None and not flip and (expected := maps.fitted(part, weights)):
        with replacing(expected_error_path(run, direction)) as path:
            path.write_text(expected.model_dump_json() + "\n")
    return result


def _patients(
    run: Run, data_dir: Path | None, dataset: str | None, wanted: Part, index: Path | None
) -> tuple[People, list[Pair], list[Pair]]:
    """The part that is scored, its pairs, and further pairs that training has not seen; see `unseen_pairs`."""
    secret, planes = run.patient_secret(data_dir), run.facts.preparation.planes
    if dataset in (None, run.facts.dataset):
        folder = data_dir or run.data_dir
        card, scans = datasets.load_scans(run.facts.dataset, folder, run.facts.modalities, secret, planes, index)
        run.require_channels(card.channels)
        return unseen_pairs(run, card, scans, wanted)
    if wanted == "validation":
        raise DatasetError("The validation patients are those of the run's own dataset; leave --dataset or --part out.")
    card, scans = datasets.load_scans(dataset, data_dir, run.facts.modalities, secret, planes, index)
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


def _load(run: Run, pair: Pair, direction: Direction) -> tuple[Case, Prepared]:
    """Reads a pair, and names its source beside it, which a case may lack.

    The mask is the dataset's own, or the body found in the truth, on the axial grid.
    """
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
    return Case(source_scan.patient, scaled, mask, prepared, oriented(source)), prepared
