"""Agreement of two label maps: Dice, intersection over union and 95 % Hausdorff distance of each structure.

Reference:
    Taha and Hanbury 2015, https://doi.org/10.1186/s12880-015-0068-x
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from scipy import ndimage

from kerasgan.metrics._metric import Metric, Score, Value

Triple = tuple[float, float, float]
Overlap = Callable[[np.ndarray, np.ndarray], Value]
"""A function of two bool arrays `[slices, rows, columns]`."""

_EMPTY = "Not defined where neither map has the structure"


def label_metrics(structures: Mapping[str, int], spacing_mm: Triple) -> tuple[Metric, ...]:
    """The metrics of a predicted label map, for `score` with that map, the true map and the region that counts.

    Args:
        structures: Label value of each structure's name, such as `{"liver": 1}`.
        spacing_mm: Distance of neighbours along columns (x), rows (y) and slices (z), as `Volume.spacing_mm`.

    Returns:
        `dice_<name>`, `iou_<name>` and `hd95_<name>` for each structure.

    Example:
        >>> truth, metrics = np.array([[[0, 0, 1]]]), label_metrics({"liver": 1}, (2.0, 2.0, 5.0))
        >>> kerasgan.metrics.score(np.array([[[0, 1, 0]]]), truth, np.ones((1, 1, 3)), metrics)
        {'dice_liver': 0.0, 'iou_liver': 0.0, 'hd95_liver': 2.0}
    """
    metrics = []
    for name, label in structures.items():
        heading = f"of the voxels labelled {label} ({name}) inside the mask"
        distance = (
            f"95 % Hausdorff distance {heading}: the larger of both directed 95th percentiles between surface voxels, "
            f"those with a face neighbour outside. The volume's diagonal where one map lacks the structure. {_EMPTY}."
        )
        hd95 = _on_label(partial(hausdorff95, spacing_mm=spacing_mm), label)
        metrics += [
            Metric(f"dice_{name}", "", f"Dice coefficient {heading}. {_EMPTY}.", _on_label(dice, label)),
            Metric(f"iou_{name}", "", f"Intersection over union {heading}. {_EMPTY}.", _on_label(iou, label)),
            Metric(f"hd95_{name}", "mm", distance, hd95),
        ]
    return tuple(metrics)


def dice(first: np.ndarray, second: np.ndarray) -> Value:
    """Twice the intersection over the sum of both sizes; `None` where both are empty.

    Example:
        >>> dice(np.array([True, True, False]), np.array([True, False, False]))
        0.66...
    """
    total = np.count_nonzero(first) + np.count_nonzero(second)
    return float(2 * np.count_nonzero(first & second) / total) if total else None


def iou(first: np.ndarray, second: np.ndarray) -> Value:
    """Intersection over union; `None` where both are empty.

    Example:
        >>> iou(np.array([True, True, False]), np.array([True, False, False]))
        0.5
    """
    union = np.count_nonzero(first | second)
    return float(np.count_nonzero(first & second) / union) if union else None


def hausdorff95(first: np.ndarray, second: np.ndarray, spacing_mm: Triple) -> Value:
    """The larger of both 95th percentiles of the distances from one surface's voxels to the other surface, in mm.

    Args:
        first: One structure, bool `[slices, rows, columns]`.
        second: Another one of the same shape.
        spacing_mm: Distance of neighbours along columns, rows and slices.

    Returns:
        The distance; the volume's diagonal where one is empty, so that a structure that was missed costs more than
        one that was misplaced; `None` where both are.

    Example:
        >>> first, second = np.zeros((1, 1, 9), bool), np.zeros((1, 1, 9), bool)
        >>> first[..., 2], second[..., 5] = True, True
        >>> hausdorff95(first, second, (2.0, 1.0, 1.0))
        6.0
    """
    steps = np.array(spacing_mm[::-1])
    if not first.any() and not second.any():
        return None
    if not first.any() or not second.any():
        return float(np.linalg.norm(steps * first.shape))
    (box,) = ndimage.find_objects((first | second).astype(np.int8))
    # Voxels with a face neighbour outside the structure; the border of the volume counts as outside.
    surfaces = [structure[box] & ~ndimage.binary_erosion(structure[box]) for structure in (first, second)]
    distances = [ndimage.distance_transform_edt(~surface, sampling=steps) for surface in surfaces]
    return max(float(np.percentile(distances[1 - n][surfaces[n]], 95)) for n in (0, 1))


def _on_label(function: Overlap, label: int) -> Score:
    return lambda predicted, truth, mask: function((predicted == label) & mask, (truth == label) & mask)
