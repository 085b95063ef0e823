"""Every `>>>` example of a docstring is run, so that what the reference shows is what a reader gets."""

from __future__ import annotations

import ast
import doctest
import importlib
from pathlib import Path

import numpy as np
import pytest

import kerasgan

PACKAGE = Path(kerasgan.__file__).parent


def modules_with_examples() -> list[str]:
    """Names of the modules whose docstrings have examples; only their text is read, so that collecting imports none."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        docstrings = (ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, documented))
        if any(doctest.DocTestParser().get_examples(docstring) for docstring in docstrings):
            parts = ("kerasgan", *path.relative_to(PACKAGE).with_suffix("").parts)
            found.append(".".join(parts).removesuffix(".__init__"))
    return found


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    with np.printoptions(legacy=False):
        results = doctest.testmod(module, extraglobs={"np": np, "kerasgan": kerasgan}, optionflags=flags)
    assert results.attempted, f"{name} shows examples in docstrings that doctest does not find."
    assert not results.failed, f"{results.failed} of {results.attempted} examples of {name} fail; see the output above."
    assert not list(tmp_path.iterdir()), f"An example of {name} writes files."
