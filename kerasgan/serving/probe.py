"""Slices of a phantom patient by which a server, which has no scan yet, compares engines."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np

from kerasgan.engines.choice import SLICES
from kerasgan.engines.gate import Probe
from kerasgan.phantom.head import HEAD
from kerasgan.phantom.sample import anatomy_like, sample_scan
from kerasgan.scans.contract import Contract
from kerasgan.scans.intensity import IntensityMap, body_mask, percentile_map

SEED, SIDE = 2, 96  # more pixels take seconds to draw, and are interpolated instead
PERCENTILES = (0.5, 99.5)  # of an MR whose model takes a fixed window, in which no phantom lies


def phantom_probe(described: Contract) -> Probe:
    """Slices of the contract's anatomy and of the trained size, as the network sees them.

    In bfloat16 a network differs by more on shapes that it has never seen, so that with them the gate would refuse an
    engine that patients let through: one of 64 filters by 4.5 HU on a drawn cone, and by 2.2 HU on these slices.

    Args:
        described: The contract of one direction.

    Example:
        ::

            engine = choose(network, "best", phantom_probe(contract), cache)
    """
    phantom, source, target = anatomy_like(described.anatomy), described.source, described.target
    names = [channel.name for channel in described.channels] or ["T1"]
    rows, columns = described.trained_height_width
    middle, body, images = slice(SLICES // 2, SLICES // 2 + SLICES), np.zeros(0), list[np.ndarray]()
    for name in names:
        contrast: Literal["T1", "T2"] = "T2" if name == "T2" and phantom is HEAD else "T1"
        volume = sample_scan(phantom, SEED, source.modality, (2 * SLICES, SIDE, SIDE), contrast)
        if not images:
            body = body_mask(volume)
        if source.modality == "CT":
            window = IntensityMap(*source.window)
        else:
            scaling = described.mr_scaling
            window = percentile_map(volume.array, body, (scaling and scaling.percentiles) or PERCENTILES)
        images.append(_resized(window.forward(volume.array[middle]), rows, columns))
    inside = _resized(body[middle].astype(np.float32), rows, columns) > 0.5
    width, unit = target.window[1] - target.window[0], "HU" if target.modality == "CT" else "MR units"
    return Probe(np.stack(images, axis=-1), inside, width, unit)


def _resized(slices: np.ndarray, rows: int, columns: int) -> np.ndarray:
    return np.stack([cv2.resize(image, (columns, rows), interpolation=cv2.INTER_LINEAR) for image in slices])
