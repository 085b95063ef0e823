"""The map of expected error, fitted on all patients but one and scored on that one, beside a baseline."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from kerasgan.metrics import SHELL_MM, mean_row, summarise
from kerasgan.metrics.ranking import auroc_of_worst, error_without_worst, rank_correlation
from kerasgan.scans.expected_error import (
    MINIMUM_PATIENTS,
    ExpectedError,
    People,
    class_sums,
    fit_expected_error,
    voxel_classes,
)
from kerasgan.scans.volume import Volume
from kerasgan.text import mean_and_spread

MAP, GRADIENT = "expected error", "gradient of the source"
"""The map, and its baseline."""

SMOOTHING_MM = 2.0  # of the source before its gradient: the best of 0, 1, 2 and 3 mm on real heads
VOXELS = 50_000  # of each pair: more change no value, and memory stays bounded

_WHERE = f"over the voxels of the body mask that are at most {SHELL_MM:g} mm outside the source's body"

DEFINITIONS = {
    MAP: "the map that translate --uncertainty writes, by a table of all other patients that are scored.",
    GRADIENT: f"magnitude of the gradient of the source, smoothed by {SMOOTHING_MM:g} mm, in its place.",
    "rank_correlation": f"Spearman's rank correlation of the map and the absolute error, {_WHERE}.",
    "auroc_worst": "probability that the map is larger at one of the worst fifth of these voxels than at another one.",
    "mae_left_hu": "mean absolute error that is left without the fifth of them at which the map is largest.",
    "map_mean_hu": "mean of the map over them.",
    "map_mae_hu": "the true mean absolute error over them.",
}
"""What stands in the table of the maps."""

Scores = dict[str, dict[str, float | None]]


class ErrorSample(NamedTuple):
    """What maps are fitted and scored on of a pair.

    Attributes:
        sums: Of all its voxels, see `class_sums`.
        classes: The class of each of a few of them.
        errors: Their absolute errors in HU.
        slopes: The gradient of the source there.
    """

    sums: np.ndarray
    classes: np.ndarray
    errors: np.ndarray
    slopes: np.ndarray


def error_sample(source: Volume, synthetic: Volume, truth: Volume, mask: np.ndarray) -> ErrorSample | None:
    """What maps are fitted and scored on of a pair; None where it has nothing to score.

    Args:
        source: The source in its axial orientation.
        synthetic: The synthetic CT on its grid.
        truth: The true CT there.
        mask: The voxels that count, bool `[slices, rows, columns]`.
    """
    if not mask.any():
        return None
    classes = np.stack([*voxel_classes(synthetic)])[mask]
    errors = np.abs(synthetic.array - truth.array)[mask]
    slopes = np.stack([gradient(image, source.spacing_mm) for image in source.array])[mask]
    chosen = np.random.default_rng(0).permutation(len(errors))[:VOXELS]
    return ErrorSample(class_sums(classes, errors), classes[chosen], errors[chosen], slopes[chosen])


class ErrorMaps:
    """Keeps of each pair what maps are fitted and scored on.

    Example:
        >>> maps, shape = ErrorMaps(), (1, 8, 8)
        >>> truth = Volume(np.where(np.indices(shape)[2] < 4, 40.0, 900.0), (1, 1, 1), modality="CT")
        >>> for key in ("one", "two"):
        ...     synthetic = truth.with_array(truth.array + np.indices(shape)[2])
        ...     maps.add(key, error_sample(truth, synthetic, truth, np.ones(shape, bool)))
        >>> maps.scores()["expected error"]["one"]["map_mean_hu"], maps.fitted("test", "") is None
        (3.5, True)
    """

    def __init__(self) -> None:
        self._sums: dict[str, list[np.ndarray]] = {}
        self._samples: list[tuple[str, ErrorSample]] = []

    def add(self, key: str, sample: ErrorSample | None) -> None:
        """Keeps a pair; a patient may have several.

        Args:
            key: Key of the patient.
            sample: What `error_sample` took of the pair.
        """
        if sample is not None:
            self._sums.setdefault(key, []).append(sample.sums)
            self._samples.append((key, sample))

    def scores(self) -> dict[str, Scores]:
        """The figures by patient of the map, fitted on the others, and of its baseline; nothing without others."""
        rows: dict[str, dict[str, list[dict[str, float | None]]]] = {MAP: {}, GRADIENT: {}}
        for key, (_, classes, errors, slopes) in self._samples:
            others = [one for name, sums in self._sums.items() if name != key for one in sums]
            if others:
                expected = fit_expected_error(others, len(self._sums) - 1, "test", "").of_classes(classes)
                known: dict[str, float | None] = {
                    "map_mean_hu": float(expected.mean()),
                    "map_mae_hu": float(errors.mean()),
                }
                rows[MAP].setdefault(key, []).append(figures(expected, errors) | known)
                rows[GRADIENT].setdefault(key, []).append(figures(slopes, errors))
        return {
            name: {key: mean_row(found) for key, found in by_patient.items()}
            for name, by_patient in rows.items()
            if by_patient
        }

    def fitted(self, part: People, weights: str) -> ExpectedError | None:
        """The expected error by all patients, for translations to come; None for fewer than four."""
        if len(self._sums) < MINIMUM_PATIENTS:
            return None
        return fit_expected_error([one for sums in self._sums.values() for one in sums], len(self._sums), part, weights)


def rows(scores: dict[str, Scores]) -> list[list[str]]:
    """A table of what `ErrorMaps.scores` found, mean and SD over patients, below a row of heads."""
    found = {name: summarise(list(rows.values())) for name, rows in scores.items()}
    lines = [["where is the error?", *found]]
    for figure in next(iter(found.values())):
        values = [summary.get(figure) for summary in found.values()]
        cells = [mean_and_spread(value.mean, value.sd) if value else "-" for value in values]
        lines.append([figure.replace("_hu", " [HU]"), *cells])
    return lines


def figures(values: np.ndarray, errors: np.ndarray) -> dict[str, float | None]:
    """Scores by which a map foretells the absolute errors of the same voxels, both in one dimension: `DEFINITIONS`."""
    return {
        "rank_correlation": rank_correlation(values, errors),
        "auroc_worst": auroc_of_worst(values, errors),
        "mae_left_hu": error_without_worst(values, errors),
    }


def gradient(
    image: np.ndarray, spacing_mm: tuple[float, float, float], smoothing_mm: float = SMOOTHING_MM
) -> np.ndarray:
    """The magnitude of the gradient of a slice, per mm.

    Args:
        image: `[rows, columns]`.
        spacing_mm: Distances of columns, rows and slices.
        smoothing_mm: Standard deviation of the Gaussian that smooths it before.

    Example:
        >>> float(gradient(np.arange(12.0).reshape(3, 4), (2, 4, 5), smoothing_mm=0)[1, 1])  # 1 in 2 mm, 4 in 4 mm
        1.118...
    """
    x, y, _ = spacing_mm
    if smoothing_mm:
        image = cv2.GaussianBlur(np.ascontiguousarray(image), (0, 0), smoothing_mm / x, sigmaY=smoothing_mm / y)
    return np.asarray(np.hypot(*np.gradient(image, y, x)))
