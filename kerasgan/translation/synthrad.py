"""The entry point of a container for the SynthRAD challenges: every MR of the input becomes a synthetic CT.

The paths are those of grand-challenge.org: scans in `input/images/mri` (or `cbct`), results in
`output/images/synthetic-ct` under the same names, and a list of what was done in `output/results.json`. The body masks
in `input/images/body` are not needed: the model finds the body by the rule that it was trained with.

    python -m kerasgan.translation.synthrad MODEL [ROOT]

`ROOT` is the folder that holds `input` and `output`, by default `/`.

Reference:
    https://synthrad2025.grand-challenge.org
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kerasgan.errors import KerasganError
from kerasgan.files import replacing
from kerasgan.io import read_volume, write_image
from kerasgan.io.nifti import is_image
from kerasgan.scans.volume import Modality
from kerasgan.text import SYNTHETIC_IMAGE
from kerasgan.translation.translate import open_translator

SOURCES: dict[str, Modality] = {"mri": "MR", "cbct": "CT"}

logger = logging.getLogger(__name__)


def translate_input(model: str | Path, root: str | Path = "/") -> list[dict[str, Any]]:
    """Translates each scan of the challenge's input folder.

    Args:
        model: A run, a `.kgan` or a `.tflite` file, from MR to CT.
        root: Folder that holds `input` and `output`.

    Returns:
        What `results.json` lists: of each scan `inputs`, `outputs` and `error_messages`; a scan that fails has an error
        and no output, and the others are done.

    Raises:
        KerasganError: For an input without scans, or a model that cannot be used.
    """
    root = Path(root)
    images, made = root / "input" / "images", root / "output" / "images" / "synthetic-ct"
    found = [
        (path, modality)
        for name, modality in SOURCES.items()
        for path in (sorted((images / name).iterdir()) if (images / name).is_dir() else [])
        if is_image(path)
    ]
    if not found:
        folders = " or ".join(str(images / name) for name in SOURCES)
        raise KerasganError(f"There is no scan in {folders}. Put .mha files there.")
    translator = open_translator(model)
    region = root / "input" / "region.json"
    results = []
    for path, modality in found:
        output = made / path.name
        kind = "metaio_image" if path.suffix == ".mha" else "image"
        inputs = [{"type": kind, "filename": str(path)}]
        if region.is_file():
            inputs.append({"type": "String", "filename": str(region)})
        result: dict[str, Any] = {"inputs": inputs, "outputs": [], "error_messages": []}
        try:
            translation = translator.translate({"": read_volume(path, modality=modality)}, overwrite=True)
            write_image(translation.volume, output, SYNTHETIC_IMAGE)
            result["outputs"].append({"type": kind, "filename": str(output)})
        except (KerasganError, OSError) as error:
            logger.error("%s: %s", path.name, error)
            result["error_messages"].append(str(error))
        results.append(result)
    with replacing(root / "output" / "results.json") as temporary:
        temporary.write_text(json.dumps(results, indent=1))
    return results


def main(arguments: Sequence[str]) -> int:
    """Runs the container; 0 where every scan was translated."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        results = translate_input(*arguments)
    except (KerasganError, OSError) as error:
        logger.error("Error: %s", error)
        return 2
    return 1 if any(result["error_messages"] for result in results) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
