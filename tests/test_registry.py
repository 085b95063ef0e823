import re
import subprocess
import sys

import pytest

from kerasgan import registry
from kerasgan.errors import KerasganError


def test_names_are_the_public_module_files():
    names = registry.names("datasets")
    assert {"adni", "folder", "synthrad"} <= set(names)
    assert names == sorted(names)
    assert not any(name.startswith("_") for name in names)


@pytest.mark.parametrize("kind", sorted(registry.REQUIRED))
def test_every_module_defines_what_its_kind_must(kind):
    for name in registry.names(kind):
        assert registry.find(kind, name).__name__.endswith(name)


def test_listing_imports_no_tensorflow():
    code = (
        "import sys; from kerasgan import registry; registry.names('generators'); registry.names('losses');"
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_unknown_kind_is_refused():
    with pytest.raises(ValueError, match=r"one of datasets, recipes, .* got 'optimizers'"):
        registry.names("optimizers")


def test_misspelt_name_gets_the_nearest():
    with pytest.raises(KerasganError, match=r"No dataset is called 'adnii'. Did you mean adni\?"):
        registry.find("datasets", "adnii")


def test_name_like_nothing_gets_the_whole_list():
    with pytest.raises(KerasganError, match=r"'zzzzzz'. Choose from: adni, chaos, folder"):
        registry.find("datasets", "zzzzzz")


def test_private_modules_cannot_be_named():
    with pytest.raises(KerasganError, match="No dataset is called '_types'"):
        registry.find("datasets", "_types")


def test_file_outside_the_package(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "@dataclass\n"
        "class Options:\n"
        "    depth: int = 3\n"
        "def build(shape):\n"
        "    return Options()\n"
    )
    assert registry.find("generators", str(path)).build(None).depth == 3


def test_file_is_imported_once_until_it_is_edited(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    path = tmp_path / "mine.py"
    path.write_text("RECIPE = object()\n")
    first = registry.find("recipes", str(path))
    assert registry.find("recipes", str(path)) is first
    path.write_text("RECIPE = 'edited'\n")
    assert registry.find("recipes", str(path)).RECIPE == "edited"  # as many bytes, in the same second
    assert [entry.name for entry in tmp_path.iterdir()] == ["mine.py"]


def test_two_files_of_one_name_stay_apart(tmp_path):
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "recipe.py").write_text(f"RECIPE = {folder!r}\n")
    first, second = (registry.find("recipes", str(tmp_path / folder / "recipe.py")) for folder in ("first", "second"))
    assert (first.RECIPE, second.RECIPE) == ("first", "second")


def test_missing_file(tmp_path):
    path = tmp_path / "absent.py"
    with pytest.raises(KerasganError, match=rf"{re.escape(str(path))} is not a file; .* one of: adni"):
        registry.find("datasets", str(path))


def test_file_without_the_required_names(tmp_path):
    path = tmp_path / "half.py"
    path.write_text("CARD = None\n")
    with pytest.raises(KerasganError, match=r"half\.py does not define scan, which a module of datasets needs"):
        registry.find("datasets", str(path))


def test_recipe_file_with_an_unknown_field_is_one_line_with_the_nearest_name(tmp_path):
    path = tmp_path / "fast.py"
    path.write_text("from kerasgan.config import *\nRECIPE = Recipe(name='fast', schedule=Schedule(stepz=5))\n")
    wanted = r"fast\.py could not be imported \(no field is called 'stepz'\. Did you mean steps.*\?\); correct"
    with pytest.raises(KerasganError, match=wanted) as caught:
        registry.find("recipes", str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("text", "reason"), [("1 / 0", "ZeroDivisionError"), ("def :", "SyntaxError")])
def test_file_that_fails_on_import(tmp_path, text, reason):
    path = tmp_path / "broken.py"
    path.write_text(text)
    with pytest.raises(KerasganError, match=rf"broken\.py could not be imported \({reason}: .*\); correct the file"):
        registry.find("datasets", str(path))
    assert not any(name.startswith("kerasgan_file_broken") for name in sys.modules)
