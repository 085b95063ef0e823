"""What an MR and a CT scanner make of a phantom."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from kerasgan.phantom.model import Phantom
from kerasgan.phantom.shapes import Points
from kerasgan.phantom.space import generator, smooth_field
from kerasgan.scans.volume import Modality, Volume

CT_RANGE_HU = (-1024.0, 3071.0)  # what 12 bits hold
BIAS = 0.10  # standard deviation of the logarithm of the coil's sensitivity


def render_mr(phantom: Phantom, seed: int) -> Volume:
    """An MR of the phantom: bias field, Rician noise, and a gain of its own for each scan.

    Args:
        phantom: The anatomy.
        seed: Of the scanner: gain, contrast, bias field and noise.

    Returns:
        MR in arbitrary units on the phantom's grid. A tissue of signal 1 lies between about 150 and 1,500, the noise is
        1.5 to 3 % of it.
    """
    rng = generator(seed, "MR scanner")
    gain = float(np.exp(rng.uniform(np.log(150), np.log(1500))))
    noise = rng.uniform(0.015, 0.03)
    table = phantom.palette.mr_signal * rng.normal(1, 0.02, len(phantom.palette.tissues)).astype(np.float32)
    signal = np.einsum("t,tzyx->zyx", table, phantom.fractions)
    signal *= 1 + 0.03 * smooth_field(rng, _axes(phantom), 9.0)
    signal *= np.exp(BIAS * smooth_field(rng, _axes(phantom), 80.0))
    real, imaginary = noise * rng.standard_normal((2, *signal.shape), dtype=np.float32)
    return _volume(phantom, gain * np.hypot(signal + real, imaginary), "MR")


def render_ct(phantom: Phantom, seed: int) -> Volume:
    """A CT of the phantom: bone of uneven density, and noise with the grain of a reconstruction filter.

    Args:
        phantom: The anatomy.
        seed: Of the scanner: noise, bone density and, where the palette says so, uptake of contrast medium.

    Returns:
        CT in HU on the phantom's grid, clipped to [-1024, 3071].
    """
    rng = generator(seed, "CT scanner")
    level = rng.uniform(7.0, 14.0)
    hu = np.einsum("t,tzyx->zyx", _attenuation(phantom, seed), phantom.fractions)
    bone = sum((phantom.fractions[tissue] for tissue in phantom.palette.bone), np.zeros_like(hu))
    hu += 80 * bone * smooth_field(rng, _axes(phantom), 12.0)
    grain = ndimage.gaussian_filter(rng.standard_normal(hu.shape, dtype=np.float32), (0, 0.6, 0.6))
    hu += np.float32(level) * grain / grain.std()
    return _volume(phantom, np.clip(hu, *CT_RANGE_HU), "CT")


def _attenuation(phantom: Phantom, seed: int) -> np.ndarray:
    """HU of each tissue in this patient."""
    spread = phantom.palette.ct_spread_hu
    if spread is None:
        return phantom.palette.ct_hu
    uptake = np.clip(generator(seed, "contrast medium").standard_normal(), -2, 2)  # one bolus for all organs
    return phantom.palette.ct_hu + np.float32(uptake) * spread


def _axes(phantom: Phantom) -> Points:
    """Positions of columns, rows and slices relative to the centre of the image."""
    counts = phantom.fractions.shape[:0:-1]
    x, y, z = ((np.arange(n) - (n - 1) / 2) * step for n, step in zip(counts, phantom.spacing_mm, strict=True))
    return x, y, z


def _volume(phantom: Phantom, array: np.ndarray, modality: Modality) -> Volume:
    return Volume(array, spacing_mm=phantom.spacing_mm, origin_mm=phantom.origin_mm, modality=modality)
