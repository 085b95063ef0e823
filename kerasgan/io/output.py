"""Checks and conversions of values that all writers of images share."""

from __future__ import annotations

import numpy as np

from kerasgan.errors import KerasganError

INT16 = np.iinfo(np.int16)


def require_finite(array: np.ndarray, what: str) -> None:
    """Refuses NaN and infinite values.

    Args:
        array: Values of any shape.
        what: Name of the values, for the message.

    Raises:
        KerasganError: For a value that is not finite.
    """
    if array.size and not (np.isfinite(array.min()) and np.isfinite(array.max())):
        count = array.size - int(np.count_nonzero(np.isfinite(array)))
        raise KerasganError(
            f"{what}: {count} of {array.size} voxels are NaN or infinite. Replace them, in CT by air (-1024 HU)."
        )


def as_int16(array: np.ndarray, what: str) -> np.ndarray:
    """Values rounded to the nearest integer, as int16.

    Args:
        array: Values of any shape.
        what: Name of the values, for the message.

    Returns:
        int16 array of the same shape; no value differs from its original by more than 0.5.

    Example:
        >>> as_int16(np.array([-1000.4, 39.6]), "CT")
        array([-1000, 40], dtype=int16)

    Raises:
        KerasganError: For a value that is not finite or does not fit 16 bits; nothing is clipped in silence.
    """
    require_finite(array, what)
    low, high = float(array.min()), float(array.max())
    if round(low) < INT16.min or round(high) > INT16.max:
        raise KerasganError(
            f"{what}: values from {low:g} to {high:g} do not fit the 16-bit range {INT16.min} to {INT16.max}. "
            "Clip or rescale them, or write MR as .nii.gz or .mha, which keep float32."
        )
    return np.rint(array, out=np.empty(np.shape(array), np.int16), casting="unsafe")
