"""The contract of a model: which images it takes and gives, with units, windows and geometry, as one JSON object."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from kerasgan.config import AXIAL_ONLY, Number, Percentiles, Plane, Planes, Window
from kerasgan.config import DIRECTIONS as DIRECTIONS
from kerasgan.config import Direction as Direction
from kerasgan.scans.bounds import LARGEST, NETWORK_SIDE, SHELL_MM, SPACING_MM
from kerasgan.scans.channels import PATTERN, checked_names
from kerasgan.scans.expected_error import ExpectedError
from kerasgan.scans.gate import Gate
from kerasgan.scans.geometry import Enlarging
from kerasgan.scans.names import IMAGE
from kerasgan.scans.volume import Modality
from kerasgan.text import RESEARCH_ONLY

Pixels = Annotated[int, Field(ge=1, le=NETWORK_SIDE)]

FORMAT = 1  # raise it when a client of the former contract would go wrong
ORIENTATIONS: dict[Plane, str] = {
    "axial": "axial; columns run to the patient's left, rows to posterior (LPS)",
    "coronal": "coronal; columns run to the patient's left, rows to inferior (LIP)",
    "sagittal": "sagittal; columns run to posterior, rows to inferior (PIR)",
}
SLICES = "whole slices, never tiles: the network normalises each image by its own statistics"
RESAMPLING = "clip to the window, then resample to pixel_mm: by area where it shrinks, else linearly"
RESCALING = "image = (mr - low) / (high - low) * (window[1] - window[0]) + window[0]"

Precision = Literal["float32", "float16", "int8", "int16x8"]  # of the stored weights; the last only in old files
Shape = tuple[int | None, int | None, int | None]


class Frozen(BaseModel):
    """A record that cannot be changed and accepts no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Tensor(Frozen):
    """A named tensor; None in its shape stands for any length."""

    dtype: Literal["float32", "int32", "string"] = "float32"
    shape: tuple[Pixels | None, ...]
    axes: tuple[str, ...]
    meaning: str

    @model_validator(mode="after")
    def _axes_are_named(self) -> Tensor:
        if len(self.axes) != len(self.shape):
            raise ValueError(f"{len(self.shape)} lengths need as many names of axes; got {self.axes}")
        return self


class Signature(Frozen):
    """A callable of the exported model: its tensors by name.

    Attributes:
        inputs: The tensors that it takes.
        outputs: The tensors that it gives.
        batch: `"images"`: each image is translated on its own; `"volume"`: a batch is the slices of one scan, which
            share a range of intensities, so that a server must not merge requests.
    """

    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]
    batch: Literal["images", "volume"] = "images"


class Side(Frozen):
    """The images that go in, or those that come out.

    Attributes:
        modality: MR or CT.
        unit: `"HU"`, or `"arbitrary"` for MR.
        window: Values outside are clipped to it; results never leave it.

    Example:
        >>> print(Side(modality="CT", unit="HU", window=(-1000, 1600)))
        CT, -1000 to 1600 HU
    """

    modality: Modality
    unit: Literal["HU", "arbitrary"]
    window: Window

    def __str__(self) -> str:
        low, high = self.window
        return f"{self.modality}, {low:g} to {high:g} {'HU' if self.unit == 'HU' else 'in arbitrary units'}"


class Encoding(Frozen):
    """The meaning of int16 pixels: value = stored * slope + intercept."""

    slope: float = Field(gt=0, le=LARGEST)
    intercept: Number


class MrScaling(Frozen):
    """The step from an MR scan in its scanner's arbitrary units to the source's window.

    Attributes:
        percentiles: `low` and `high` of a scan are these percentiles of its voxels inside the body; None where all
            training scans had one fixed window, and a scan is given as it is.
        bias_correction: Whether N4 comes first.
        rescaling: The formula for a signature that works with the source's window, from `low` and `high` of the scan;
            None where there is no such signature, or scans need none.
    """

    percentiles: Percentiles | None
    bias_correction: bool
    rescaling: str | None


class Channel(Frozen):
    """A named contrast of the source, such as T1.

    Attributes:
        name: Its name, by which a scan of it is given.
        window: The values that become -1 and 1, as `Side.window`: of MR, the median over the training scans.
        gate: Tells whether a scan is like the training scans of this channel; None where they were too few.
    """

    name: str = Field(pattern=f"^{PATTERN}$")
    window: Window
    gate: Gate | None = Field(None, exclude_if=lambda gate: gate is None)


def _checked(channels: tuple[Channel, ...]) -> tuple[Channel, ...]:
    checked_names(tuple(channel.name for channel in channels))
    return channels


Channels = Annotated[tuple[Channel, ...], AfterValidator(_checked)]


class WayBack(Frozen):
    """The way of a result from the model's pixels onto the scan's own; the defaults are that of version 0.1.0.

    Attributes:
        enlarging: How smaller pixels are reached: linearly, or with the Lanczos kernel of four pixels to each side and
            clipped to the target's window. Larger pixels are means over their area.
        shell_mm: Width of the shell around the source's body in which the model's own values are kept; all beyond is
            air.
    """

    enlarging: Enlarging = "linear"
    shell_mm: float = Field(0.0, ge=0, le=SHELL_MM)


FORMER_WAY = WayBack()


class Contract(Frozen):
    """The promise of a model in one direction: all that a client has to know to use it.

    Attributes:
        format: Version of this layout.
        statement: A warning to show to everybody who sees a result.
        quick: Whether the run only showed that everything works; its images mean nothing.
        direction: `"ab"` or `"ba"`.
        anatomy: The body part that the model was trained on; "" where unknown.
        source: The images that go in; of several channels, the window is that of the first.
        target: The images that come out.
        mr_scaling: The scaling of an MR source; None for CT.
        signatures: The callables of the model by name.
        encoding: The meaning of the pixels in `synthetic_bytes`; None where no signature has them.
        weights: Precision of the stored weights. Arithmetic is float32, but for the convolutions of `"int8"`, on 8-bit
            activations, and of `"int16x8"` in old files, on 16-bit ones.
        pixel_mm: Side of a pixel in mm; images are resampled to it before and from it afterwards.
        trained_height_width: Size of the training images; other sizes work where the shapes allow them.
        orientation: Directions of the images' rows and columns in the patient.
        planes: The planes that a scan is translated in. With several, or another than axial, it is resampled to cubes
            of `pixel_mm`, all slices of each plane are translated, and the median of the results goes back to its grid.
        slices: A reminder to translate whole slices.
        resampling: The way to reach `pixel_mm`.
        way_back: The way from there onto the scan's own grid.
        kerasgan: Version of kerasgan that exported the model.
        recipe: Name of the recipe.
        data_fingerprint: Digest of the run's training and validation data.
        generator: File name of the generator in the run.
        generator_sha256: Digest of that file.
        gate: Tells whether a scan is like the training scans; None where they were too few, or by a former version, and
            where there are channels, which have their own.
        channels: The named channels of the source, in the order of the last axis of its tensors; none where that has
            one image. All are on one grid, and the body is found in the first.
        expected_error: The error of synthetic CTs by class of voxels; None where no evaluation measured it.
    """

    format: int = FORMAT
    statement: str = RESEARCH_ONLY
    quick: bool
    direction: Direction
    anatomy: str
    source: Side
    target: Side
    mr_scaling: MrScaling | None
    signatures: dict[str, Signature]
    encoding: Encoding | None = None
    weights: Precision
    pixel_mm: float = Field(ge=SPACING_MM[0], le=SPACING_MM[1])
    trained_height_width: tuple[Pixels, Pixels]
    orientation: str = ORIENTATIONS["axial"]
    planes: Planes = Field(AXIAL_ONLY, exclude_if=lambda planes: planes == AXIAL_ONLY)  # former clients know one
    slices: str = SLICES
    resampling: str = RESAMPLING
    way_back: WayBack = Field(FORMER_WAY, exclude_if=lambda way: way == FORMER_WAY)  # as planes
    kerasgan: str
    recipe: str
    data_fingerprint: str
    generator: str
    generator_sha256: str
    gate: Gate | None = Field(None, exclude_if=lambda gate: gate is None)  # former clients know none
    channels: Channels = Field((), exclude_if=lambda channels: not channels)  # former clients would send one image
    expected_error: ExpectedError | None = Field(None, exclude_if=lambda error: error is None)  # as gate

    @model_validator(mode="after")
    def _first_channel_is_the_source(self) -> Contract:
        if self.channels and self.channels[0].window != self.source.window:
            raise ValueError(f"source.window is that of the first channel, {self.channels[0].window}")
        return self

    @property
    def source_windows(self) -> tuple[Window, ...]:
        """The window of each channel of the source."""
        return tuple(channel.window for channel in self.channels) or (self.source.window,)

    @property
    def series_description(self) -> str:
        """The name of a synthetic series, with the recipe and whether the run was a quick one."""
        return f"Synthetic {self.target.modality} ({self.recipe}{', quick run' if self.quick else ''})"

    @property
    def fixed_size(self) -> tuple[int, int] | None:
        """Height and width of the only slices that the model takes, in pixels; None where it takes any size."""
        for signature in self.signatures.values():
            if IMAGE in signature.inputs:
                _, height, width, _ = signature.inputs[IMAGE].shape
                return (height, width) if height and width else None
        return None
