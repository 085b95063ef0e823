"""Scores a run on paired patients that it has not seen, on a scale from no network at all to a perfect one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TypeVar, cast, get_args

from tqdm import tqdm

from kerasgan import datasets
from kerasgan.datasets import DatasetCard, Scan, Split, files_digest
from kerasgan.engines.names import Wanted
from kerasgan.errors import DatasetError, RunError, WorkerError
from kerasgan.evaluation import results
from kerasgan.evaluation.error_map import ErrorMaps
from kerasgan.evaluation.pair import Pair, PairEvaluator, PairJob, PairResult, evaluate_pair, look_up
from kerasgan.evaluation.results import Evaluation, Part
from kerasgan.evaluation.scoring import Row, Scoring, publish
from kerasgan.execution import Outcome, SentOnce, executor
from kerasgan.files import file_digest, remove_leftovers, replacing, staging_folder
from kerasgan.runs.contract import expected_error_path
from kerasgan.runs.pack import SUFFIX
from kerasgan.runs.run import Run, load_run, require_trust
from kerasgan.scans.contract import Direction
from kerasgan.scans.expected_error import People
from kerasgan.scans.gate import Answer
from kerasgan.training.page import write_run_page
from kerasgan.translation.of_pack import PackTranslator
from kerasgan.translation.of_run import RunTranslator

Job = TypeVar("Job")
Value = TypeVar("Value")


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
    workers: int = 1,
    cluster: str | None = None,
    engine: Wanted = "exact",
) -> Evaluation:
    """Translates every paired test patient and compares the result with the truth, see `kerasgan.evaluate`.

    Of a synthetic CT the expected error is measured as well, and kept in the run where the evaluation lies there and
    mirrors no slices. Each scan is read and prepared once, in one of the workers; results are gathered in the order of
    the pairs. A patient with several pairs of scans counts once, with the mean of the pairs' scores. Who was trained on
    is known by the patient's key only, and another dataset may make keys in another way, so that `dataset` must have
    other people. A pack does not say who it was trained on: everybody in `dataset` is external to it.

    Raises:
        ValueError: For another part than `"test"` or `"validation"`.
        DatasetError: Where there are no paired patients outside the training part.
        RunError: Where the run cannot be used or names code that is not trusted, its folder for external patients has
            those of other data, or a pack comes without a dataset.
        WorkerError: Where the workers cannot be reached, or a pair ends its process.
    """
    if wanted not in get_args(Part):
        raise ValueError(f"part must be 'test' or 'validation'; got {wanted!r}.")
    run_path = Path(run_path)
    packed = run_path.suffix == SUFFIX
    if packed and not dataset:
        raise RunError(
            f"{run_path} does not say who it was trained on, as no pack does; name paired people whom it cannot have "
            "seen, such as your own, with --dataset folder and --data-dir (in Python dataset= and data_dir=)."
        )
    translator = PackTranslator(run_path, engine, index) if packed else RunTranslator(load_run(run_path), engine, index)
    run = translator.run
    require_trust(run, [dataset or run.facts.dataset], trust, [dataset])
    weights = file_digest(run.generator_path(direction))
    part, pairs, others = _patients(run, data_dir, dataset, wanted, index, packed)
    seen_scans = files_digest([scan for pair in pairs for scan in pair])
    has_own_folder = out is None
    if packed and out is None:
        out = run_path.with_name(f"{run_path.stem}-{_folder_name(direction, part, wanted, flip)}")
    folder = out or run.path / _folder_name(direction, part, wanted, flip)
    if has_own_folder and part == "external":
        results.require_same_scans(folder, seen_scans)
    translator.generator(direction)  # a damaged one is refused before the former results go
    translator.show_progress = workers == 1 and not cluster
    jobs, of_patient = list[PairJob](), Counter[str]()
    for pair in pairs:
        key = pair[0].patient
        of_patient[key] += 1
        jobs.append(PairJob(pair, len(jobs), key if of_patient[key] == 1 else f"{key}-{of_patient[key]}"))
    jobs += [PairJob(pair, number, "") for number, pair in enumerate(others, len(jobs))]
    scoring, maps, answers = Scoring(), ErrorMaps(), Counter[str]()
    with ExitStack() as stack:
        place = stack.enter_context(executor(workers, cluster, threads=1))
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
        results.clear(folder)
        kept = stack.enter_context(staging_folder(folder / "baseline"))
        evaluator = PairEvaluator(translator, direction, flip, folder, kept)
        sent, found, rows = SentOnce(evaluator), dict[int, PairResult](), dict[Path, Row]()
        with tqdm(desc="Evaluating", total=len(jobs), unit="pair") as bar:
            for outcome in place.run(partial(evaluate_pair, sent), jobs):
                found[outcome.job.number] = _value(outcome, outcome.job.pair[0].patient)
                bar.update()
        for number, job in enumerate(jobs):  # not in the order in which they were finished
            key, one = job.pair[0].patient, found[number]
            scoring.sample(key, one.sample)
            if one.measured:
                scoring.add(one.measured)
            maps.add(key, one.errors)
            answers.update([one.answer] if one.answer else [])
        with tqdm(desc="Scoring the look-up table", total=len(pairs), unit="pair") as bar:
            for looked_up in place.run(partial(look_up, sent), scoring.kept()):
                rows[looked_up.job.path] = _value(looked_up, looked_up.job.key)
                bar.update()
        scoring.add_looked_up(rows)

    chosen = part == "validation" and run.generator_path(direction).stem.endswith("best")
    notes = ["quick run"] * run.quick + ["the generator was chosen by these very patients"] * chosen
    notes += ["a pack, which does not say who it was trained on"] * packed
    notes += ["mean with mirrored slices"] * flip
    computed = " and ".join(sorted({one.engine for one in found.values() if one.engine}))  # workers measure apart
    notes += [f"computed by {computed}"] * (engine != "exact")
    result = Evaluation(
        folder,
        part,
        metrics=evaluator.scorer.defined(placed=True),
        scores=scoring.scores(),
        note="; ".join(notes),
        direction=direction,
        weights=weights,
        scans=seen_scans,
        truth=scoring.truth,
        centres={scan.patient: scan.centre for scan, _ in pairs if scan.centre},
        flip=flip,
        maps=maps.scores(),
        engine=computed,
        answers={answer: answers[answer] for answer in get_args(Answer)} if answers else {},
    )
    what = " to ".join(run.facts.modalities[domain] for domain in direction)
    publish(result, f"{run_path.resolve().name}: {what}")
    if out is None:
        write_run_page(run)  # which names the evaluations
    if out is None and not flip and (expected := maps.fitted(part, weights)):
        with replacing(expected_error_path(run, direction)) as path:
            path.write_text(expected.model_dump_json() + "\n")
    return result


def _value(outcome: Outcome[Job, Value], key: str) -> Value:
    """What was found of a patient; raises what stopped it, with the patient's key where that ended its process."""
    if isinstance(outcome.failure, WorkerError):
        raise WorkerError(f"Patient {key}: {outcome.error}") from outcome.failure
    if outcome.failure:
        raise outcome.failure
    return cast(Value, outcome.value)


def _patients(
    run: Run, data_dir: Path | None, dataset: str | None, wanted: Part, index: Path | None, packed: bool
) -> tuple[People, list[Pair], list[Pair]]:
    """The part that is scored, its pairs, and further pairs that training has not seen; see `unseen_pairs`."""
    name = dataset or run.facts.dataset
    is_own = name == run.facts.dataset and not packed
    if wanted == "validation" and not is_own:
        raise DatasetError("The validation patients are those of the run's own dataset; leave --dataset or --part out.")
    secret = None if packed else run.patient_secret(data_dir)
    folder = data_dir or run.data_dir if is_own else data_dir
    card, scans = datasets.load_scans(name, folder, run.facts.modalities, secret, run.facts.preparation.planes, index)
    run.require_channels(card.channels)
    if is_own:
        return unseen_pairs(run, card, scans, wanted)
    return "external", external_pairs(run, card, scans, {} if packed else run.split()), []


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
    recorded = run.split()
    split = Split.from_keys(scans, recorded)
    if wanted == "test" and (test := split.test.pairs()):
        return "test", test, split.validation.pairs()
    if validation := split.validation.pairs():
        return "validation", validation, []
    if wanted == "validation":
        raise DatasetError("The data has no pair of the run's validation patients; leave --part out.")
    return "external", external_pairs(run, card, scans, recorded), []


def external_pairs(
    run: Run, card: DatasetCard, scans: Sequence[Scan], recorded: Mapping[str, Mapping[str, Sequence[str]]]
) -> list[Pair]:
    """Finds the paired patients of the data whose keys are not in a split that the run recorded.

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
    known = {key for domains in recorded.values() for patients in domains.values() for key in patients}
    strangers = {scan.patient for scan in scans} - known
    external = Split.from_keys(scans, {"test": {"a": strangers, "b": strangers}}).test.pairs()
    if not external:
        people = {scan.patient for scan in scans}
        paired = Split.from_keys(scans, {"test": {"a": people, "b": people}}).test.pairs()
        keys = {scan.patient for scan, _ in paired}
        parts = {part: len(keys & {*domains["a"], *domains["b"]}) for part, domains in recorded.items()}
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
