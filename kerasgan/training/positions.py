"""Position-based selection: unpaired slices from like places along the body's axis.

A discriminator that compares a synthetic skull base with real slices of the vertex learns where a slice lies, and not
how real it looks.

Reference:
    Yang et al. 2018, https://arxiv.org/abs/1809.04536, position-based selection. The width of the window is kerasgan's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kerasgan.errors import DatasetError

TOLERANCE = 0.05  # of the body's extent: about 1 cm of a head, to either side
_STREAM = 2  # apart from the seeds that shuffle domain a (0) and b (1)


def relative_positions(scans: Sequence[Sequence[int]]) -> np.ndarray:
    """Where each slice lies in its scan: 0 at the lowest slice that shows enough of the body, 1 at the highest.

    Empty slices above and below the body thus count for nothing. Where one scan ends in the neck and another in the
    brain, like positions are unlike anatomy, and nothing in the slices' numbers tells: such scans want
    `data.selection=random`, or cropping to a common part.

    Args:
        scans: Index of each slice of each scan along its axis, rising; as `CachedScan.positions`.

    Returns:
        `[slices]`, the scans' slices one after another.

    Raises:
        DatasetError: Where a scan has a single slice, whose place in the body nothing tells.
    """
    lonely = sum(len(positions) < 2 for positions in scans)
    if lonely:
        # Falling back to random selection would report a method that was not used.
        raise DatasetError(
            f"data.selection=position needs scans of two slices or more, to know where in the body a slice lies; "
            f"{lonely} of {len(scans)} training scans of a domain have only one. "
            "Leave these out, or add --set data.selection=random."
        )
    arrays = [np.asarray(positions, float) for positions in scans]
    return np.concatenate([(array - array[0]) / (array[-1] - array[0]) for array in arrays])


class LikePositions:
    """Draws slices of domain b from where given slices of domain a lie.

    A slice of b is drawn at random, scans mixed, among those whose relative position differs from that of the slice of
    a by `TOLERANCE` or less; where there are none, it is one of the nearest. So every slice of a still comes once in an
    epoch, and those of b come as often on average only where both domains cover the body evenly.

    Args:
        a: Index of each slice of each scan of domain a, see `relative_positions`.
        b: The same of domain b.
        seed: Of the draws.

    Raises:
        DatasetError: Where a scan has a single slice.
    """

    def __init__(self, a: Sequence[Sequence[int]], b: Sequence[Sequence[int]], seed: int) -> None:
        self.positions = relative_positions(a)
        found = relative_positions(b)
        self.order = np.argsort(found, kind="stable")
        self.sorted = found[self.order]
        self.seed = seed

    def draw(self, indices: Sequence[int], step: int) -> list[int]:
        """Indices of slices of b for the slices of a in a batch, a function of the seed and the step alone."""
        generator = np.random.default_rng((self.seed, _STREAM, step))
        return [int(generator.choice(self.candidates(index))) for index in indices]

    def candidates(self, index: int) -> np.ndarray:
        """Indices of all slices of b at a like position as a slice of a."""
        position = self.positions[index]
        distance = max(TOLERANCE, np.abs(self.sorted - position).min())
        # A hair wider, so that the nearest slice is not lost to rounding.
        low, high = np.searchsorted(self.sorted, [position - distance - 1e-9, position + distance + 1e-9])
        return self.order[low:high]
