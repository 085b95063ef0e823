"""Runs a network over the slices of a scan, and takes them out of its images, the same way wherever that is needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from tqdm import tqdm


def predict_slices(
    predict: Callable[[np.ndarray], Any], slices: np.ndarray, batch_size: int = 1, title: str | None = None
) -> np.ndarray:
    """Applies a network to the slices of a scan, batch by batch and in order.

    Slices stay whole: instance normalisation would give each tile of a slice a contrast of its own.

    Args:
        predict: The network: `[batch, height, width, channels]` to an array or tensor `[batch, ...]`.
        slices: `[slices, height, width, channels]`.
        batch_size: Slices in a batch; the last batch may hold fewer. One at a time needs the least memory.
        title: Title of the progress bar; None shows none.

    Returns:
        What the network gave, joined along the first axis.

    Raises:
        ValueError: For no slices at all.

    Example:
        >>> predict_slices(lambda batch: 2 * batch, np.ones((3, 1, 1, 1)), batch_size=2).ravel()
        array([2., 2., 2.])
    """
    if not len(slices):
        raise ValueError("predict_slices needs at least one slice; got none.")
    found = []
    with tqdm(desc=title, total=len(slices), unit="slice", leave=False, disable=title is None) as bar:
        for first in range(0, len(slices), batch_size):
            found.append(np.asarray(predict(slices[first : first + batch_size])))
            bar.update(len(found[-1]))
    return np.concatenate(found)


def mean_with_mirrored(predict: Callable[[np.ndarray], Any]) -> Callable[[np.ndarray], np.ndarray]:
    """A network whose result is the mean with that of the mirrored images, mirrored back, in twice the time.

    Left and right change places, which sagittal slices do not stand: front and back would.

    Args:
        predict: The network: `[batch, height, width, channels]` to the same.

    Example:
        >>> shifted = mean_with_mirrored(lambda images: np.roll(images, 1, axis=2))
        >>> shifted(np.array([1.0, 0.0, 0.0, 0.0]).reshape(1, 1, 4, 1)).ravel()
        array([0. , 0.5, 0. , 0.5])
    """

    def both(images: np.ndarray) -> np.ndarray:
        there = np.asarray(predict(images))
        back = np.asarray(predict(np.ascontiguousarray(images[:, :, ::-1])))[:, :, ::-1]
        return (there + back) / 2

    return both


def evenly_chosen(length: int, count: int) -> list[int]:
    """Up to `count` different indices below `length`, each in the middle of an equal share of them.

    Example:
        >>> evenly_chosen(9, 3)
        [1, 4, 7]
    """
    count = min(length, count)
    return [(2 * index + 1) * length // (2 * count) for index in range(count)]


def first_channel(images: np.ndarray) -> np.ndarray:
    """The channel of images `[..., channels]` that stands for a scan where it is drawn, scored or registered as one.

    It is the one in which the body was found; a scan without named channels has no other.

    Example:
        >>> first_channel(np.array([[[[0.5, -1.0]]]]))
        array([[[0.5]]])
    """
    return images[..., 0]
