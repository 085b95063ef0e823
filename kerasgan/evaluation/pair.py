"""The evaluation of one pair of scans of a patient, in whichever process it is done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kerasgan.datasets import Scan
from kerasgan.errors import DatasetError, RunError
from kerasgan.evaluation.baseline import LookupSample
from kerasgan.evaluation.error_map import ErrorSample, error_sample
from kerasgan.evaluation.results import METHOD
from kerasgan.evaluation.scale import CONSTANT, FLOOR, Perfect, constant, places
from kerasgan.evaluation.scoring import Case, Kept, Measured, Row, Scorer
from kerasgan.execution import SHARED, SentOnce
from kerasgan.metrics import ct_metrics, mr_metrics
from kerasgan.runs.run import Run
from kerasgan.scans.contract import Direction
from kerasgan.scans.gate import Answer
from kerasgan.scans.geometry import oriented
from kerasgan.scans.intensity import body_mask
from kerasgan.scans.preparation import Prepared, prepare
from kerasgan.translation.of_run import RunTranslator

Pair = tuple[Scan, Scan]


@dataclass(frozen=True)
class PairJob:
    """A pair that is to be evaluated.

    Attributes:
        pair: The patient's scans of domain a and b.
        number: Its number among all.
        picture: Name of its picture, without `.png`; "" where only a sample for the look-up table is wanted.
    """

    pair: Pair
    number: int
    picture: str


@dataclass(frozen=True)
class PairResult:
    """What remains of a pair.

    Attributes:
        sample: Voxels for the look-up table of the others.
        measured: Its scores; None where only the sample was wanted.
        errors: Voxels for the map of expected error, of a synthetic CT.
        answer: What the input gate says of the source; None without a gate.
        engine: What computed the network; "" where only the sample was wanted.
    """

    sample: LookupSample | None
    measured: Measured | None = None
    errors: ErrorSample | None = None
    answer: Answer | None = None
    engine: str = ""


class PairEvaluator:
    """Translates and scores pairs by a run. A process that it is sent to loads the network itself.

    Args:
        translator: Of the run.
        direction: Which generator.
        flip: Whether each result is the mean with that of the mirrored slices.
        folder: Where pictures go.
        kept: A temporary folder, see `Scorer`.
    """

    def __init__(self, translator: RunTranslator, direction: Direction, flip: bool, folder: Path, kept: Path) -> None:
        self._arguments = translator, direction, flip, folder, kept
        self.translator, self.direction, self.flip = translator, direction, flip
        run, target = translator.run, translator.run.map(direction[1])
        self.perfect = Perfect(run)
        self.perfect.show_progress = translator.show_progress
        self.target_is_ct, self.window = run.facts.modalities[direction[1]] == "CT", (target.low, target.high)
        metrics = (ct_metrics if self.target_is_ct else mr_metrics)(self.window)
        self.scorer = Scorer(metrics, folder, kept, self.window, "quick run" if run.quick else "")

    def __reduce__(self) -> tuple[object, ...]:
        return PairEvaluator, self._arguments

    def evaluate(self, job: PairJob) -> PairResult:
        """Reads, translates and scores a pair.

        Raises:
            DatasetError: For scans that cannot be compared.
        """
        case, source = load_pair(self.translator.run, job.pair, self.direction)
        sample = self.scorer.sample(case)
        if not job.picture:
            return PairResult(sample)
        where = places(source)
        synthetic = self.translator.translate_prepared(source, self.direction, flip=self.flip, truth=case.truth)
        found = {
            METHOD: synthetic.array,
            CONSTANT: constant(source.body, None if self.target_is_ct else self.window),
            FLOOR: self.perfect.translate_truth(source, case.truth, self.direction).array,
        }
        measured, errors = self.scorer.measure(case, found, where, job.number, job.picture), None
        if self.target_is_ct:
            shown = source.axial.with_array(source.map.forward(source.axial.array))
            errors = error_sample(shown, synthetic, case.truth, case.mask & ~where["outside"])
        verdict = self.translator.verdict(source, self.direction)
        answer, engine = verdict.answer if verdict else None, self.translator.engine(self.direction)
        return PairResult(sample, measured, errors, answer, engine)


def evaluate_pair(evaluator: SentOnce[PairEvaluator], job: PairJob) -> PairResult:
    """Evaluates a pair in any process.

    Raises:
        RunError: Where it does not see the folder of the results.
    """
    if not evaluator.value.scorer.kept.is_dir():  # or pictures would be written to a disk of its own
        raise RunError(f"A worker does not see {evaluator.value.scorer.folder}. {SHARED}")
    return evaluator.value.evaluate(job)


def look_up(evaluator: SentOnce[PairEvaluator], kept: Kept) -> Row:
    """Scores the look-up table on what was kept of a pair, in any process."""
    return evaluator.value.scorer.look_up(kept)


def load_pair(run: Run, pair: Pair, direction: Direction) -> tuple[Case, Prepared]:
    """Reads a pair, and names its source beside it, which a case may lack.

    The mask is the dataset's own, or the body found in the truth, on the axial grid.

    Raises:
        DatasetError: For scans on two grids, or an empty mask.
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
