"""Datasets, recipes, networks, losses, methods and experiments by name: the name of a module's file is its name.

A new one is one new file in its sub-package and no other edit; a path to a `.py` file outside the package works too.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import pkgutil
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

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

# The components of a recipe: the kind of each, and the functions that its place needs or, of losses, can use.
COMPONENTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "generator": ("generators", ("build",)),
    "discriminator": ("discriminators", ("build",)),
    "losses.adversarial": ("losses", ("discriminator", "generator", "penalty")),
    "losses.cycle": ("losses", ("loss",)),
    "losses.structure": ("losses", ("loss",)),
    "supervision.histogram": ("losses", ("loss",)),
    "segmentation.network": ("segmenters", ("build",)),
    "segmentation.loss": ("losses", ("segmentation",)),
    "distillation.generator": ("generators", ("build",)),
}

# The sub-package of a kind, where it is not called like the kind.
PLACES = {
    "generators": "networks.generators",
    "discriminators": "networks.discriminators",
    "segmenters": "networks.segmenters",
    "experiments": "experiments.papers",
}


def names(kind: str) -> list[str]:
    """Lists the built-in modules of a kind, sorted; nothing is imported, so this costs no TensorFlow.

    Args:
        kind: `"datasets"`, `"recipes"`, `"generators"`, `"discriminators"`, `"segmenters"`, `"losses"`, `"models"` or
            `"experiments"`.

    Raises:
        ValueError: For any other kind.

    Example:
        >>> names("discriminators")
        ['fcn', 'patchgan']
    """
    if kind not in REQUIRED:
        raise ValueError(f"The kind must be one of {', '.join(REQUIRED)}; got {kind!r}.")
    folder = _folder(kind)
    return sorted(module.name for module in pkgutil.iter_modules([str(folder)]) if not module.name.startswith("_"))


def find(kind: str, name: str) -> ModuleType:
    """Returns the module of that name, or the one in the `.py` file that `name` points to.

    Args:
        kind: As in `names`.
        name: A built-in name such as `"adni"`, or a path such as `"my/clinic.py"`.

    Raises:
        KerasganError: For an unknown name (the nearest names are suggested), a file that is missing or fails on import,
            or a module that lacks what its kind must define.
        ValueError: For an unknown kind.

    Example:
        >>> find("recipes", "hiasa2018").RECIPE.generator.name
        'resnet'
    """
    known, package = names(kind), PLACES.get(kind, kind)
    if name.endswith(".py"):
        module = _import_file(Path(name), known)
    elif name in known:
        module = importlib.import_module(f"kerasgan.{package}.{name}")
    else:
        singular = "loss" if kind == "losses" else kind.removesuffix("s")
        hint = f"{nearest(name, known)} A path to a .py file works as well."
        if kind == "datasets" and Path(name).exists():
            folder = name if Path(name).is_dir() else "FOLDER, after it was unpacked"
            hint = f"A folder is given with --data-dir; for scans of your own: --dataset folder --data-dir {folder}"
        raise KerasganError(f"No {singular} is called {name!r}. {hint}")
    missing = [attribute for attribute in REQUIRED[kind] if not hasattr(module, attribute)]
    if missing:
        raise KerasganError(
            f"{name} does not define {' and '.join(missing)}, which a module of {kind} needs; "
            f"see kerasgan/{package.replace('.', '/')} for examples."
        )
    return module


def path_of(kind: str, name: str) -> Path:
    """The file of a built-in module, to be read where importing it would cost TensorFlow.

    Example:
        >>> path_of("losses", "wasserstein").name
        'wasserstein.py'
    """
    return _folder(kind) / f"{name}.py"


def _folder(kind: str) -> Path:
    return Path(__file__).parent.joinpath(*PLACES.get(kind, kind).split("."))


class _Uncached(SourceFileLoader):
    """Compiles a file as it is now; Python's cache takes one of the same length and second for the same."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


def _import_file(path: Path, known: list[str]) -> ModuleType:
    if not path.is_file():
        raise KerasganError(
            f"{path} is not a file; give a path to an existing .py file, or one of: {', '.join(known)}."
        )
    # One module per file and content: classes keep their identity from call to call, and an edited file is read anew.
    digest = hashlib.sha256(str(path.resolve()).encode() + path.read_bytes()).hexdigest()[:8]
    module_name = f"kerasgan_file_{path.stem}_{digest}"
    if module_name in sys.modules:
        return sys.modules[module_name]
    spec = importlib.util.spec_from_file_location(module_name, path, loader=_Uncached(module_name, str(path)))
    assert spec is not None and spec.loader is not None  # holds where a loader is given
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # before it runs: dataclasses and pydantic look their module up there
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[module_name]
        found = problems(error) if isinstance(error, ValidationError) else f"{type(error).__name__}: {error}"
        raise KerasganError(f"{path} could not be imported ({found}); correct the file.") from error
    return module
