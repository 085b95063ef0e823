"""Exports a generator for 3D Slicer: for its extension ModalityConverter, and a module that calls the command line.

The texts `slicer_*.txt` beside this file become Slicer's Python files, which import what kerasgan never does.
"""

from __future__ import annotations

import html
import json
from importlib.metadata import requires, version
from pathlib import Path

from kerasgan.errors import ExportError
from kerasgan.export.model_file import export_onnx
from kerasgan.files import staging_folder
from kerasgan.runs.contract import contract
from kerasgan.runs.run import load_run
from kerasgan.scans.contract import Contract, Direction

FILES = Path(__file__).parent
PACKAGES = ("pydantic", "opencv-python-headless", "tqdm", "onnxruntime")
CONVERTER, MODULE = "ModalityConverter", "Kerasgan"  # folders of the export

_README = """# {name}

For [3D Slicer](https://www.slicer.org). {statement}

**The module {module}** translates the volume in view by the command line of kerasgan, whatever the volume's voxels and
orientation. Install kerasgan in a Python environment of its own, add the folder `{module}` here to Slicer's *Edit >
Application Settings > Modules > Additional module paths*, start Slicer again, and find it under *Image Synthesis*.

**The extension {converter}**, from Slicer 5.10 on: install it by the Extensions Manager, and enter in Slicer's
Python console

```
import runpy; runpy.run_path("THIS_FOLDER/{converter}/install.py", run_name="__main__")
```

It tells its models nothing about the size and place of voxels. This model so takes a volume as axial slices on cubes of
{pixel_mm:g} mm, and refuses it unless it then looks like the training scans{gate}. Resample a volume to that before
(*Resample Scalar Volume*, then *Orient Scalar Volume* to axial), or use the module.
"""


def export_slicer(
    run_path: str | Path,
    folder: str | Path,
    direction: Direction | None = None,
    data_dir: Path | None = None,
    trust: bool = False,
) -> Path:
    """Exports a generator for 3D Slicer, see `kerasgan.export_slicer`.

    Raises:
        ExportError: For a folder that exists, a model with several channels, and as `export_onnx`.
        RunError: If the run has no weights, or names code that is not trusted.
    """
    run, folder, direction = load_run(run_path), Path(folder), direction or "ab"
    if folder.exists():
        raise ExportError(f"{folder} exists and is not overwritten; remove it or choose another name.")
    described = contract(run, direction, (None, None, None), "float32")
    if described.channels:
        names = ", ".join(channel.name for channel in described.channels)
        raise ExportError(f"{CONVERTER} gives a model one volume; this run needs several at once: {names}.")
    source, target = described.source.modality, described.target.modality
    key = f"kerasgan_{source}_{target}_{described.generator_sha256[:8]}".lower()
    with staging_folder(folder) as staging:
        converter, module = (staging / folder.name / name for name in (CONVERTER, MODULE))
        converter.mkdir(parents=True)
        module.mkdir()
        export_onnx(run_path, converter / f"{key}.onnx", direction, data_dir, trust)
        for name, text in (("model", f"{key}.py"), ("install", "install.py")):
            code = (FILES / f"slicer_{name}.txt").read_text(encoding="utf-8")
            code = code.replace("@KEY@", key).replace("@PACKAGES@", _packages())
            code = code.replace("@KERASGAN@", f"kerasgan=={version('kerasgan')}")
            (converter / text).write_text(code, encoding="utf-8")
        (module / f"{MODULE}.py").write_text(
            (FILES / "slicer_module.txt").read_text(encoding="utf-8"), encoding="utf-8"
        )
        name = f"{source} to {target}{f', {described.anatomy}' if described.anatomy else ''}"
        entry = {
            "url": "",
            "display_name": f"[kerasgan] {name}",
            "description": _description(described),
            "module_name": key,
        }
        (converter / "metadata.json").write_text(json.dumps({key: entry}, indent=4), encoding="utf-8")
        words = {"name": name, "statement": described.statement, "module": MODULE, "converter": CONVERTER}
        gate = "" if described.gate else "; it has no input gate to tell, so it refuses all"
        (staging / folder.name / "README.md").write_text(
            _README.format(**words, pixel_mm=described.pixel_mm, gate=gate)
        )
        (staging / folder.name).rename(folder)
    return folder


def _packages() -> str:
    """What `install.py` installs beside kerasgan, as Python, in the versions that kerasgan itself asks for."""
    asked = {requirement.partition(";")[0].strip() for requirement in requires("kerasgan") or ()}
    return ", ".join(json.dumps(one) for name in PACKAGES for one in asked if one.partition(">=")[0] == name)


def _description(described: Contract) -> str:
    """What the extension shows of the model, as HTML."""
    parts = {
        "Input": f"{described.source}, axial slices on cubes of {described.pixel_mm:g} mm; resample to that first",
        "Preprocess": "by kerasgan, in the model",
        "Output": f"{described.target}, on the grid of the input",
        "Note": described.statement,
    }
    return "<br>".join(f"<b>{name}</b>: {html.escape(text)}" for name, text in parts.items())
