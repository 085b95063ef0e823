"""The contract of a served model: what its signatures take and give in each direction of a run."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from kerasgan.errors import ExportError
from kerasgan.export.layout import CONTRACT_FILE, EXTRAS
from kerasgan.files import read_record
from kerasgan.runs.contract import contract, image_tensor
from kerasgan.runs.run import Run
from kerasgan.scans import names
from kerasgan.scans.contract import Contract, Direction, Encoding, Frozen, Shape, Signature, Tensor

ANY: Shape = (None, None, None)
LARGEST_STORED = 2**15 - 1
RAW = "raw little-endian int16 pixels, row by row"


class ServingContract(Frozen):
    """The content of `contract.json` of a served model, which its signature `contract` gives, too.

    Attributes:
        name: Name of the model.
        version: Version of the model.
        directions: The contract of each direction of the run; signatures have their full names.
    """

    name: str
    version: int
    directions: dict[Direction, Contract] = Field(min_length=1)

    @property
    def either(self) -> Contract:
        """The contract of one direction, for what all have in common."""
        return next(iter(self.directions.values()))


def serving_contract(run: Run, name: str, version: int) -> ServingContract:
    """Describes the generators of a run as one served model.

    Args:
        run: The run that the generators come from.
        name: Name of the model.
        version: Version of the model.
    """
    directions = {}
    for direction in run.facts.directions:
        plain = contract(run, direction, ANY, "float32")
        scaling = plain.mr_scaling and plain.mr_scaling.model_copy(update={"rescaling": None})  # a window replaces it
        low, high = plain.target.window
        # Whole HU as in a CT file; the window of an MR, whose unit may be small, in steps of 1/32,767 of it.
        encoding = Encoding(slope=1.0, intercept=0.0)
        if plain.target.unit != "HU":
            encoding = Encoding(slope=(high - low) / LARGEST_STORED, intercept=low)
        signatures = {names.directed(name, direction): found for name, found in _signatures(plain).items()}
        changes = {"signatures": signatures, "encoding": encoding, "mr_scaling": scaling}
        directions[direction] = plain.model_copy(update=changes)
    return ServingContract(name=name, version=version, directions=directions)


def _signatures(plain: Contract) -> dict[str, Signature]:
    """The signatures of one direction, by their names for direction ab."""
    default, scaling, channels = plain.signatures[names.DEFAULT], plain.mr_scaling, len(plain.source_windows)
    named = f", channels {', '.join(channel.name for channel in plain.channels)}" if plain.channels else ""
    if scaling and scaling.percentiles:
        meaning = f"MR{named} in any unit, slices of one scan: their range is found from all of them"
        scan = image_tensor(ANY, meaning, channels)
        default = Signature(inputs={names.IMAGE: scan}, outputs=default.outputs, batch="volume")
    raw = {
        names.PIXELS_BYTES: _listed("string", f"{RAW}, the channels of each pixel side by side" if named else RAW),
        names.ROWS: _listed("int32", "the same for all images of a batch"),
        names.COLUMNS: _listed("int32", "the same for all images of a batch"),
        names.SLOPE: _of_channels(channels, (), "value = stored * slope + intercept"),
        names.INTERCEPT: _of_channels(channels, (), "value = stored * slope + intercept"),
    }
    stored = {names.SYNTHETIC_BYTES: _listed("string", f"{plain.target.modality} as {RAW}; see encoding")}
    found = {names.DEFAULT: default, names.BYTES: Signature(inputs=raw, outputs=stored, batch=default.batch)}
    if scaling:
        image = {names.IMAGE: image_tensor(ANY, f"MR{named} in the unit of its window", channels)}
        window = {names.WINDOW: _of_channels(channels, ("low, high",), "each image's, low < high")}
        found[names.WINDOWED] = Signature(inputs=image | window, outputs=default.outputs)
        found[names.BYTES_WINDOWED] = Signature(inputs=raw | window, outputs=stored)
    return found


def contract_signature() -> Signature:
    """Describes the served signature `contract`, which returns the contract as JSON, once for each number in `index`.

    A client that has only the server's address calls it.

    Example:
        >>> contract_signature().inputs["index"].dtype
        'int32'
    """
    index, content = _listed("int32", "any numbers"), _listed("string", "this contract as JSON, once for each index")
    return Signature(inputs={names.INDEX: index}, outputs={names.CONTRACT: content})


def _listed(dtype: str, meaning: str) -> Tensor:
    return Tensor.model_validate({"dtype": dtype, "shape": (None,), "axes": ("batch",), "meaning": meaning})


def _of_channels(channels: int, axes: tuple[str, ...], meaning: str) -> Tensor:
    """Numbers of each image, and of each channel where there are several: `[batch, channels, 2]`, say."""
    named = ("batch", *(("channel",) if channels > 1 else ()), *axes)
    lengths = {"batch": None, "channel": channels}
    return Tensor(shape=tuple(lengths.get(axis, 2) for axis in named), axes=named, meaning=meaning)


def read_serving_contract(version_folder: Path) -> ServingContract:
    """Reads the contract of a model that `kerasgan export --format serving` wrote.

    Args:
        version_folder: The folder of one version, such as `models/mr2ct/1`.

    Raises:
        ExportError: If the contract is missing or invalid.
    """
    path = version_folder / EXTRAS / CONTRACT_FILE
    if not path.is_file():
        raise ExportError(
            f"{version_folder} is no model that kerasgan exported (it has no {EXTRAS}/{CONTRACT_FILE}); "
            "write one with: kerasgan export RUN DIR --format serving"
        )
    return read_record(path, ServingContract.model_validate_json, "Export the run again.", ExportError)
