"""The choice of the best checkpoint of a run, by the error of paired validation patients or, without pairs, by a score.

Two terms of that score measure whether translations look like the target domain; their sum is the composite. Two more
measure whether the source's anatomy was kept. They are reported and do not count: a young network copies its source,
and so has the best values of both while its error is worst.

Measured by `benchmarks/checkpoint_choice.py` against the error of paired validation patients, on phantoms of three
bodies and on real heads (table in `benchmarks/README.md`): the composite ranks the validations of a run as the error
mostly does on heads to CT, weakly on hips, and not at all from CT to MR of heads. It is sure where a generator went
astray: there its composite is more than twice the least. So the newest generator is kept whose composite is at most
twice the least. On average over the runs of each kind, that is never worse than the newest, and mostly better than the
least composite; the factor was chosen on the phantoms among them.

Neither distance sees whether a structure is in its place: the composite serves to choose a checkpoint of one run, and
not to compare methods.

Reference:
    Hiasa et al. 2018, https://arxiv.org/abs/1803.06629, Eq. 4 and Fig. 4 (gradient correlation, mutual information);
    Rubner et al. 2000, https://doi.org/10.1023/A:1026543900054 (Wasserstein distance of histograms).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Any

import numpy as np
from scipy.stats import wasserstein_distance

from kerasgan.metrics.dependence import BINS, gradient_correlation, mutual_information
from kerasgan.scans.intensity import IntensityMap
from kerasgan.scans.slices import first_channel, predict_slices

WINDOW = (-1.0, 1.0)  # the networks' range
TOLERATED = 2.0  # times the least composite of a run, for a checkpoint to be kept


@dataclass(frozen=True)
class Sample:
    """Slices of one domain, of any patients.

    Attributes:
        images: float32 `[slices, height, width, channels]` in [-1, 1].
        mask: bool `[slices, height, width]`: the body; where no slice shows any, every pixel counts.
    """

    images: np.ndarray
    mask: np.ndarray

    def __post_init__(self) -> None:
        if not self.mask.any():
            object.__setattr__(self, "mask", np.ones_like(self.mask))

    @property
    def slices(self) -> np.ndarray:
        """The slices that the images show, float64 `[slices, height, width]`."""
        return first_channel(self.images).astype(np.float64)


@dataclass(frozen=True)
class Pairs:
    """Slices of patients who have both scans on one grid.

    Attributes:
        a: Slices of domain a, float32 `[slices, height, width, channels]` in [-1, 1].
        b: The same slices in domain b.
        mask: bool `[slices, height, width]`: the body.
    """

    a: np.ndarray
    b: np.ndarray
    mask: np.ndarray


class UnpairedScore:
    """Scores translations of a source against real slices of the target domain, of the same patients or others.

    Args:
        source: The slices that are translated.
        real: Slices of the target domain.

    Example:
        >>> mask = np.ones((1, 4, 4), bool)
        >>> source, real = (Sample(np.full((1, 4, 4, 1), value, np.float32), mask) for value in (-0.5, 0.5))
        >>> UnpairedScore(source, real)(real.images)["intensity_distance"]
        0.0
    """

    def __init__(self, source: Sample, real: Sample) -> None:
        self.source, self.real = source, real
        self.untranslated = intensity_distance(source, real), gradient_distance(source, real)

    def __call__(self, images: np.ndarray) -> dict[str, float]:
        """All terms, and the composite.

        Args:
            images: The source's translations, float32 `[slices, height, width, channels]` in [-1, 1].

        Returns:
            `gradient_correlation`: of gradient magnitudes with the source, in [-1, 1], more is better;
            `mutual_information`: with the source, as a fraction of the most that the histogram holds, more is better;
            `intensity_distance`, `gradient_distance`: from real slices, as a fraction of the source's own distance from
            them, so 1 is no better than no translation, less is better;
            `composite`: the sum of both distances, by which a checkpoint is chosen, less is better.
        """
        synthetic = Sample(images, self.source.mask)
        pair = synthetic.slices, self.source.slices, self.source.mask, WINDOW
        distances = intensity_distance(synthetic, self.real), gradient_distance(synthetic, self.real)
        intensity, gradient = (
            found / (before or 1.0) for found, before in zip(distances, self.untranslated, strict=True)
        )
        return {
            "gradient_correlation": gradient_correlation(*pair, magnitude=True) or 0.0,
            "mutual_information": mutual_information(*pair) / log(BINS),
            "intensity_distance": intensity,
            "gradient_distance": gradient,
            "composite": intensity + gradient,
        }


def intensity_distance(first: Sample, second: Sample) -> float:
    """Wasserstein-1 distance between the values of both samples in the body, in units of [-1, 1].

    Example:
        >>> mask = np.ones((1, 4, 4), bool)
        >>> dark, bright = (Sample(np.full((1, 4, 4, 1), value, np.float32), mask) for value in (-0.5, 0.25))
        >>> intensity_distance(dark, bright)
        0.75
    """
    return float(wasserstein_distance(first.slices[first.mask], second.slices[second.mask]))


def gradient_distance(first: Sample, second: Sample) -> float:
    """Wasserstein-1 distance between the gradient magnitudes of both samples in the body, in units of [-1, 1] a pixel.

    Gradients are central differences at the pixels off the image's border.
    """
    magnitudes = []
    for sample in (first, second):
        slices, inside = sample.slices, sample.mask[:, 1:-1, 1:-1]
        right = slices[:, 1:-1, 2:] - slices[:, 1:-1, :-2]
        down = slices[:, 2:, 1:-1] - slices[:, :-2, 1:-1]
        magnitude = 0.5 * np.hypot(right, down)  # [slices, height - 2, width - 2]
        magnitudes.append(magnitude[inside] if inside.any() else magnitude.ravel())
    return float(wasserstein_distance(*magnitudes))


def masked_error(generator: Callable[..., Any], pairs: Pairs, direction: str, target: IntensityMap) -> float:
    """Mean absolute error of a generator over the body, in the unit of the target's values such as HU.

    Args:
        generator: Translates `[batch, height, width, channels]` in [-1, 1] to the same.
        pairs: Slices of paired patients.
        direction: `"ab"` or `"ba"`.
        target: The intensity map of the target domain.

    Example:
        >>> a = np.zeros((1, 4, 4, 1), np.float32)
        >>> pairs = Pairs(a, a + 0.5, np.ones((1, 4, 4), bool))
        >>> masked_error(lambda images: images, pairs, "ab", IntensityMap(-1000, 1000))
        500.0
    """
    source, truth = (pairs.a, pairs.b) if direction == "ab" else (pairs.b, pairs.a)
    difference = first_channel(np.abs(predict_slices(generator, source) - truth))  # [slices, height, width]
    total = difference[pairs.mask].sum(dtype=np.float64)
    return float(total / max(int(pairs.mask.sum()), 1) / target.scale)


def newest_is_best(validations: Sequence[Mapping[str, str]], direction: str) -> bool:
    """True if a direction's best generator so far is that of the newest validation.

    With paired validation patients that is the one of the least error over the body. Without, it is the newest whose
    composite is at most `TOLERATED` times the least.

    Args:
        validations: The rows of a run's `validation.csv`, at least one.
        direction: `"ab"` or `"ba"`.

    Example:
        >>> newest_is_best([{"step": "1000", "mae_ab": "90.1"}, {"step": "2000", "mae_ab": "85.3"}], "ab")
        True
    """
    if f"mae_{direction}" in validations[0]:
        errors = [float(row[f"mae_{direction}"] or "inf") for row in validations]
        return errors.index(min(errors)) == len(errors) - 1  # an equal error is no better
    composites = [float(row[f"composite_{direction}"] or "inf") for row in validations]
    return composites[-1] <= TOLERATED * min(composites)


def kept(validations: Sequence[Mapping[str, str]], direction: str) -> Mapping[str, str] | None:
    """The validation at which a direction's generator was kept as the best one; None before the first validation.

    Args:
        validations: The rows of a run's `validation.csv`.
        direction: `"ab"` or `"ba"`.

    Example:
        >>> rows = [{"step": "1000", "mae_ab": "90.1"}, {"step": "2000", "mae_ab": "95.3"}]
        >>> kept(rows, "ab")["step"]
        '1000'
    """
    counts = range(len(validations), 0, -1)
    return next((validations[count - 1] for count in counts if newest_is_best(validations[:count], direction)), None)
