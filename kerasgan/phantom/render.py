"""MR and CT of a phantom, as a scanner would acquire them."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy import ndimage

from kerasgan.phantom.model import Phantom
from kerasgan.phantom.shapes import Points
from kerasgan.phantom.space import generator, smooth_field
from kerasgan.scans.volume import Modality, Volume

CT_RANGE_HU = (-1024.0, 3071.0)  # what 12 bits hold
BIAS = 0.10  # standard deviation of the logarithm of the coil's sensitivity


def render_mr(phantom: Phantom, seed: int, contrast: Literal["T1", "T2"] = "T1") -> Volume:
    """An MR of the phantom: bias field, Rician noise, and another gain for each scan.

    Args:
        phantom: The anatomy.
        seed: Seed of the scanner: gain, contrast, bias field and noise, which each contrast draws by itself.
        contrast: The weighting; tissues have a T2-weighted signal in heads alone.

    Returns:
        MR in arbitrary units on the phantom's grid. A tissue of signal 1 has about 150 to 1,500, the noise is 1.5 to
        3 % of it.

    Example:
        >>> from kerasgan.phantom import Grid, make_head
        >>> head = make_head(0, Grid(shape=(8, 20, 20), spacing_mm=(12, 12, 20)))
        >>> render_mr(head, seed=0).shape
        (8, 20, 20)
    """
    rng = generator(seed, "MR scanner" if contrast == "T1" else f"MR scanner, {contrast}")
    gain = float(np.exp(rng.uniform(np.log(150), np.log(1500))))
    noise = rng.uniform(0.015, 0.03)
    signals = [look.mr_signal if contrast == "T1" else look.t2_signal for look in (t.look for t in phantom.tissues)]
    table = np.array(signals, dtype=np.float32)
    table = table * rng.normal(1, 0.02, len(table)).astype(np.float32)
    signal = np.einsum("t,tzyx->zyx", table, phantom.fractions)
    signal *= 1 + 0.03 * smooth_field(rng, _axes(phantom), 9.0)
    signal *= np.exp(BIAS * smooth_field(rng, _axes(phantom), 80.0))
    real, imaginary = noise * rng.standard_normal((2, *signal.shape), dtype=np.float32)
    return Volume(gain * np.hypot(signal + real, imaginary), phantom.spacing_mm, phantom.origin_mm, modality="MR")


def render_ct(phantom: Phantom, seed: int) -> Volume:
    """A CT of the phantom: bone of uneven density, and noise with the grain of a reconstruction filter.

    Args:
        phantom: The anatomy.
        seed: Seed of the scanner: noise, bone density and, in organs that take it up, contrast medium.

    Returns:
        CT in HU on the phantom's grid, clipped to [-1024, 3071].

    Example:
        >>> from kerasgan.phantom import Grid, make_head
        >>> head = make_head(0, Grid(shape=(8, 20, 20), spacing_mm=(12, 12, 20)))
        >>> round(float(render_ct(head, seed=0).array[head.fractions[0] == 1].mean()), -1)  # air
        -1000.0
    """
    rng = generator(seed, "CT scanner")
    level = rng.uniform(7.0, 14.0)
    uptake = np.clip(generator(seed, "contrast medium").standard_normal(), -2, 2)  # one bolus for all organs
    looks = [tissue.look for tissue in phantom.tissues]
    table = np.array([look.ct_hu for look in looks], dtype=np.float32)
    table += np.float32(uptake) * np.array([look.ct_spread_hu for look in looks], dtype=np.float32)
    hu = np.einsum("t,tzyx->zyx", table, phantom.fractions)
    bone = sum((phantom.fractions[tissue] for tissue in phantom.tissues if tissue.look.bone), np.zeros_like(hu))
    hu += 80 * bone * smooth_field(rng, _axes(phantom), 12.0)
    grain = ndimage.gaussian_filter(rng.standard_normal(hu.shape, dtype=np.float32), (0, 0.6, 0.6))
    hu += np.float32(level) * grain / grain.std()
    return Volume(np.clip(hu, *CT_RANGE_HU), phantom.spacing_mm, phantom.origin_mm, modality="CT")


def render(phantom: Phantom, modality: Modality, seed: int, contrast: Literal["T1", "T2"] = "T1") -> Volume:
    """The scan of a modality, as `render_mr` or `render_ct` makes it; the contrast is for MR alone.

    Example:
        >>> from kerasgan.phantom import Grid, make_head
        >>> render(make_head(0, Grid(shape=(8, 20, 20), spacing_mm=(12, 12, 20))), "CT", seed=0).modality
        'CT'
    """
    return render_mr(phantom, seed, contrast) if modality == "MR" else render_ct(phantom, seed)


def _axes(phantom: Phantom) -> Points:
    """Positions of columns, rows and slices in mm from the centre of the image."""
    counts = phantom.fractions.shape[:0:-1]
    x, y, z = ((np.arange(n) - (n - 1) / 2) * step for n, step in zip(counts, phantom.spacing_mm, strict=True))
    return x, y, z
