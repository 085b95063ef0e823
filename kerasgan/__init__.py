"""Unpaired MR and CT synthesis in Keras: from DICOM to Hounsfield units, and to the models that serve them.

Every name, class and submodule below is imported when it is first used: `import kerasgan` loads no TensorFlow.

    import kerasgan

    run = kerasgan.train("phantom", quick=True, out="runs/first")
    kerasgan.translate(run, "patient/T1", "patient/synthetic-ct")
    kerasgan.export_tflite(run, "model.tflite", size=(128, 128))
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kerasgan import config as config
    from kerasgan import datasets as datasets
    from kerasgan import io as io
    from kerasgan import losses as losses
    from kerasgan import metrics as metrics
    from kerasgan import models as models
    from kerasgan import serving as serving
    from kerasgan.api import challenge as challenge
    from kerasgan.api import compare as compare
    from kerasgan.api import distill as distill
    from kerasgan.api import evaluate as evaluate
    from kerasgan.api import export_keras as export_keras
    from kerasgan.api import export_onnx as export_onnx
    from kerasgan.api import export_serving as export_serving
    from kerasgan.api import export_slicer as export_slicer
    from kerasgan.api import export_tflite as export_tflite
    from kerasgan.api import inspect as inspect
    from kerasgan.api import list_runs as list_runs
    from kerasgan.api import pack as pack
    from kerasgan.api import reproduce as reproduce
    from kerasgan.api import score as score
    from kerasgan.api import train as train
    from kerasgan.api import translate as translate
    from kerasgan.api import translate_folder as translate_folder
    from kerasgan.api import write_phantom as write_phantom
    from kerasgan.errors import KerasganError as KerasganError
    from kerasgan.evaluation.comparison import RunComparison as RunComparison
    from kerasgan.evaluation.folds import CrossValidation as CrossValidation
    from kerasgan.evaluation.results import Evaluation as Evaluation
    from kerasgan.io import read_volume as read_volume
    from kerasgan.models.cyclegan import CycleGAN as CycleGAN
    from kerasgan.networks import discriminators as discriminators
    from kerasgan.networks import generators as generators
    from kerasgan.networks import layers as layers
    from kerasgan.registry import names as names
    from kerasgan.runs.run import Run as Run
    from kerasgan.runs.run import load_run as load_run
    from kerasgan.scans.volume import Volume as Volume
    from kerasgan.translation.translate import translate_volume as translate_volume

    __version__: str

# Public name -> the module or package that it comes from; tests/test_package.py compares this with the lines above.
_PLACES = {
    **dict.fromkeys(("config", "datasets", "io", "losses", "metrics", "models", "serving"), "kerasgan"),
    **dict.fromkeys(("discriminators", "generators", "layers"), "kerasgan.networks"),
    **dict.fromkeys(("challenge", "compare", "distill", "evaluate", "inspect", "list_runs", "pack"), "kerasgan.api"),
    **dict.fromkeys(
        ("export_keras", "export_onnx", "export_serving", "export_slicer", "export_tflite"), "kerasgan.api"
    ),
    **dict.fromkeys(("reproduce", "score", "train", "translate", "translate_folder", "write_phantom"), "kerasgan.api"),
    "CycleGAN": "kerasgan.models.cyclegan",
    "Evaluation": "kerasgan.evaluation.results",
    "KerasganError": "kerasgan.errors",
    "Run": "kerasgan.runs.run",
    "CrossValidation": "kerasgan.evaluation.folds",
    "RunComparison": "kerasgan.evaluation.comparison",
    "Volume": "kerasgan.scans.volume",
    "load_run": "kerasgan.runs.run",
    "names": "kerasgan.registry",
    "read_volume": "kerasgan.io",
    "translate_volume": "kerasgan.translation.translate",
}

__all__ = ["__version__", *_PLACES]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("kerasgan")
    elif name not in _PLACES:
        raise AttributeError(f"module 'kerasgan' has no attribute {name!r}")
    else:
        is_module = _PLACES[name] in ("kerasgan", "kerasgan.networks")
        try:
            module = importlib.import_module(f"{_PLACES[name]}.{name}" if is_module else _PLACES[name])
        except ModuleNotFoundError as error:
            from kerasgan.text import NO_TENSORFLOW, TENSORFLOW

            if error.name not in TENSORFLOW:
                raise
            raise ModuleNotFoundError(f"kerasgan.{name}: {NO_TENSORFLOW}", name=error.name) from error
        value = module if is_module else getattr(module, name)
    globals()[name] = value  # the next access does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
