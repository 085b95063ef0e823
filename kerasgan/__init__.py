"""Unpaired MR and CT synthesis in Keras: from DICOM to Hounsfield units, and to the artifacts that serve them.

Every name below is imported when it is first used: `import kerasgan` costs next to nothing and loads no TensorFlow.

    import kerasgan

    run = kerasgan.train("phantom", quick=True, out="runs/first")
    kerasgan.translate(run.path, "patient/T1", "patient/synthetic-ct")
    kerasgan.export_tflite(run.path, "model.tflite", size=(128, 128))
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kerasgan.api import distill as distill
    from kerasgan.api import train as train
    from kerasgan.datasets import find_series as inspect
    from kerasgan.errors import KerasganError as KerasganError
    from kerasgan.evaluation.compare import compare as compare
    from kerasgan.evaluation.comparison import RunComparison as RunComparison
    from kerasgan.evaluation.evaluate import evaluate as evaluate
    from kerasgan.evaluation.results import Evaluation as Evaluation
    from kerasgan.experiments import reproduce as reproduce
    from kerasgan.export import export_serving as export_serving
    from kerasgan.export import export_tflite as export_tflite
    from kerasgan.io import read_volume as read_volume
    from kerasgan.registry import names as names
    from kerasgan.runs.run import Run as Run
    from kerasgan.runs.run import load_run as load_run
    from kerasgan.scans.volume import Volume as Volume
    from kerasgan.translation.translate import translate as translate
    from kerasgan.translation.translate import translate_volume as translate_volume

    __version__: str

# Public name -> (module, name there).
_PLACES = {
    "Evaluation": ("kerasgan.evaluation.results", "Evaluation"),
    "KerasganError": ("kerasgan.errors", "KerasganError"),
    "Run": ("kerasgan.runs.run", "Run"),
    "RunComparison": ("kerasgan.evaluation.comparison", "RunComparison"),
    "Volume": ("kerasgan.scans.volume", "Volume"),
    "compare": ("kerasgan.evaluation.compare", "compare"),
    "distill": ("kerasgan.api", "distill"),
    "evaluate": ("kerasgan.evaluation.evaluate", "evaluate"),
    "export_serving": ("kerasgan.export", "export_serving"),
    "export_tflite": ("kerasgan.export", "export_tflite"),
    "inspect": ("kerasgan.datasets", "find_series"),
    "load_run": ("kerasgan.runs.run", "load_run"),
    "names": ("kerasgan.registry", "names"),
    "read_volume": ("kerasgan.io", "read_volume"),
    "reproduce": ("kerasgan.experiments", "reproduce"),
    "train": ("kerasgan.api", "train"),
    "translate": ("kerasgan.translation.translate", "translate"),
    "translate_volume": ("kerasgan.translation.translate", "translate_volume"),
}

__all__ = [
    "Evaluation",
    "KerasganError",
    "Run",
    "RunComparison",
    "Volume",
    "__version__",
    "compare",
    "distill",
    "evaluate",
    "export_serving",
    "export_tflite",
    "inspect",
    "load_run",
    "names",
    "read_volume",
    "reproduce",
    "train",
    "translate",
    "translate_volume",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("kerasgan")
    elif name in _PLACES:
        module, attribute = _PLACES[name]
        value = getattr(importlib.import_module(module), attribute)
    else:
        raise AttributeError(f"module 'kerasgan' has no attribute {name!r}")
    globals()[name] = value  # the next access does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
