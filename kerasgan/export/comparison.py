"""Does an exported artifact give the values of the Keras generator? Seen on real slices, in the target's unit."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping

import keras
import numpy as np
import tensorflow as tf

from kerasgan.errors import ExportError
from kerasgan.export.gate import Statistic, tolerance
from kerasgan.export.graph import Translator
from kerasgan.export.slices import Sample, Samples
from kerasgan.scans.contract import Contract, Frozen, Precision
from kerasgan.scans.intensity import IntensityMap

Artifact = Callable[[np.ndarray, IntensityMap], np.ndarray]
Question = Callable[[Sample], tuple[np.ndarray, IntensityMap]]
Results = tuple[np.ndarray, np.ndarray]  # of the Keras generator and of the artifact, for the slices of one scan


class TruthErrors(Frozen):
    """Mean absolute errors against the paired scans inside the body, both within the target's window.

    They are taken on the networks' pixels, so they say what the artifact costs. How good it is, `kerasgan evaluate`
    measures on the scans' own grids.

    Attributes:
        slices: Number of slices that have a truth.
        keras: Of the Keras generator, in the target's unit.
        artifact: Of the artifact.
    """

    slices: int
    keras: float
    artifact: float

    @property
    def increase_percent(self) -> float:
        """By how much the artifact's error exceeds the generator's; below 0 where it is less."""
        if self.keras == 0:
            return 0.0 if self.artifact == 0 else float("inf")
        return 100 * (self.artifact / self.keras - 1)


class Difference(Frozen):
    """Absolute differences from the Keras generator over all slices, in the target's unit.

    Attributes:
        maximum: Over all pixels.
        mean: Over all pixels.
        body_mean: Mean over the pixels of the body, which is found in the source scan.
        truth: What they cost; None where the dataset holds no paired scans.
    """

    maximum: float
    mean: float
    body_mean: float
    truth: TruthErrors | None


class Comparison(Frozen):
    """The report that lies beside an artifact.

    Attributes:
        weights: Precision of the artifact's weights.
        reference: What it was compared with.
        part: Part of the dataset that the slices come from.
        scans: Number of scans.
        slices: Number of slices.
        height_width: Sizes of the slices that occur.
        unit: Unit of all differences and errors.
        differences: For each signature.
        statistic: Which of these figures is limited, see `Tolerance`.
        limit: It stays below this: in `unit`, or percent.
        reason: Why this limit.
    """

    weights: Precision
    reference: str
    part: str
    scans: int
    slices: int
    height_width: tuple[tuple[int, int], ...]
    unit: str
    differences: dict[str, Difference]
    statistic: Statistic
    limit: float
    reason: str

    def failure(self) -> str | None:
        """What is beyond its limit, in a sentence; None where nothing is. A NaN is beyond every limit."""
        for name, difference in self.differences.items():
            value = self._value(difference)
            if not value < self.limit:
                return f"The {self.weights} artifact ({name}) {self._described(value)}, needed below {self.limit:.4g}."
        return None

    def require(self) -> None:
        """Makes sure that every signature keeps to the limit.

        Raises:
            ExportError: Where one does not.
        """
        if failure := self.failure():
            raise ExportError(f"{failure} Nothing was written. {self.remedy()}")

    def remedy(self) -> str:
        """What to do about a failure where no other precision helps."""
        if not all(np.isfinite(difference.maximum) for difference in self.differences.values()):
            return "The generator gives values that are not finite: train again from a checkpoint before they appear."
        return "Report this with the versions of TensorFlow and Keras; another version of them may agree."

    def _value(self, difference: Difference) -> float:
        if self.statistic == "truth_percent":
            return difference.truth.increase_percent if difference.truth else float("nan")
        value: float = getattr(difference, self.statistic)
        return value

    def _described(self, value: float) -> str:
        on = f"over {self.slices} real slices"
        if self.statistic == "truth_percent":
            return f"has {value:.4g} % more error against the paired scans than the Keras generator {on}"
        statistic = "mean inside the body" if self.statistic == "body_mean" else self.statistic
        return f"differs from the Keras generator: {statistic} {value:.4g} {self.unit} {on}"


def compare(
    artifacts: Mapping[str, Artifact],
    samples: Samples,
    translator: Translator,
    described: Contract,
    questions: Mapping[str, Question] | None = None,
) -> Comparison:
    """Compares each signature of an artifact with the Keras generator that it was made from.

    Args:
        artifacts: By signature: from physical images `[slices, height, width, 1]` and the scan's own map to physical
            images of the target.
        samples: Real slices.
        translator: The generator and its maps.
        described: What the artifact claims to be; the precision of its weights decides on the tolerance.
        questions: By signature: which images of a scan it is given, and the map that the generator takes for them.
            Without one: the images on the run's scale, and its map.
    """
    target, asked = translator.target, questions or {}
    with full_float32():
        differences = {
            name: _difference(_seen(artifact, asked.get(name), samples, translator), samples)
            for name, artifact in artifacts.items()
        }
    allowed = tolerance(described.weights, any(scan.truth is not None for scan in samples.scans))
    return Comparison(
        weights=described.weights,
        reference=f"{described.generator} in float32, Keras {keras.__version__}, TensorFlow {tf.__version__}",
        part=samples.part,
        scans=len(samples.scans),
        slices=samples.count,
        height_width=tuple(sorted({scan.images.shape[1:3] for scan in samples.scans})),
        unit=described.target.unit,
        differences=differences,
        statistic=allowed.statistic,
        limit=allowed.limit_on(target.high - target.low),
        reason=allowed.reason,
    )


def _seen(artifact: Artifact, question: Question | None, samples: Samples, translator: Translator) -> list[Results]:
    """What Keras and the artifact make of each scan."""
    results = []
    for scan in samples.scans:
        images, source = question(scan) if question else (scan.rescaled(translator.source), translator.source)
        expected = keras_values(translator.generator, images, source, translator.target)
        results.append((expected, artifact(images, scan.map)))
    return results


def _difference(results: list[Results], samples: Samples) -> Difference:
    absolute = [np.abs(values - expected) for expected, values in results]
    every = np.concatenate([values.ravel() for values in absolute]).astype(np.float64)
    body = np.concatenate([values[scan.body] for values, scan in zip(absolute, samples.scans, strict=True)])
    return Difference(
        maximum=float(every.max()),
        mean=float(every.mean()),
        body_mean=float(body.mean(dtype=np.float64)),
        truth=_truth_errors(results, samples),
    )


def _truth_errors(results: list[Results], samples: Samples) -> TruthErrors | None:
    pairs = [(scan, both) for scan, both in zip(samples.scans, results, strict=True) if scan.truth is not None]
    if not pairs:
        return None
    errors = [[np.abs(values - scan.truth)[scan.body] for values in both] for scan, both in pairs]
    of_keras, of_artifact = (np.concatenate(each).mean(dtype=np.float64) for each in zip(*errors, strict=True))
    slices = sum(len(scan.images) for scan, _ in pairs)
    return TruthErrors(slices=slices, keras=float(of_keras), artifact=float(of_artifact))


def keras_values(generator: keras.Model, images: np.ndarray, source: IntensityMap, target: IntensityMap) -> np.ndarray:
    """What the Keras generator makes of physical images, in physical units; slice by slice.

    Args:
        generator: From [-1, 1] to [-1, 1].
        images: `[slices, height, width, 1]`, sides a multiple of 4.
        source: Map of the images.
        target: Map of the result.
    """
    outputs = [generator(source.forward(image[None]), training=False) for image in images]
    return target.inverse(np.concatenate(outputs))


@contextlib.contextmanager
def full_float32() -> Iterator[None]:
    """No TensorFloat-32: its 11 bits on a GPU would be taken for a difference of the artifact."""
    former = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(former)
