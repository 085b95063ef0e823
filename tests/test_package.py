"""What is installed: one package, typed, whose names are imported when they are first used."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import tomllib
from importlib.metadata import distribution, version
from pathlib import Path

import pytest
import yaml

import kerasgan

CHECKOUT = Path(__file__).parents[1]


def test_version_is_the_same_everywhere():
    assert kerasgan.__version__ == version("kerasgan")
    for file, pattern in (
        ("pyproject.toml", r'^version = "(.+)"$'),
        ("CHANGELOG.md", r"^## ([\d.]+) - "),  # the first: what comes after a release has another number
    ):
        found = re.search(pattern, (CHECKOUT / file).read_text(), re.MULTILINE)
        assert found and found[1] == version("kerasgan"), file


def test_the_conda_recipe_asks_for_the_same_versions():
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    recipe = yaml.safe_load((CHECKOUT / "conda" / "recipe.yaml").read_text())
    called = {
        **{"SimpleITK": "simpleitk", "opencv-python-headless": "py-opencv", "flatbuffers": "python-flatbuffers"},
        **{"matplotlib": "matplotlib-base", "tensorflow-cpu": "tensorflow"},
    }
    wanted = {"python": project["requires-python"]}
    for one in (*project["dependencies"], *project["optional-dependencies"]["cpu"]):
        name, bound = re.match(r"([\w-]+)(>=[\d.]+)", one).groups()
        wanted[called.get(name, name)] = bound
    wanted.pop("ai-edge-litert")  # not on conda-forge
    assert dict(one.split() for one in recipe["requirements"]["run"]) == wanted
    assert recipe["context"]["version"] == project["version"]
    assert recipe["requirements"]["host"][0] == f"python {project['requires-python']}"


@pytest.mark.parametrize("name", sorted(kerasgan.__all__))
def test_every_public_name_is_there(name):
    assert getattr(kerasgan, name) is not None
    assert name in dir(kerasgan)


def test_all_is_what_type_checkers_see():
    assert set(kerasgan._PLACES) == set(kerasgan.__all__) - {"__version__"}
    source = Path(kerasgan.__file__).read_text()
    checked = source.split("if TYPE_CHECKING:")[1].split("__version__: str")[0]
    shown = dict(re.findall(r"^    from \S+ import (\w+) as (\w+)$", checked, re.MULTILINE))
    assert shown == {name: name for name in kerasgan._PLACES}
    for name, module in kerasgan._PLACES.items():
        assert f"    from {module} import {name} as {name}\n" in checked, name
        assert getattr(importlib.import_module(module), name) is getattr(kerasgan, name)


@pytest.mark.parametrize("use", ["import kerasgan; kerasgan.losses", "from kerasgan import losses, layers, generators"])
def test_submodules_need_no_import_of_their_own(use):
    subprocess.run([sys.executable, "-c", use], check=True, capture_output=True)


def test_without_tensorflow_it_is_said_what_to_install(tmp_path):
    """In Python and on the command line; what is None in `sys.modules` cannot be imported."""
    program = """
import sys
sys.modules.update(tensorflow=None, keras=None)
import kerasgan
from kerasgan.cli import main
for use in (lambda: kerasgan.losses, lambda: kerasgan.CycleGAN, lambda: kerasgan.export_tflite("run", "m.tflite")):
    try:
        use()
    except (ImportError, kerasgan.KerasganError) as error:
        print(error)
try:
    main(["train", "--dataset", "phantom", "--out", "run"])
except SystemExit as end:
    print(end.code)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    said = "This needs TensorFlow, which is not installed: pip install 'kerasgan[cpu]', or 'kerasgan[gpu]'"
    *errors, code = done.stdout.splitlines()
    assert len(errors) == 3 and all(said in error for error in errors) and errors[0].startswith("kerasgan.losses: ")
    assert code == "2" and f"Error: {said}" in done.stderr


def test_description_leads_to_no_file():
    """A package index shows it without the files of the checkout."""
    text = str(distribution("kerasgan").metadata.get_payload() or distribution("kerasgan").metadata["Description"])
    targets = re.findall(r"\]\(([^)]+)\)", text)
    assert targets and all(target.startswith("https://") for target in targets), targets
    assert text.startswith("# kerasgan\n") and "`CHANGELOG.md`" in text


def test_unknown_name():
    with pytest.raises(AttributeError, match="module 'kerasgan' has no attribute 'generate'"):
        kerasgan.generate  # noqa: B018


def test_is_typed():
    assert (Path(kerasgan.__file__).parent / "py.typed").is_file()


@pytest.fixture
def files() -> list[str]:
    """What the wheel brought."""
    found = [str(file) for file in distribution("kerasgan").files or ()]
    if any("__editable__" in file for file in found):
        pytest.skip("an editable install has no wheel contents; .ci/run and `make test` check them")
    return found


def test_wheel_holds_the_package_and_nothing_else(files):
    tops = {file.split("/")[0] for file in files if not file.startswith("..")}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"kerasgan"}
    assert {"kerasgan/datasets/adni.py", "kerasgan/translation/demo.tflite"} <= set(files)


def test_wheel_holds_the_files_of_the_page(files):
    folder = "kerasgan/export/web/"
    packed = {file.removeprefix(folder) for file in files if file.startswith(folder) and "__pycache__" not in file}
    assert packed == {path.name for path in (CHECKOUT / "export/page").iterdir() if path.suffix != ".md"}
    assert {"index.html", "style.css", "app.js", "package.json", "package-lock.json"} <= packed


def test_licence_is_installed(files):
    [licence] = [file for file in files if file.endswith("/LICENSE")]
    assert "Apache License" in str(distribution("kerasgan").read_text(licence.split("/", 1)[1]))
