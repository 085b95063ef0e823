"""Runs a network over the slices of a scan, and takes them out of its images, the same way wherever that is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
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
    batches = (slices[first : first + batch_size] for first in range(0, len(slices), batch_size))
    return np.concatenate(list(predict_batches(predict, batches, len(slices), title)))


def predict_batches(
    predict: Callable[[np.ndarray], Any], batches: Iterable[np.ndarray], total: int, title: str | None = None
) -> Iterator[np.ndarray]:
    """Applies a network to batches that need not be in memory all at once.

    Args:
        predict: The network: `[batch, height, width, channels]` to an array or tensor `[batch, ...]`.
        batches: The batches, in order.
        total: Number of slices in all of them.
        title: Title of the progress bar; None shows none.

    Yields:
        What the network gives for each batch, before the next one is taken.
    """
    with tqdm(desc=title, total=total, unit="slice", leave=False, disable=title is None) as bar:
        for batch in batches:
            yield np.asarray(predict(batch))
            bar.update(len(batch))


def middle_channel(images: np.ndarray) -> np.ndarray:
    """The slices themselves of images `[..., channels]`, which go back onto a scan's grid, or are drawn or scored.

    The inverse of `Preparation.images`, for the images that a generator takes and for those that it gives.

    Example:
        >>> middle_channel(np.array([[[[0.5]]]]))
        array([[[0.5]]])
    """
    return images[..., images.shape[-1] // 2]
