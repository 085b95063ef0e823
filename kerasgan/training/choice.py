"""How good translations are where no truth is at hand: the terms by which a checkpoint can be chosen without pairs.

Two distances ask whether the results look like the target domain; their sum is the composite. Two more terms ask
whether the source's anatomy was kept. They are reported and do not count: a young network copies its source, and so has
the most of both while its error is worst.

Measured by `benchmarks/checkpoint_choice.py` against the error of paired validation patients, on phantoms of three
bodies and on real heads (table in `benchmarks/README.md`): the composite ranks the validations of a run as the error
mostly does on heads to CT, weakly on hips, and not at all from CT to MR of heads. It is sure where a generator went
astray: there its composite is more than twice the least. So the newest generator is kept whose composite is at most
twice the least. On average over the runs of each kind, that is never worse than the newest, and mostly better than the
least composite; the factor was chosen on the phantoms among them.

Neither distance sees whether a structure lies in its place: the composite is there to choose a checkpoint of one run,
and not to compare methods.

Reference:
    Hiasa et al. 2018, https://arxiv.org/abs/1803.06629, Eq. 4 and Fig. 4 (gradient correlation, mutual information);
    Rubner et al. 2000, https://doi.org/10.1023/A:1026543900054 (Wasserstein distance of histograms).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np
from scipy.stats import wasserstein_distance

from kerasgan.metrics.dependence import BINS, gradient_correlation, mutual_information

WINDOW = (-1.0, 1.0)  # what the networks see
TOLERATED = 2.0  # times the least composite of a run, for a checkpoint to be kept


@dataclass(frozen=True)
class Sample:
    """Slices of one domain, of any patients.

    Attributes:
        images: float32 `[slices, height, width, 1]` in [-1, 1].
        mask: bool `[slices, height, width]`: the body; where no slice shows any, everything counts.
    """

    images: np.ndarray
    mask: np.ndarray

    def __post_init__(self) -> None:
        if not self.mask.any():
            object.__setattr__(self, "mask", np.ones_like(self.mask))

    @property
    def slices(self) -> np.ndarray:
        """The images without the channel axis, float64."""
        return self.images[..., 0].astype(np.float64)


class UnpairedScore:
    """Judges translations of a source against real slices of the target domain; the patients need not be the same.

    Args:
        source: What is translated.
        real: Slices of the target domain.
    """

    def __init__(self, source: Sample, real: Sample) -> None:
        self.source, self.real = source, real
        self.untranslated = intensity_distance(source, real), gradient_distance(source, real)

    def __call__(self, images: np.ndarray) -> dict[str, float]:
        """All terms, and the composite.

        Args:
            images: The source's translations, float32 `[slices, height, width, 1]` in [-1, 1].

        Returns:
            `gradient_correlation`: of gradient magnitudes with the source, in [-1, 1], more is better;
            `mutual_information`: with the source, as a fraction of the most that the histogram holds, more is better;
            `intensity_distance`, `gradient_distance`: from real slices, as a fraction of the source's own distance from
            them, so 1 is no better than no translation, less is better;
            `composite`: what a checkpoint is chosen by, less is better.
        """
        synthetic = Sample(images, self.source.mask)
        pair = synthetic.slices, self.source.slices, self.source.mask, WINDOW
        distances = intensity_distance(synthetic, self.real), gradient_distance(synthetic, self.real)
        intensity, gradient = (
            found / (before or 1.0) for found, before in zip(distances, self.untranslated, strict=True)
        )
        terms = {
            "gradient_correlation": gradient_correlation(*pair, magnitude=True) or 0.0,
            "mutual_information": mutual_information(*pair) / log(BINS),
            "intensity_distance": intensity,
            "gradient_distance": gradient,
        }
        return {**terms, "composite": intensity + gradient}


def intensity_distance(first: Sample, second: Sample) -> float:
    """Wasserstein-1 distance between the distributions of both samples' values in the body, in units of [-1, 1]."""
    return float(wasserstein_distance(first.slices[first.mask], second.slices[second.mask]))


def gradient_distance(first: Sample, second: Sample) -> float:
    """The same of gradient magnitudes, from central differences at the pixels off the image's border."""
    return float(wasserstein_distance(_gradients(first), _gradients(second)))


def _gradients(sample: Sample) -> np.ndarray:
    """`[pixels]`, in units of [-1, 1] a pixel."""
    slices, inside = sample.slices, sample.mask[:, 1:-1, 1:-1]
    right = slices[:, 1:-1, 2:] - slices[:, 1:-1, :-2]
    down = slices[:, 2:, 1:-1] - slices[:, :-2, 1:-1]
    magnitude = 0.5 * np.hypot(right, down)
    found: np.ndarray = magnitude[inside] if inside.any() else magnitude.ravel()
    return found
