"""Does an exported artifact give the values of the Keras generator? Seen on real slices, in the target's unit."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import keras
import numpy as np
import tensorflow as tf
from pydantic import BaseModel, ConfigDict

from kerasgan.errors import ExportError
from kerasgan.export.contract import Contract, Precision
from kerasgan.export.graph import Translator
from kerasgan.export.slices import Sample, Samples
from kerasgan.intensity import IntensityMap

Artifact = Callable[[np.ndarray, IntensityMap], np.ndarray]
SourceMap = Callable[[Sample], IntensityMap]

HEAD_WINDOW_HU = 2600.0  # limits are stated for the CT window of a head, -1000 to 1600 HU, and scale with other windows


@dataclass(frozen=True)
class Tolerance:
    """What an artifact may differ by.

    Attributes:
        statistic: `"maximum"` or `"mean"` of the absolute differences.
        limit_hu: They stay below this, on a window of 2,600 HU.
        reason: Why this much.
    """

    statistic: Literal["maximum", "mean"]
    limit_hu: float
    reason: str


TOLERANCES: dict[Precision, Tolerance] = {
    "float32": Tolerance("maximum", 1.0, "CT is stored in whole HU: less than 1 HU cannot be told from rounding"),
    "float16": Tolerance("mean", 3.0, "weights rounded to 11 significant bits; 3 HU is below the noise of a head CT"),
}


class Difference(BaseModel):
    """Absolute differences over all pixels of all slices, in the target's unit."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    maximum: float
    mean: float


class Comparison(BaseModel):
    """The report that lies beside an artifact.

    Attributes:
        weights: Precision of the artifact's weights.
        reference: What it was compared with.
        part: Part of the dataset that the slices come from.
        scans: Number of scans.
        slices: Number of slices.
        height_width: Sizes of the slices that occur.
        unit: Unit of all differences and of the limit.
        differences: For each signature.
        statistic: Which of the differences is limited.
        limit: It stays below this.
        reason: Why this limit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    weights: Precision
    reference: str
    part: str
    scans: int
    slices: int
    height_width: tuple[tuple[int, int], ...]
    unit: str
    differences: dict[str, Difference]
    statistic: Literal["maximum", "mean"]
    limit: float
    reason: str

    def require(self) -> None:
        """Makes sure that every signature keeps to the limit; a NaN does not.

        Raises:
            ExportError: Where one does not.
        """
        for name, difference in self.differences.items():
            value = getattr(difference, self.statistic)
            if not value < self.limit:
                raise ExportError(
                    f"The {self.weights} artifact ({name}) differs from the Keras generator: {self.statistic} "
                    f"{value:.4g} {self.unit} over {self.slices} real slices, needed below {self.limit:.4g}. "
                    f"Nothing was written. {_remedy(self.weights, value)}"
                )


def _remedy(weights: Precision, value: float) -> str:
    if not np.isfinite(value):
        return (
            "The generator itself gives values that are not finite: train again from a checkpoint before they appear."
        )
    if weights == "float16":
        return "Export with --precision float32."
    return "Report this with the versions of TensorFlow and Keras; another version of them may agree."


def compare(
    artifacts: Mapping[str, Artifact],
    samples: Samples,
    translator: Translator,
    described: Contract,
    maps: Mapping[str, SourceMap] | None = None,
) -> Comparison:
    """Compares each signature of an artifact with the Keras generator that it was made from.

    Args:
        artifacts: By signature: from physical images `[slices, height, width, 1]` and the scan's own map to physical
            images of the target.
        samples: Real slices.
        translator: The generator and its maps.
        described: What the artifact claims to be; the precision of its weights decides on the tolerance.
        maps: By signature, the map of the source that it is held against where that is not the run's.
    """
    tolerance, target = TOLERANCES[described.weights], translator.target
    wanted = {name: (maps or {}).get(name, lambda scan: translator.source) for name in artifacts}
    with full_float32():
        differences = {
            name: _difference(artifact, wanted[name], samples, translator) for name, artifact in artifacts.items()
        }
    return Comparison(
        weights=described.weights,
        reference=f"{described.generator} in float32, Keras {keras.__version__}, TensorFlow {tf.__version__}",
        part=samples.part,
        scans=len(samples.scans),
        slices=samples.count,
        height_width=tuple(sorted({scan.images.shape[1:3] for scan in samples.scans})),
        unit=described.target.unit,
        differences=differences,
        statistic=tolerance.statistic,
        limit=tolerance.limit_hu * (target.high - target.low) / HEAD_WINDOW_HU,
        reason=tolerance.reason,
    )


def _difference(artifact: Artifact, source: SourceMap, samples: Samples, translator: Translator) -> Difference:
    absolute = []
    for scan in samples.scans:
        expected = keras_values(translator.generator, scan.images, source(scan), translator.target)
        absolute.append(np.abs(artifact(scan.images, scan.map) - expected).ravel())
    values = np.concatenate(absolute).astype(np.float64)
    return Difference(maximum=float(values.max()), mean=float(values.mean()))


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
