"""The contract that a run's generators fulfil."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path

from kerasgan.config import Window
from kerasgan.files import file_digest, read_record
from kerasgan.runs.run import Run
from kerasgan.scans.contract import (
    ORIENTATIONS,
    RESCALING,
    Channel,
    Contract,
    Direction,
    MrScaling,
    Precision,
    Shape,
    Side,
    Signature,
    Tensor,
)
from kerasgan.scans.expected_error import ExpectedError
from kerasgan.scans.intensity import AIR_HU
from kerasgan.scans.names import DEFAULT, IMAGE, SYNTHETIC


def contract(run: Run, direction: Direction, shape: Shape, weights: Precision) -> Contract:
    """The contract of a model whose one signature takes images on the scale of the run's source window.

    Args:
        run: The run that the generator belongs to.
        direction: `"ab"` or `"ba"`.
        shape: `(batch, height, width)` of the images; None for any.
        weights: Precision of the stored weights.

    Raises:
        RunError: Where the run has no weights yet.
    """
    facts, generator = run.facts, run.generator_path(direction)
    digest = file_digest(generator)
    sides = []
    for domain in direction:
        modality, window = facts.modalities[domain], run.map(domain)
        unit = "HU" if modality == "CT" else "arbitrary"
        sides.append(Side(modality=modality, unit=unit, window=(window.low, window.high)))
    source, target = sides
    channels = facts.channels if direction == "ab" else ()
    scaling = None
    if source.modality == "MR":
        settings = facts.preparation
        percentiles = None if settings.mr_window else settings.mr_percentiles
        scaling = MrScaling(
            percentiles=percentiles,
            bias_correction=settings.bias_correction,
            rescaling=RESCALING if percentiles else None,
        )
    way_back = facts.way_back
    if target.modality == "CT" and target.window[0] > AIR_HU:  # a window without air has no values for a shell of it
        way_back = way_back.model_copy(update={"shell_mm": 0.0})
    return Contract(
        quick=run.quick,
        direction=direction,
        anatomy=facts.anatomy,
        source=source,
        target=target,
        mr_scaling=scaling,
        signatures={
            DEFAULT: Signature(
                inputs={IMAGE: image_tensor(shape, _images_of(source, channels), max(1, len(channels)))},
                outputs={SYNTHETIC: image_tensor(shape, _images_of(target))},
            )
        },
        weights=weights,
        pixel_mm=facts.preparation.pixel_mm,
        trained_height_width=(facts.preparation.size, facts.preparation.size),
        orientation="; ".join(ORIENTATIONS[plane] for plane in facts.preparation.planes),
        planes=facts.preparation.planes,
        way_back=way_back,
        kerasgan=version("kerasgan"),
        recipe=run.recipe.name,
        data_fingerprint=facts.fingerprint,
        generator=generator.name,
        generator_sha256=digest,
        gate=facts.gates.get(direction[0]),
        channels=channels,
        expected_error=_expected_error(run, direction, digest),
    )


def expected_error_path(run: Run, direction: Direction) -> Path:
    """The file in which an evaluation keeps the expected error of a generator's results."""
    return run.path / f"expected-error-{direction}.json"


def _expected_error(run: Run, direction: Direction, generator: str) -> ExpectedError | None:
    """The expected error of the generator by the last evaluation; None where none has since it was trained."""
    path = expected_error_path(run, direction)
    if not path.exists():
        return None
    parse = partial(ExpectedError.model_validate_json, strict=True)
    found = read_record(path, parse, "Remove the file, and measure it again with kerasgan evaluate.")
    return found if found.weights == generator else None


def image_tensor(shape: Shape, meaning: str, channels: int = 1) -> Tensor:
    """The description of a tensor of images, `[batch, height, width, channels]`.

    Example:
        >>> image_tensor((1, 64, 64), "CT in HU").shape
        (1, 64, 64, 1)
    """
    return Tensor(shape=(*shape, channels), axes=("batch", "height", "width", "channel"), meaning=meaning)


def _images_of(side: Side, channels: Sequence[Channel] = ()) -> str:
    def unit(window: Window) -> str:
        return "HU" if side.unit == "HU" else f"arbitrary units, {window[0]:g} to {window[1]:g}"

    if channels:
        return f"{side.modality}, channels {'; '.join(f'{one.name} in {unit(one.window)}' for one in channels)}"
    return f"{side.modality} in {unit(side.window)}"
