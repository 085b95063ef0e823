"""The contract that a run's generators fulfil."""

from __future__ import annotations

import hashlib
from importlib.metadata import version

from kerasgan.runs.run import Run
from kerasgan.scans.contract import (
    RESCALING,
    Contract,
    Direction,
    MrScaling,
    Precision,
    Shape,
    Side,
    Signature,
    Tensor,
)
from kerasgan.scans.names import DEFAULT, IMAGE, SYNTHETIC


def contract(run: Run, direction: Direction, shape: Shape, weights: Precision) -> Contract:
    """The contract of an artifact whose one signature takes images on the scale of the run's source window.

    Args:
        run: Where it comes from.
        direction: Of the translation.
        shape: `(batch, height, width)`; None for any.
        weights: Precision of the stored weights.
    """
    facts, generator = run.facts, run.generator_path(direction)
    source, target = (_side(run, domain) for domain in direction)
    return Contract(
        quick=run.quick,
        direction=direction,
        anatomy=facts.anatomy,
        source=source,
        target=target,
        mr_scaling=_mr_scaling(run) if source.modality == "MR" else None,
        signatures={DEFAULT: default_signature(source, target, shape)},
        weights=weights,
        pixel_mm=facts.preparation.pixel_mm,
        trained_height_width=(facts.preparation.size, facts.preparation.size),
        kerasgan=version("kerasgan"),
        recipe=run.recipe.name,
        data_fingerprint=facts.fingerprint,
        generator=generator.name,
        generator_sha256=hashlib.sha256(generator.read_bytes()).hexdigest(),
    )


def _side(run: Run, domain: str) -> Side:
    modality, window = run.facts.modalities[domain], run.map(domain)
    return Side(modality=modality, unit="HU" if modality == "CT" else "arbitrary", window=(window.low, window.high))


def _mr_scaling(run: Run) -> MrScaling:
    settings = run.facts.preparation
    percentiles = None if settings.mr_window else settings.mr_percentiles
    rescaling = RESCALING if percentiles else None
    return MrScaling(percentiles=percentiles, bias_correction=settings.bias_correction, rescaling=rescaling)


def default_signature(source: Side, target: Side, shape: Shape) -> Signature:
    """From images in the source's unit to images in the target's.

    Args:
        source: What comes in.
        target: What goes out.
        shape: `(batch, height, width)`; None for any.
    """
    taken, given = (image_tensor(shape, f"{side.modality} in {_unit(side)}") for side in (source, target))
    return Signature(inputs={IMAGE: taken}, outputs={SYNTHETIC: given})


def image_tensor(shape: Shape, meaning: str) -> Tensor:
    """A tensor of images, `[batch, height, width, 1]`."""
    return Tensor(shape=(*shape, 1), axes=("batch", "height", "width", "channel"), meaning=meaning)


def _unit(side: Side) -> str:
    low, high = side.window
    return "HU" if side.unit == "HU" else f"arbitrary units, {low:g} to {high:g}"
