"""Packs what a translation needs of a run into one file; `kerasgan.runs.pack` says what is in it."""

from __future__ import annotations

import hashlib
import json
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from kerasgan.config import without_folders
from kerasgan.errors import ExportError
from kerasgan.export.card import licence_of_data, model_card
from kerasgan.networks.keras_settings import keras_defaults
from kerasgan.runs.checkpoints import save_network
from kerasgan.runs.contract import contract, expected_error_path
from kerasgan.runs.pack import CARD, SUFFIX, write_pack
from kerasgan.runs.run import load_run

if TYPE_CHECKING:
    import keras

# Licences of data by the words of its card, as the Hugging Face Hub names them; it calls all others "other".
HUB_LICENCES = {"Apache-2.0": "apache-2.0", "CC BY-NC 4.0": "cc-by-nc-4.0", "CC BY-SA 4.0": "cc-by-sa-4.0"}


@keras_defaults()
def pack(run_path: str | Path, output: str | Path) -> Path:
    """Writes a run as a pack, see `kerasgan.pack`.

    Raises:
        ExportError: For a name that does not end in `.kgan`, or a file that exists.
        RunError: If the run has no weights, or a network cannot be opened.
    """
    run, output = load_run(run_path), Path(output)
    if output.suffix != SUFFIX:
        raise ExportError(f"A pack is one file; got {output}. Give it a name that ends in {SUFFIX}.")
    if output.exists():
        raise ExportError(f"{output} exists and is not overwritten; remove it or choose another name.")
    facts = run.facts.model_copy(update={"dataset": without_folders(run.facts.dataset)})
    recipe = without_folders(run.recipe.model_dump(mode="json"))
    members = {
        "run.json": facts.model_dump_json(indent=2, exclude={"data_dir"}).encode(),
        "recipe.json": json.dumps(recipe, indent=2).encode(),
    }
    contracts = {}
    for way in facts.directions:
        name, network = f"{way}-best.keras", _content(run.generator(way), run.generator_path(way))
        own = {"generator": name, "generator_sha256": hashlib.sha256(network).hexdigest()}
        described = contract(run, way, (None, None, None), "float32").model_copy(update=own)
        if expected := described.expected_error:
            expected = expected.model_copy(update={"weights": described.generator_sha256})
            members[expected_error_path(run, way).name] = expected.model_dump_json(indent=2).encode()
        contracts[way] = described.model_copy(update={"expected_error": expected})
        members[f"contract-{way}.json"] = contracts[way].model_dump_json(indent=2).encode()
        members[f"generators/{name}"] = network
    if run.recipe.segmentation and "ab" in facts.directions:
        members["segmenters/b-best.keras"] = _content(run.segmenter(), run.segmenter_path())
    licence = licence_of_data(run)
    card = model_card(run, output.stem, contracts)
    members[CARD] = f"{_front_matter(output.stem, licence)}\n{card}{_use(output.name)}".encode()
    write_pack(output, members, licence)
    return output


def _content(network: keras.Model, path: Path) -> bytes:
    """The file of a network that opened; that of a former version is written anew, in layers of Keras's own."""
    with zipfile.ZipFile(path) as archive:
        is_portable = b'"kerasgan>' not in archive.read("config.json")
    if is_portable:
        return path.read_bytes()
    with tempfile.TemporaryDirectory(prefix="kerasgan-") as folder:
        save_network(network, Path(folder) / path.name)
        return (Path(folder) / path.name).read_bytes()


def _front_matter(name: str, licence: str) -> str:
    """What hubs read of a card."""
    known = HUB_LICENCES.get(licence)
    lines = [f"license: {known or 'other'}", *([] if known else [f"license_name: {json.dumps(licence)}"])]
    tags = [f"  - {tag}" for tag in ("medical-imaging", "mri", "ct", "image-to-image", "kerasgan")]
    head = [*lines, f"model_name: {json.dumps(name)}", "library_name: keras", "pipeline_tag: image-to-image", "tags:"]
    return "\n".join(["---", *head, *tags, "---", ""])


def _use(name: str) -> str:
    """The last part of the card: the command, and what a program that reads no packs may take."""
    return f"""
## Use

```
pip install 'kerasgan[cpu]'
kerasgan translate {name} INPUT OUTPUT
```

`{name}` is a zip: `generators/` has Keras models that `keras.models.load_model` opens without kerasgan, from [-1, 1] to
[-1, 1], and `contract-*.json` says how a scan gets there and back.
"""
