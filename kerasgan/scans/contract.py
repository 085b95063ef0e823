"""What a client of an exported model has to know, in one JSON file: names, shapes, units, windows and geometry."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from kerasgan.scans.volume import Modality
from kerasgan.text import RESEARCH_ONLY

Direction = Literal["ab", "ba"]
DIRECTIONS: tuple[Direction, Direction] = ("ab", "ba")

FORMAT = 1  # raise it when a client of the former contract would go wrong
ORIENTATION = "axial; columns run to the patient's left, rows to posterior (LPS)"
SLICES = "whole slices, never tiles: the network normalises each image by its own statistics"
RESAMPLING = "clip to the window, then resample to pixel_mm: by area where it shrinks, else linearly"
RESCALING = "image = (mr - low) / (high - low) * (window[1] - window[0]) + window[0]"

Precision = Literal["float32", "float16", "int8", "int16x8"]  # of the stored weights
Window = tuple[float, float]
Shape = tuple[int | None, int | None, int | None]


class Frozen(BaseModel):
    """Neither changed nor extended."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Tensor(Frozen):
    """A named tensor; None in its shape stands for any length."""

    dtype: Literal["float32", "int32", "string"] = "float32"
    shape: tuple[int | None, ...]
    axes: tuple[str, ...]
    meaning: str


class Signature(Frozen):
    """A callable of the artifact: its tensors by name.

    Attributes:
        inputs: What it takes.
        outputs: What it gives.
        batch: `"images"`: each is translated on its own; `"volume"`: a batch is the slices of one scan, which share a
            range of intensities, so that a server must not merge requests.
    """

    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]
    batch: Literal["images", "volume"] = "images"


class Side(Frozen):
    """What comes in or goes out.

    Attributes:
        modality: MR or CT.
        unit: `"HU"`, or `"arbitrary"` for MR.
        window: Values outside are clipped to it; results never leave it.
    """

    modality: Modality
    unit: Literal["HU", "arbitrary"]
    window: Window

    def __str__(self) -> str:
        low, high = self.window
        return f"{self.modality}, {low:g} to {high:g} {'HU' if self.unit == 'HU' else 'in arbitrary units'}"


class Encoding(Frozen):
    """How int16 pixels stand for physical values: value = stored * slope + intercept."""

    slope: float
    intercept: float


class MrScaling(Frozen):
    """How a scan in its scanner's arbitrary units fits an MR source.

    Attributes:
        percentiles: `low` and `high` of a scan are these percentiles of its voxels inside the body; None where all
            scans were windowed alike, and are to be given as they are.
        bias_correction: Whether N4 comes first.
        rescaling: What to give to a signature that works with the source's window, from `low` and `high` of the scan;
            None where there is no such signature, or scans need none.
    """

    percentiles: Window | None
    bias_correction: bool
    rescaling: str | None


class Contract(Frozen):
    """What an artifact does in one direction.

    Attributes:
        format: Version of this layout.
        statement: To be shown to whoever sees a result.
        quick: Whether the run only showed that the line works; its images mean nothing.
        direction: `"ab"` or `"ba"`.
        anatomy: What the model was trained on; "" where unknown.
        source: Of the images that go in.
        target: Of the images that come out.
        mr_scaling: For an MR source.
        signatures: By name.
        encoding: Of the pixels in `synthetic_bytes`; None where no signature has them.
        weights: Precision of the stored weights. Arithmetic is float32, but for the convolutions of `"int8"`, on 8-bit
            activations, and of `"int16x8"`, on 16-bit ones.
        pixel_mm: Side of a pixel; images are resampled to it before and from it afterwards.
        trained_height_width: Size of the training images; other sizes work where the shapes allow them.
        orientation: Of the images.
        slices: What to cut a scan into.
        resampling: What a client does to reach `pixel_mm`.
        kerasgan: Version that exported.
        recipe: Name of the recipe.
        data_fingerprint: Digest of the run's training and validation data.
        generator: File name of the generator in the run.
        generator_sha256: Its digest.
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
    pixel_mm: float
    trained_height_width: tuple[int, int]
    orientation: str = ORIENTATION
    slices: str = SLICES
    resampling: str = RESAMPLING
    kerasgan: str
    recipe: str
    data_fingerprint: str
    generator: str
    generator_sha256: str
