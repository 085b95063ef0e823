"""Named channels: several contrasts of one patient on one grid, such as T1 and T2, that a network sees at once.

Each has a map to [-1, 1] of its own. The body is found in the first, which stands for the scan wherever it is drawn,
scored or registered. A scan that is one image has one channel without a name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import AfterValidator

from kerasgan.scans.geometry import oriented
from kerasgan.scans.volume import Volume

if TYPE_CHECKING:
    from kerasgan.scans.intensity import IntensityMap  # which loads OpenCV and SciPy

PATTERN = r"[A-Za-z0-9][A-Za-z0-9.+-]{0,31}"  # of a name, which is a part of file names and of `T1=PATH`


def checked_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names of channels themselves.

    Raises:
        ValueError: For a single name, a repeated one, or one of other characters than letters, digits, `.`, `+`, `-`.

    Example:
        >>> checked_names(("T1", "T2"))
        ('T1', 'T2')
    """
    odd = [name for name in names if not re.fullmatch(PATTERN, name)]
    if odd or len(names) == 1 or len(set(names)) < len(names):
        raise ValueError(
            "channels needs two names or more, each once, of letters, digits, '.', '+' and '-', such as T1, T2; got "
            f"{', '.join(names)}"
        )
    return names


ChannelNames = Annotated[tuple[str, ...], AfterValidator(checked_names)]


def require_names(needed: Sequence[str], found: Sequence[str], what: str) -> None:
    """Compares the channels that a model needs with those that it is to get; "" stands for an image without a name.

    Args:
        needed: Their names; none for a model of one channel without a name.
        found: The names of those, in any order.
        what: What needs them, for the message, such as `"The run"`.

    Raises:
        ValueError: Where one is missing, or one is too many.

    Example:
        >>> require_names(["T1", "T2"], ["T1"], "The run")
        Traceback (most recent call last):
        ValueError: The run needs channels T1, T2; got T1.
    """
    if set(needed or [""]) != set(found):
        wanted = f"channels {', '.join(needed)}" if needed else "one image without named channels"
        got = ", ".join(name or "one image without a name" for name in found) or "none"
        raise ValueError(f"{what} needs {wanted}; got {got}.")


def require_one_grid(channels: Mapping[str, Volume]) -> None:
    """Refuses channels that do not agree voxel by voxel, whatever the order of their axes.

    Args:
        channels: The volumes by name.

    Raises:
        ValueError: For two modalities, or grids whose corners are more than 0.1 mm apart.

    Example:
        >>> thin, thick = (Volume(np.zeros((2, 3, 4)), spacing_mm=(1, 1, step)) for step in (3, 5))
        >>> require_one_grid({"T1": thin, "T2": thick})
        Traceback (most recent call last):
        ValueError: Channel T2 is on another grid, (2, 3, 4) voxels of (1, 1, 5) mm, than channel T1, (2, 3, 4) voxels \
of (1, 1, 3) mm. Register and resample it onto the grid of T1 first.
    """
    first, *others = channels
    volume = oriented(channels[first])
    for name in others:
        other = oriented(channels[name])
        if other.modality != volume.modality:
            raise ValueError(
                f"Channel {name} is {other.modality}, and {first} is {volume.modality}; give one modality."
            )
        if not other.same_grid(volume):
            raise ValueError(
                f"Channel {name} is on another grid, {other.shape} voxels of {other.spacing_mm} mm, than channel "
                f"{first}, {volume.shape} voxels of {volume.spacing_mm} mm. Register and resample it onto the grid of "
                f"{first} first."
            )


def forward(images: np.ndarray, maps: Sequence[IntensityMap]) -> np.ndarray:
    """Physical values `[..., channels]` as float32 in [-1, 1], each channel by its own map.

    Example:
        >>> from kerasgan.scans.intensity import IntensityMap
        >>> forward(np.array([[0.0, 200.0]]), [IntensityMap(0, 100), IntensityMap(0, 200)])
        array([[-1.,  1.]], dtype=float32)
    """
    return np.stack([one.forward(images[..., number]) for number, one in enumerate(maps)], axis=-1)


def inverse(images: np.ndarray, maps: Sequence[IntensityMap]) -> np.ndarray:
    """Values in [-1, 1] `[..., channels]` as float32 physical values, each channel by its own map.

    Example:
        >>> from kerasgan.scans.intensity import IntensityMap
        >>> inverse(np.array([[-1.0, 1.0]]), [IntensityMap(0, 100), IntensityMap(0, 200)])
        array([[  0., 200.]], dtype=float32)
    """
    return np.stack([one.inverse(images[..., number]) for number, one in enumerate(maps)], axis=-1)
