"""What an MR and a CT scanner make of a head."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from kerasgan.phantom.head import Head
from kerasgan.phantom.shapes import Points
from kerasgan.phantom.space import generator, smooth_field
from kerasgan.phantom.tissues import CT_HU, T1_SIGNAL, Tissue, as_array
from kerasgan.volume import Modality, Volume

CT_RANGE_HU = (-1024.0, 3071.0)  # what 12 bits hold
BIAS = 0.10  # standard deviation of the logarithm of the coil's sensitivity


def render_mr(head: Head, seed: int) -> Volume:
    """A T1-weighted MR of the head: bias field, Rician noise, and a gain of its own for each scan.

    Args:
        head: The anatomy.
        seed: Of the scanner: gain, contrast, bias field and noise.

    Returns:
        MR in arbitrary units on the head's grid. White matter lies between about 150 and 1,500, the noise is 1.5 to 3 %
        of it.
    """
    rng = generator(seed, "MR scanner")
    gain = float(np.exp(rng.uniform(np.log(150), np.log(1500))))
    noise = rng.uniform(0.015, 0.03)
    table = as_array(T1_SIGNAL) * rng.normal(1, 0.02, len(Tissue)).astype(np.float32)
    signal = np.einsum("t,tzyx->zyx", table, head.fractions)
    signal *= 1 + 0.03 * smooth_field(rng, _axes(head), 9.0)
    signal *= np.exp(BIAS * smooth_field(rng, _axes(head), 80.0))
    real, imaginary = noise * rng.standard_normal((2, *signal.shape), dtype=np.float32)
    return _volume(head, gain * np.hypot(signal + real, imaginary), "MR")


def render_ct(head: Head, seed: int) -> Volume:
    """A CT of the head: bone of uneven density, and noise with the grain of a reconstruction filter.

    Args:
        head: The anatomy.
        seed: Of the scanner: noise and bone density.

    Returns:
        CT in HU on the head's grid, clipped to [-1024, 3071].
    """
    rng = generator(seed, "CT scanner")
    level = rng.uniform(7.0, 14.0)
    hu = np.einsum("t,tzyx->zyx", as_array(CT_HU), head.fractions)
    bone = head.fractions[Tissue.CORTICAL_BONE] + head.fractions[Tissue.MARROW]
    hu += 80 * bone * smooth_field(rng, _axes(head), 12.0)
    grain = ndimage.gaussian_filter(rng.standard_normal(hu.shape, dtype=np.float32), (0, 0.6, 0.6))
    hu += np.float32(level) * grain / grain.std()
    return _volume(head, np.clip(hu, *CT_RANGE_HU), "CT")


def _axes(head: Head) -> Points:
    """Positions of columns, rows and slices relative to the centre of the image."""
    counts = head.fractions.shape[:0:-1]
    x, y, z = ((np.arange(n) - (n - 1) / 2) * step for n, step in zip(counts, head.spacing_mm, strict=True))
    return x, y, z


def _volume(head: Head, array: np.ndarray, modality: Modality) -> Volume:
    return Volume(array, spacing_mm=head.spacing_mm, origin_mm=head.origin_mm, modality=modality)
