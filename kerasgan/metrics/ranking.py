"""How well a map foretells where an image is wrong, against the absolute errors themselves.

A map may have any unit, since only the order of its values counts; voxels to which it gives one value share what they
have.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

WORST = 0.2
"""The share of the voxels that is looked for: those of the largest errors, or of the largest values of the map."""


def rank_correlation(values: np.ndarray, errors: np.ndarray) -> float | None:
    """Spearman's rank correlation of a map and the errors, in one dimension; None where one of them is constant.

    Example:
        >>> rank_correlation(np.array([1.0, 2, 3, 4]), np.array([10.0, 20, 40, 30]))
        0.8
    """
    ranks = [rankdata(one) for one in (values, errors)]
    if min(one.std() for one in ranks) == 0:
        return None
    return float(np.corrcoef(*ranks)[0, 1].round(12))


def auroc_of_worst(values: np.ndarray, errors: np.ndarray) -> float | None:
    """The probability that the map is larger at a voxel of the worst fifth than at another voxel.

    Returns:
        0.5 for a map that knows nothing, 1 for one that finds them all; None where no error exceeds four fifths of
        them.

    Example:
        >>> auroc_of_worst(np.array([1.0, 2, 3, 9, 4]), np.array([5.0, 5, 5, 5, 90]))
        0.75
    """
    worst = errors > np.quantile(errors, 1 - WORST)
    bad, good = int(worst.sum()), int((~worst).sum())
    if not bad:
        return None
    return float((rankdata(values)[worst].sum() - bad * (bad + 1) / 2) / (bad * good))


def error_without_worst(values: np.ndarray, errors: np.ndarray) -> float:
    """The mean absolute error that is left when the fifth of the voxels is taken away where the map is largest.

    Example:
        >>> error_without_worst(np.array([1.0, 2, 3, 9, 4]), np.array([5.0, 5, 5, 5, 90]))
        26.25
        >>> error_without_worst(np.ones(5), np.array([5.0, 5, 5, 5, 90]))  # one voxel of five, whichever
        22.0
    """
    _, level = np.unique(values, return_inverse=True)
    voxels = np.bincount(level)
    mean = np.bincount(level, errors) / voxels
    kept = len(errors) - round(WORST * len(errors))
    counted = np.clip(kept - (np.cumsum(voxels) - voxels), 0, voxels)  # of each level, from the lowest
    return float((counted * mean).sum() / kept)
