"""What a client of a served model has to know: both directions of a run, as JSON and as a page to read."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from kerasgan.errors import ExportError
from kerasgan.export.layout import CONTRACT_FILE, EXTRAS
from kerasgan.runs.contract import contract, image_tensor
from kerasgan.runs.run import Run
from kerasgan.scans import names
from kerasgan.scans.contract import DIRECTIONS, Contract, Direction, Encoding, Frozen, Shape, Side, Signature, Tensor

ANY: Shape = (None, None, None)
LARGEST_STORED = 2**15 - 1
RAW = "raw little-endian int16 pixels, row by row"


class ServingContract(Frozen):
    """The content of `contract.json` of a served model, which its signature `contract` gives, too.

    Attributes:
        name: Of the model.
        version: Of the model.
        directions: What it does in each direction; signatures by their full names.
    """

    name: str
    version: int
    directions: dict[Direction, Contract]


def serving_contract(run: Run, name: str, version: int) -> ServingContract:
    """The contract of both generators of a run in one model.

    Args:
        run: Where they come from.
        name: Of the model.
        version: Of the model.
    """
    directions = {direction: _directed_contract(run, direction) for direction in DIRECTIONS}
    return ServingContract(name=name, version=version, directions=directions)


def read_serving_contract(version_folder: Path) -> ServingContract:
    """The contract of a model in the layout that `kerasgan export --format serving` writes.

    Raises:
        ExportError: Where it is missing or does not hold.
    """
    path = version_folder / EXTRAS / CONTRACT_FILE
    if not path.is_file():
        raise ExportError(
            f"{version_folder} is no model that kerasgan exported (it has no {EXTRAS}/{CONTRACT_FILE}); "
            "write one with: kerasgan export RUN DIR --format serving"
        )
    try:
        return ServingContract.model_validate_json(path.read_text())
    except ValidationError as error:
        raise ExportError(f"{path} does not hold: {error.errors()[0]['msg']}; export the run again.") from error


def _directed_contract(run: Run, direction: Direction) -> Contract:
    plain = contract(run, direction, ANY, "float32")
    scaling = plain.mr_scaling and plain.mr_scaling.model_copy(update={"rescaling": None})  # windows take its place
    found = {names.directed(name, direction): signature for name, signature in _signatures(plain).items()}
    changes = {"signatures": found, "encoding": _encoding(plain.target), "mr_scaling": scaling}
    return plain.model_copy(update=changes)


def _encoding(target: Side) -> Encoding:
    """Whole HU as in a CT file; the window of an MR, whose unit may be small, in steps of 1/32,767 of it."""
    low, high = target.window
    if target.unit == "HU":
        return Encoding(slope=1.0, intercept=0.0)
    return Encoding(slope=(high - low) / LARGEST_STORED, intercept=low)


def _signatures(described: Contract) -> dict[str, Signature]:
    """By their names for direction ab."""
    default, is_mr = described.signatures[names.DEFAULT], described.mr_scaling is not None
    derives = described.mr_scaling is not None and described.mr_scaling.percentiles is not None
    if derives:
        whole = image_tensor(ANY, "MR in any unit, slices of one scan: their range is found from all of them")
        default = Signature(inputs={names.IMAGE: whole}, outputs=default.outputs, batch="volume")
    stored = {names.SYNTHETIC_BYTES: _listed("string", f"{described.target.modality} as {RAW}; see encoding")}
    pair = {names.WINDOW: Tensor(shape=(None, 2), axes=("batch", "low, high"), meaning="each image's, low < high")}
    own, raw = {names.IMAGE: image_tensor(ANY, "MR in the unit of its window")}, _raw_inputs()
    found = {names.DEFAULT: default, names.BYTES: Signature(inputs=raw, outputs=stored, batch=default.batch)}
    if is_mr:
        found[names.WINDOWED] = Signature(inputs=own | pair, outputs=default.outputs)
        found[names.BYTES_WINDOWED] = Signature(inputs=raw | pair, outputs=stored)
    return found


def _raw_inputs() -> dict[str, Tensor]:
    return {
        names.PIXELS_BYTES: _listed("string", RAW),
        names.ROWS: _listed("int32", "the same for all images of a batch"),
        names.COLUMNS: _listed("int32", "the same for all images of a batch"),
        names.SLOPE: _listed("float32", "value = stored * slope + intercept"),
        names.INTERCEPT: _listed("float32", "value = stored * slope + intercept"),
    }


def contract_signature() -> Signature:
    """The signature `contract`, for clients that know nothing but the server."""
    index, content = _listed("int32", "any numbers"), _listed("string", "this contract as JSON, once for each index")
    return Signature(inputs={names.INDEX: index}, outputs={names.CONTRACT: content})


def _listed(dtype: str, meaning: str) -> Tensor:
    return Tensor.model_validate({"dtype": dtype, "shape": (None,), "axes": ("batch",), "meaning": meaning})
