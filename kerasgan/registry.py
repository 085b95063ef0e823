"""Datasets, recipes, networks, losses and experiments by name: the module's file name is the registry.

A new one is one new file in its sub-package and no other edit; a path to a `.py` file outside the package works too.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import pkgutil
import sys
from pathlib import Path
from types import ModuleType

from pydantic import ValidationError

from kerasgan.config import problems
from kerasgan.errors import KerasganError
from kerasgan.text import nearest

# What a module of each kind must define; anything more is the business of the code that uses it.
REQUIRED: dict[str, tuple[str, ...]] = {
    "datasets": ("CARD", "scan"),
    "recipes": ("RECIPE",),
    "generators": ("build",),
    "discriminators": ("build",),
    "segmenters": ("build",),
    "losses": (),
    "models": ("build",),
    "experiments": ("EXPERIMENT",),
}

# The sub-package of a kind, where it is not called like the kind.
PLACES = {
    "generators": "networks.generators",
    "discriminators": "networks.discriminators",
    "segmenters": "networks.segmenters",
    "experiments": "experiments.papers",
}


def names(kind: str) -> list[str]:
    """The built-in modules of a kind, sorted; nothing is imported, so listing them costs no TensorFlow.

    Args:
        kind: `"datasets"`, `"recipes"`, `"generators"`, `"discriminators"`, `"segmenters"`, `"losses"` or
            `"experiments"`.

    Raises:
        ValueError: For any other kind.
    """
    _check_kind(kind)
    folder = Path(__file__).parent.joinpath(*PLACES.get(kind, kind).split("."))
    return sorted(module.name for module in pkgutil.iter_modules([str(folder)]) if not module.name.startswith("_"))


def find(kind: str, name: str) -> ModuleType:
    """The module of that name, or the one in the `.py` file that `name` points to.

    Args:
        kind: As in `names`.
        name: A built-in name such as `"adni"`, or a path such as `"my/clinic.py"`.

    Raises:
        KerasganError: For an unknown name (the nearest names are suggested), a file that is missing or fails on import,
            or a module that lacks what its kind must define.
        ValueError: For an unknown kind.
    """
    _check_kind(kind)
    module = _import_file(kind, Path(name)) if name.endswith(".py") else _import_name(kind, name)
    missing = [attribute for attribute in REQUIRED[kind] if not hasattr(module, attribute)]
    if missing:
        raise KerasganError(
            f"{name} does not define {' and '.join(missing)}, which a module of {kind} needs; "
            f"see kerasgan/{PLACES.get(kind, kind).replace('.', '/')} for examples."
        )
    return module


def _check_kind(kind: str) -> None:
    if kind not in REQUIRED:
        raise ValueError(f"The kind must be one of {', '.join(REQUIRED)}; got {kind!r}.")


def _import_name(kind: str, name: str) -> ModuleType:
    known = names(kind)
    if name not in known:
        hint = f"{nearest(name, known)} A path to a .py file works as well."
        raise KerasganError(f"No {_singular(kind)} is called {name!r}. {hint}")
    return importlib.import_module(f"kerasgan.{PLACES.get(kind, kind)}.{name}")


def _singular(kind: str) -> str:
    return "loss" if kind == "losses" else kind.removesuffix("s")


def _import_file(kind: str, path: Path) -> ModuleType:
    if not path.is_file():
        raise KerasganError(f"{path} is not a file; give a path to an existing .py file, or one of: {_listed(kind)}.")
    # One module per file and content: classes keep their identity from call to call, and an edited file is read anew.
    digest = hashlib.sha256(str(path.resolve()).encode() + path.read_bytes()).hexdigest()[:8]
    module_name = f"kerasgan_file_{path.stem}_{digest}"
    if module_name in sys.modules:
        return sys.modules[module_name]
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None and spec.loader is not None  # holds for every .py file
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # before it runs: dataclasses and pydantic look their module up there
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[module_name]
        found = problems(error) if isinstance(error, ValidationError) else f"{type(error).__name__}: {error}"
        raise KerasganError(f"{path} could not be imported ({found}); correct the file.") from error
    return module


def _listed(kind: str) -> str:
    return ", ".join(names(kind))
