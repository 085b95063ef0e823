"""Compares an exported artifact with its Keras generator on real slices, in the unit of the target.

How far an artifact may be from the generator depends on the precision of its weights: `TOLERANCES`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from kerasgan.errors import ExportError
from kerasgan.export.graph import PhysicalGenerator
from kerasgan.export.mr_range import volume_window
from kerasgan.export.pixels import decode, request
from kerasgan.export.samples import Sample, Samples
from kerasgan.export.serving_contract import ServingContract
from kerasgan.scans.channels import forward
from kerasgan.scans.contract import Contract, Direction, Frozen, Precision
from kerasgan.scans.intensity import IntensityMap
from kerasgan.scans.names import SYNTHETIC, SYNTHETIC_BYTES, WINDOW
from kerasgan.scans.slices import first_channel, predict_slices

Statistic = Literal["maximum", "body_mean", "truth_percent"]

Maps = tuple[IntensityMap, ...]  # of each channel

# Runs an artifact on the slices of a scan. It gives the scan's images in the unit of maps, as the artifact took them,
# those maps, which the generator needs for them, and the physical images that came out.
Artifact = Callable[[Sample], tuple[np.ndarray, Maps, np.ndarray]]

HEAD_WINDOW_HU = 2600.0  # limits in HU are stated for the CT window of a head, -1000 to 1600 HU, and scale with others


@dataclass(frozen=True)
class Tolerance:
    """A limit on what an artifact may differ by.

    Attributes:
        statistic: `"maximum"` of the absolute differences from Keras, their mean inside the body (`"body_mean"`), or by
            how many percent the mean absolute error against the truth grows inside the body (`"truth_percent"`).
        limit: The value must stay below it: HU on a window of 2,600 HU, or percent.
        reason: Why this much.
    """

    statistic: Statistic
    limit: float
    reason: str

    def limit_on(self, width: float) -> float:
        """Gives the limit on a target window of another width: in the window's unit, or in percent.

        Example:
            >>> TOLERANCES["float16"].limit_on(5200.0)
            6.0
        """
        return self.limit if self.statistic == "truth_percent" else self.limit * width / HEAD_WINDOW_HU


TOLERANCES: dict[Precision, Tolerance] = {
    "float32": Tolerance("maximum", 1.0, "CT is stored in whole HU: less than 1 HU cannot be told from rounding"),
    "float16": Tolerance("body_mean", 3.0, "weights rounded to 11 significant bits; 3 HU is below the noise of a CT"),
    "int8": Tolerance("truth_percent", 2.0, "two trainings that differ in their seed alone are further apart"),
}
WITHOUT_TRUTH = Tolerance("body_mean", 10.0, "no paired scan to judge by; 2,600 HU in 8 bits are steps of 10 HU")


def tolerance(weights: Precision, has_truth: bool) -> Tolerance:
    """Finds what an artifact may differ by.

    Args:
        weights: The precision of its weights.
        has_truth: Whether there are paired scans, which say what a difference costs.

    Example:
        >>> tolerance("float32", has_truth=False).limit
        1.0
    """
    found = TOLERANCES[weights]
    return WITHOUT_TRUTH if found.statistic == "truth_percent" and not has_truth else found


class TruthErrors(Frozen):
    """Mean absolute errors against the paired scans inside the body, both within the target's window.

    They are taken on the networks' pixels, so they say what the artifact costs. How good it is, `kerasgan evaluate`
    measures on the scans' own grids.

    Attributes:
        slices: Number of slices that have a truth.
        keras: Error of the Keras generator, in the target's unit.
        artifact: Error of the artifact, in the target's unit.
    """

    slices: int
    keras: float
    artifact: float

    @property
    def increase_percent(self) -> float:
        """By how much the artifact's error exceeds the generator's; negative if it is smaller."""
        if self.keras == 0:
            return 0.0 if self.artifact == 0 else float("inf")
        return 100 * (self.artifact / self.keras - 1)


class Difference(Frozen):
    """Absolute differences from the Keras generator over all slices, in the target's unit.

    Attributes:
        maximum: Maximum over all pixels.
        mean: Mean over all pixels.
        body_mean: Mean over the pixels of the body, which is found in the source scan.
        truth: The errors against the paired scans; None if there are none.
    """

    maximum: float
    mean: float
    body_mean: float
    truth: TruthErrors | None


class Comparison(Frozen):
    """The report that is written beside an artifact.

    Attributes:
        weights: Precision of the artifact's weights.
        reference: The generator that it was compared with.
        part: Part of the dataset that the slices come from.
        scans: Number of scans.
        slices: Number of slices.
        height_width: Sizes of the slices that occur.
        unit: Unit of all differences and errors.
        differences: The differences of each signature.
        statistic: The value that is limited, see `Tolerance`.
        limit: The value must stay below it: in `unit`, or percent.
        reason: Why this limit.
        air: What the network loses by air that its training did not show, see `kerasgan.export.air`; None where the
            artifact takes no such slices.
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
    air: Difference | None = None

    def failure(self) -> str | None:
        """Says in a sentence what is beyond its limit; None if nothing is. A NaN is beyond every limit."""
        on = f"over {self.slices} real slices"
        for name, difference in self.differences.items():
            if self.statistic == "truth_percent":
                value = difference.truth.increase_percent if difference.truth else float("nan")
                found = f"has {value:.4g} % more error against the paired scans than the Keras generator {on}"
            else:
                value = getattr(difference, self.statistic)
                statistic = "mean inside the body" if self.statistic == "body_mean" else self.statistic
                found = f"differs from the Keras generator: {statistic} {value:.4g} {self.unit} {on}"
            if not value < self.limit:
                return f"The {self.weights} artifact ({name}) {found}, needed below {self.limit:.4g}."
        return None

    def require(self) -> None:
        """Refuses an export of which a signature is beyond the limit.

        Raises:
            ExportError: If one does not.
        """
        if failure := self.failure():
            raise ExportError(f"{failure} Nothing was written. {self.remedy()}")

    def remedy(self) -> str:
        """Says what to do about a failure if no other precision helps."""
        if not all(np.isfinite(difference.maximum) for difference in self.differences.values()):
            return "The generator gives values that are not finite: train again from a checkpoint before they appear."
        return "Report this with the versions of TensorFlow and Keras; another version of them may agree."


def compare(
    artifacts: Mapping[str, Artifact], samples: Samples, physical: PhysicalGenerator, described: Contract
) -> Comparison:
    """Compares each signature of an artifact with the Keras generator that it was made from.

    Args:
        artifacts: The artifact by signature.
        samples: Real slices.
        physical: The generator and its maps.
        described: The contract of the artifact; the precision of its weights decides on the tolerance.

    Raises:
        ExportError: If an artifact gives images of another shape.
    """
    seen: dict[tuple[int, Maps], np.ndarray] = {}  # what Keras gave for a scan and a map: signatures share it
    with full_float32():
        differences = {name: difference(artifact, samples, physical, seen) for name, artifact in artifacts.items()}
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
        limit=allowed.limit_on(physical.target.high - physical.target.low),
        reason=allowed.reason,
    )


def difference(
    artifact: Artifact, samples: Samples, physical: PhysicalGenerator, seen: dict[tuple[int, Maps], np.ndarray]
) -> Difference:
    """Measures how far an artifact is from the Keras generator.

    Args:
        artifact: The artifact.
        samples: Real slices.
        physical: The generator and its maps.
        seen: What the generator gave for a scan, by its number, and for maps; what is missing is added.

    Raises:
        ExportError: If the artifact gives images of another shape.
    """
    absolute, inside, errors = [], [], []
    for index, scan in enumerate(samples.scans):
        images, maps, values = artifact(scan)
        if (index, maps) not in seen:
            seen[index, maps] = keras_values(physical.generator, images, maps, physical.target)
        expected = seen[index, maps]
        if values.shape != expected.shape:
            raise ExportError(
                f"The artifact gives {list(values.shape)} values for slices of which the Keras generator gives "
                f"{list(expected.shape)}. Nothing was written. Export again; if it happens again, report this with the "
                "versions of TensorFlow and Keras."
            )
        absolute.append(np.abs(values - expected))  # [slices, height, width, 1]
        inside.append(absolute[-1][scan.body])
        if scan.truth is not None:
            errors.append([np.abs(first_channel(found) - scan.truth)[scan.body] for found in (expected, values)])
    truth = None
    if errors:
        slices = sum(len(scan.images) for scan in samples.scans if scan.truth is not None)
        means = [float(np.concatenate(one).mean(dtype=np.float64)) for one in zip(*errors, strict=True)]
        truth = TruthErrors(slices=slices, keras=means[0], artifact=means[1])
    every = np.concatenate([one.ravel() for one in absolute])
    return Difference(
        maximum=float(every.max()),
        mean=float(every.mean(dtype=np.float64)),
        body_mean=float(np.concatenate(inside).mean(dtype=np.float64)),
        truth=truth,
    )


def compare_served(
    model: Path,
    samples: Mapping[Direction, Samples],
    generators: Mapping[Direction, PhysicalGenerator],
    described: ServingContract,
) -> dict[Direction, Comparison]:
    """Compares every signature of a SavedModel with the Keras generator that it was made from.

    If a signature finds the range of an MR from the batch, the generator gets the same range: how near it comes to the
    scan's own is another question, which `kerasgan.export.mr_range` is tested for.

    Args:
        model: The folder of the SavedModel.
        samples: Real slices of each direction, as int16 pixels can hold them.
        generators: The generator of each direction.
        described: The contract of the model.

    Raises:
        ExportError: If a signature differs.
    """
    loaded = tf.saved_model.load(str(model))
    found = {}
    for direction, one in described.directions.items():
        physical = generators[direction]
        artifacts = {name: _signature(loaded.signatures[name], name, one, physical.sources) for name in one.signatures}
        found[direction] = compare(artifacts, samples[direction], physical, one)
        found[direction].require()
    return found


def _signature(signature: Any, name: str, described: Contract, sources: Maps) -> Artifact:
    wanted, scaling, encoding = described.signatures[name].inputs, described.mr_scaling, described.encoding

    def artifact(scan: Sample) -> tuple[np.ndarray, Maps, np.ndarray]:
        offered = request(scan.images, [(one.low, one.high) for one in scan.maps])
        outputs = signature(**{tensor: tf.constant(offered[tensor]) for tensor in wanted})
        if SYNTHETIC in outputs:
            values = np.asarray(outputs[SYNTHETIC])
        else:
            assert encoding is not None  # a signature with bytes has one
            values = decode(outputs[SYNTHETIC_BYTES].numpy(), scan.images.shape[1], scan.images.shape[2], encoding)
        used = sources
        if WINDOW in wanted:
            used = scan.maps
        elif scaling and scaling.percentiles:
            found = np.reshape(volume_window(tf.constant(scan.images), scaling.percentiles), (-1, 2))
            used = tuple(IntensityMap(*map(float, window)) for window in found)
        return scan.images, used, values

    return artifact


def keras_values(generator: keras.Model, images: np.ndarray, sources: Maps, target: IntensityMap) -> np.ndarray:
    """Translates physical images by a Keras generator, slice by slice.

    Args:
        generator: The network, from [-1, 1] to [-1, 1].
        images: `[slices, height, width, channels]` in the source's unit, sides a multiple of 4.
        sources: The map of each channel of the images.
        target: The map of the result.

    Returns:
        float32 `[slices, height, width, 1]` in the target's unit.

    Example:
        >>> inputs, image = keras.Input((None, None, 1)), np.full((1, 4, 4, 1), 75.0)
        >>> halved = keras.Model(inputs, inputs / 2)
        >>> keras_values(halved, image, (IntensityMap(0, 100),), IntensityMap(-1000, 1600))[0, 0, 0]
        array([625.], dtype=float32)
    """
    return target.inverse(predict_slices(lambda image: generator(forward(image, sources), training=False), images))


@contextlib.contextmanager
def full_float32() -> Iterator[None]:
    """Switches TensorFloat-32 off: its 11 bits on a GPU would be taken for a difference of the artifact."""
    former = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(former)
