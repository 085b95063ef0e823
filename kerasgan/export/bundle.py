"""A run as a model of TensorFlow Serving: both generators, their contract, and the files that the server reads."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from kerasgan.errors import ExportError
from kerasgan.export.card import model_card
from kerasgan.export.contract_page import contract_page
from kerasgan.export.graph import Translator, write_signatures
from kerasgan.export.layout import (
    COMPARISON_FILE,
    CONTRACT_FILE,
    CONTRACT_PAGE,
    EXTRAS,
    MODEL_CARD,
    SUMS_FILE,
    WARMUP_FILE,
    free_version,
    versions,
)
from kerasgan.export.pixels import decode, encode
from kerasgan.export.served import compare_served
from kerasgan.export.server_files import write_server_files
from kerasgan.export.serving_contract import ServingContract, read_serving_contract, serving_contract
from kerasgan.export.signatures import serving_signatures
from kerasgan.export.slices import Samples, real_slices
from kerasgan.export.warmup import write_warmup
from kerasgan.files import staging_folder
from kerasgan.runs.run import Run, load_run
from kerasgan.scans.contract import DIRECTIONS, Direction
from kerasgan.text import valid_json


def export_serving(
    run_path: str | Path,
    output: str | Path,
    name: str | None = None,
    version: int | None = None,
    data_dir: Path | None = None,
) -> Path:
    """Exports both generators of a run between physical units, as TensorFlow Serving reads them.

    `output/<name>/<version>` appears as a whole, and only when its values on real slices were found to be those of the
    Keras generators. No version is ever overwritten; a server that watches takes the new one over.

    Args:
        run_path: The run directory.
        output: A folder of served models, new or written by this function.
        name: Of the model; None: the recipe's.
        version: A number above the last one; None: the next.
        data_dir: Where the run's dataset lies now; None: where it lay in training.

    Returns:
        `output/<name>/<version>`, which `tf.saved_model.load` takes.

    Raises:
        ExportError: Where the artifact differs from a Keras generator or cannot be written.
        RunError: Where the run has no weights.
    """
    run, output = load_run(run_path), Path(output)
    name = name or run.recipe.name
    described = serving_contract(run, name, free_version(output, name, version))
    _check_former(output / name, described)
    translators = {direction: _translator(run, direction) for direction in DIRECTIONS}
    samples = {direction: _stored(real_slices(run, direction, data_dir=data_dir)) for direction in DIRECTIONS}
    with staging_folder(output / name if output.exists() else output) as folder:
        model = folder / "model"
        generators = [translator.generator for translator in translators.values()]
        write_signatures(serving_signatures(translators, described), generators, model)
        comparisons = compare_served(model, samples, translators, described)
        _write_extras(model, run, described, valid_json({d: found.model_dump() for d, found in comparisons.items()}))
        (output / name).mkdir(parents=True, exist_ok=True)
        published = model.rename(output / name / str(described.version))
    write_server_files(output)
    return published


def _translator(run: Run, direction: Direction) -> Translator:
    return Translator(run.generator(direction), run.map(direction[0]), run.map(direction[1]))


def _stored(samples: Samples) -> Samples:
    """The slices as int16 pixels can hold them, so that all signatures are asked for the same."""
    scans = []
    for scan in samples.scans:
        pixels = encode(scan.images)
        scans.append(replace(scan, images=decode(pixels.content, pixels.rows, pixels.columns, pixels.encoding)))
    return replace(samples, scans=tuple(scans))


def _check_former(model: Path, described: ServingContract) -> None:
    """Makes sure that a server replaces a model by one of the same modalities."""
    if not versions(model):
        return
    last = read_serving_contract(model / str(versions(model)[-1]))
    former, wanted = _modalities(last), _modalities(described)
    if former != wanted:
        raise ExportError(
            f"{model} holds version {last.version} of a model between {former}; a server would replace it by this one "
            f"between {wanted}. Give another --name."
        )


def _modalities(described: ServingContract) -> str:
    one = described.directions["ab"]
    return f"{one.source.modality} (a) and {one.target.modality} (b)"


def _write_extras(model: Path, run: Run, described: ServingContract, comparisons: str) -> None:
    extras = model / EXTRAS
    extras.mkdir()
    write_warmup(extras / WARMUP_FILE, described)
    (extras / CONTRACT_FILE).write_text(described.model_dump_json(indent=2))
    (extras / CONTRACT_PAGE).write_text(contract_page(described))
    (extras / MODEL_CARD).write_text(model_card(run, described))
    (extras / COMPARISON_FILE).write_text(comparisons)
    (extras / SUMS_FILE).write_text(_sums(model))


def _sums(model: Path) -> str:
    """A line for each file below a folder, as `sha256sum` writes and checks them."""
    files = sorted(path for path in model.rglob("*") if path.is_file())
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(model)}\n" for path in files)
