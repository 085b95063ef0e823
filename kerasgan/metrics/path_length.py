"""The error of the water-equivalent path length: by how much the range of a beam would be wrong.

Protons go as deep into a patient as into water, along as much matter. So what radiotherapy asks of a synthetic CT is
how much matter it puts into the way of a beam: errors of voxels that cancel on the way do no harm, and thin bone that
is missing everywhere does. SynthRAD2023 found no significant correlation of dose accuracy with image similarity.

Reference:
    Huijben et al. 2024, SynthRAD2023 challenge report, https://doi.org/10.1016/j.media.2024.103276
    Proton range uncertainty caused by synthetic CT from pelvic MR, Acta Oncologica 2023,
    https://doi.org/10.1080/0284186X.2023.2256967
    Wieser et al. 2017, https://doi.org/10.1002/mp.12251 (matRad, whose default curve this is)
"""

from __future__ import annotations

import cv2
import numpy as np

from kerasgan.metrics._metric import Metric, Value

Triple = tuple[float, float, float]

STOPPING_POWER = ((-1024.0, 0.00324), (200.0, 1.2), (449.0, 1.20001), (2000.0, 2.49066), (2048.0, 2.5306))
"""Points of the curve from HU to stopping power relative to water: linear between them, constant beyond."""

BEAMS = 36  # directions around the body, every 10 degrees
RAY_MM = 2.0  # between the rays of a beam, and between the samples on a ray


def path_length_metrics(spacing_mm: Triple) -> tuple[Metric, ...]:
    """The mean and the 95th percentile of the absolute errors of the water-equivalent path length, in mm.

    Args:
        spacing_mm: Distance of neighbours along columns, rows and slices.

    Example:
        >>> [metric.name for metric in path_length_metrics((1.0, 1.0, 3.0))]
        ['wepl_mae_mm', 'wepl_p95_mm']
    """
    curve = ", ".join(f"{hu:g} HU {power:g}" for hu, power in STOPPING_POWER)
    rays = (
        f"error of the water-equivalent path length of rays {RAY_MM:g} mm apart from {BEAMS} directions in each slice, "
        "from where they enter the body mask to the line through its middle"
    )
    text = f"Mean absolute {rays}. Relative stopping power of matRad's default curve, linear between {curve}."
    shared = _Errors(spacing_mm)
    return (
        Metric("wepl_mae_mm", "mm", text, shared.mean),
        Metric("wepl_p95_mm", "mm", "95th percentile of the absolute errors of wepl_mae_mm over all rays.", shared.p95),
    )


def relative_stopping_power(hu: np.ndarray) -> np.ndarray:
    """The stopping power relative to water by `STOPPING_POWER`.

    Example:
        >>> relative_stopping_power(np.array([-2000.0, 0.0, 1000.0])).round(3)
        array([0.003, 1.004, 1.659])
    """
    known, powers = zip(*STOPPING_POWER, strict=True)
    return np.asarray(np.interp(hu, known, powers))


def path_length_errors(synthetic: np.ndarray, truth: np.ndarray, mask: np.ndarray, spacing_mm: Triple) -> np.ndarray:
    """The error of the water-equivalent path length of every ray, synthetic minus true, in mm.

    Args:
        synthetic: Synthetic CT in HU, `[slices, rows, columns]`.
        truth: True CT of the same shape.
        mask: Body mask of the same shape, beyond which nothing counts.
        spacing_mm: Distance of neighbours along columns, rows and slices.

    Returns:
        Errors in one dimension, of the rays whose way in the mask is as long as they are apart.
    """
    found, (x, y, _) = [np.empty(0)], spacing_mm
    angles = np.deg2rad(360 / BEAMS * np.arange(BEAMS / 2))  # each for a beam and the one from the other side
    for index in np.flatnonzero(mask.any(axis=(1, 2))):
        inside = mask[index]
        change = relative_stopping_power(synthetic[index]) - relative_stopping_power(truth[index])
        image = np.dstack([change * inside, inside]).astype(np.float32)
        # Several voxels between two rays are averaged, so that none is skipped.
        sides = [max(1, round(min(1.0, step / RAY_MM) * side)) for side, step in zip(inside.shape, (y, x), strict=True)]
        scaled = cv2.resize(image, sides[::-1], interpolation=cv2.INTER_AREA)
        steps = np.array([y * inside.shape[0] / sides[0], x * inside.shape[1] / sides[1]])  # of rows and columns
        places = np.argwhere(scaled[..., 1] > 0)
        middle = np.average(places, axis=0, weights=scaled[tuple(places.T)][:, 1])
        reach = int(np.hypot(*((places - middle) * steps).T).max() / RAY_MM) + 2
        for angle in angles:
            turned = cv2.warpAffine(
                scaled,
                _turn(angle, middle, steps, reach),
                (2 * reach + 1,) * 2,
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            )
            turned[reach] /= 2  # the line through the middle belongs to both beams
            for half in (turned[: reach + 1], turned[reach:]):
                error, way = RAY_MM * half.sum(axis=0, dtype=np.float64).T
                found.append(error[way >= RAY_MM])
    return np.concatenate(found)


def _turn(angle: float, middle: np.ndarray, steps: np.ndarray, reach: int) -> np.ndarray:
    """The affine map from a pixel of an image in which rays run along columns to the pixel of the slice, `[2, 3]`."""
    cosine, sine = np.cos(angle), np.sin(angle)
    turn = RAY_MM * np.array([[cosine, -sine], [sine, cosine]]) / steps[::-1, None]
    return np.column_stack([turn, middle[::-1] - turn @ (reach, reach)])


class _Errors:
    """The absolute errors of the rays, computed once for both metrics of a synthetic volume."""

    def __init__(self, spacing_mm: Triple) -> None:
        self.spacing_mm, self._of, self._errors = spacing_mm, np.empty(0), np.empty(0)

    def mean(self, synthetic: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> Value:
        errors = self._absolute(synthetic, truth, mask)
        return float(errors.mean()) if errors.size else None

    def p95(self, synthetic: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> Value:
        errors = self._absolute(synthetic, truth, mask)
        return float(np.percentile(errors, 95)) if errors.size else None

    def _absolute(self, synthetic: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> np.ndarray:
        if synthetic is not self._of:
            self._of, self._errors = synthetic, np.abs(path_length_errors(synthetic, truth, mask, self.spacing_mm))
        return self._errors
