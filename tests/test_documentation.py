"""What the README and the other pages show is run, or compared with the package."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import kerasgan
from kerasgan import datasets, io
from kerasgan.cli import app
from kerasgan.scans.volume import Volume

CHECKOUT = Path(__file__).parents[1]
PAGES = sorted(
    str(path.relative_to(CHECKOUT))
    for pattern in ("*.md", "docs/**/*.md", "docs/**/*.ipynb", "datasets/*.md", "benchmarks/*.md", "export/**/*.md")
    for path in CHECKOUT.glob(pattern)
    if "node_modules" not in path.parts
)


def text_of(page: Path) -> str:
    """The text of a page; of a notebook what it says between its code."""
    text = page.read_text()
    if page.suffix != ".ipynb":
        return text
    return "\n\n".join("".join(one["source"]) for one in json.loads(text)["cells"] if one["cell_type"] == "markdown")


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a page that are marked with a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text_of(CHECKOUT / page), re.MULTILINE | re.DOTALL)


def shown_commands() -> list[tuple[str, str]]:
    """Every `kerasgan ...` and `python train.py ...` of the pages, in blocks without a language and in code spans."""
    found = []
    for page in PAGES:
        text = text_of(CHECKOUT / page)
        spans = re.findall(
            r"`((?:kerasgan|python train\.py) [^`]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
        )
        for line in "\n".join([*blocks(page, ""), *blocks(page, "(?:bash|sh)"), *spans]).splitlines():
            for command in line.split(" #")[0].split("&&"):
                command = command.replace("python train.py", "kerasgan train").strip()
                if command.startswith("kerasgan ") and not command.startswith(("kerasgan ...", "kerasgan -")):
                    found.append((page, command))
    return sorted(set(found))


def anchors(page: Path) -> set[str]:
    """The fragments that lead to a page's headings, as GitHub and the documentation site make them."""
    text = re.sub(r"^```.*?^```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE)
    plain = (re.sub(r"\[(.+?)\]\(.+?\)", r"\1", title).lower() for title in titles)
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in plain}


@pytest.fixture
def clinic(tmp_path) -> Path:
    """`clinic.py` as CONTRIBUTING prints it, and a folder `heads` as it describes it."""
    text = (CHECKOUT / "CONTRIBUTING.md").read_text()
    example = re.search(r"<!-- example: clinic.py -->\n```python\n(.*?)```", text, re.DOTALL)
    assert example
    (tmp_path / "clinic.py").write_text(example[1])
    for number in range(6):
        folder = tmp_path / "heads" / f"patient{number}"
        folder.mkdir(parents=True)
        noise = np.random.default_rng(number).normal(0, 30, (5, 40, 40))
        ball = np.hypot(*np.mgrid[-1:1:40j, -1:1:40j]) < 0.8
        for name, modality, air, tissue in (("t1", "MR", 0, 300), ("ct", "CT", -1000, 40)):
            array = np.where(ball, tissue + noise, air)
            io.write_image(Volume(array, (6.0, 6.0, 4.0), modality=modality), folder / f"{name}.nii.gz")
    return tmp_path / "clinic.py"


def test_dataset_of_contributing_loads(clinic):
    card, split = datasets.load(str(clinic), clinic.parent / "heads")
    assert card.name == "clinic" and card.modalities == ("MR", "CT")
    assert len(split.test.pairs()) == len(split.validation.pairs()) == 1
    assert len(split.train.a) == len(split.train.b) == 2
    assert split.train.a[0].load().shape == (5, 40, 40)
    assert "patient0" not in str(split.keys())


def test_dataset_of_contributing_is_ready_to_train(clinic, monkeypatch):
    monkeypatch.chdir(clinic.parent)
    words = ["train", "--dataset", "clinic.py", "--data-dir", "heads", "--dry-run"]
    small = ("data.size=32", "generator.filters=4", "generator.blocks=1", "discriminator.filters=4")
    result = CliRunner().invoke(app, [*words, *(word for setting in small for word in ("--set", setting))])
    assert result.exit_code == 0, result.output
    assert "Dataset clinic.py in heads: Head MR and CT of our clinic" in result.stdout
    assert re.search(r"^Would write runs/clinic-kerasgan2026-\d{8}-\d{6}$", result.stdout, re.MULTILINE)


@pytest.fixture(scope="module")
def options_of():
    """The options of a command, from its help."""
    found: dict[str, set[str]] = {}

    def options(command: str) -> set[str]:
        if command not in found:
            result = CliRunner().invoke(app, [command, "--help"])
            assert result.exit_code == 0, f"{command} is not a command of kerasgan."
            found[command] = set(re.findall(r"^  (--[\w-]+)", result.stdout, re.MULTILINE)) | {"--debug"}
        return found[command]

    return options


@pytest.mark.parametrize("page", sorted({page for page, _ in shown_commands()}))
def test_shown_commands_exist(page, options_of):
    from kerasgan.training.request import Request

    for shown_on, line in shown_commands():
        if shown_on != page:
            continue
        _, command, *words = line.split()
        for option in (word.strip("[].,;").split("=")[0] for word in words if word.startswith(("--", "[--"))):
            assert option in options_of(command), f"{page}: {line}: no option {option}"
        settings = [setting.strip("'") for setting in re.findall(r"--set (\S+)", line)]  # quoted for the shell
        Request(overrides=tuple(one for one in settings if not one.endswith(("=...", "VALUE")))).build_recipe()


def test_shown_python_exists():
    for page in PAGES:
        for block in blocks(page, "python"):
            for node in ast.walk(ast.parse(block)):
                if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "kerasgan":
                    full = f"kerasgan.{node.attr}"
                    assert hasattr(kerasgan, node.attr) or importlib.util.find_spec(full), f"{page} shows {full}"
                if isinstance(node, ast.ImportFrom) and str(node.module).startswith("kerasgan"):
                    module = importlib.import_module(str(node.module))
                    missing = [alias.name for alias in node.names if not hasattr(module, alias.name)]
                    assert not missing, f"{page} imports {missing} from {node.module}"


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    here = CHECKOUT / page
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"^```.*?^```$", "", text_of(here), flags=re.M | re.S)):
        if target.startswith(("http:", "https:", "mailto:")):
            continue
        path, _, fragment = target.partition("#")
        file = here.parent / path if path else here
        assert file.exists(), f"{page} links to {target}"
        assert not fragment or fragment in anchors(file), f"{page} links to {target}: no such heading"


def test_files_that_the_architecture_names_exist():
    """Of those that it calls new, a contributor would add, none does."""
    text = (CHECKOUT / "docs/architecture.md").read_text()
    named = re.findall(r"([Nn]ew: )?`([a-z_]+(?:/[a-z_0-9]+)*\.(?:py|toml|json))`", text)
    assert len(named) > 60 and any(new for new, _ in named)
    for new, path in named:
        exists = any((root / path).is_file() for root in (CHECKOUT / "kerasgan", CHECKOUT))
        assert exists != bool(new), f"docs/architecture.md names {new}{path}"


def test_each_example_of_the_architecture_touches_at_most_six_files():
    examples = (CHECKOUT / "docs/architecture.md").read_text().split("### Three examples")[1].split("\n**")[1:]
    assert len(examples) == 3
    for example in examples:
        items = re.findall(r"^(\d)\. (?:New: )?`[a-z_/0-9]+\.(?:py|toml|json)`", example, re.MULTILINE)
        assert items == [str(number) for number in range(1, len(items) + 1)] and 2 <= len(items) <= 6, example
