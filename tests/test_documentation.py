"""What the README and CONTRIBUTING show is run, or held against the package."""

from __future__ import annotations

import ast
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
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "datasets/README.md",
    "export/README.md",
    "docs/serving.md",
    "docs/deployment.md",
]


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a page that are marked with a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", (CHECKOUT / page).read_text(), re.MULTILINE | re.DOTALL)


def shown_commands() -> list[tuple[str, str]]:
    """Every `kerasgan ...` and `python train.py ...` line of the pages, without its comment."""
    found = []
    for page in PAGES:
        for line in "\n".join(blocks(page, "")).splitlines():
            line = line.split(" #")[0].replace("python train.py", "kerasgan train").strip()
            if line.startswith("kerasgan "):
                found.append((page, line))
    return found


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
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert "Dataset clinic.py in heads: Head MR and CT of our clinic" in result.stdout
    assert re.search(r"Would write runs/clinic-kerasgan2026-\d{8}-\d{6}$", result.stdout.rstrip())


@pytest.mark.parametrize(("page", "line"), shown_commands())
def test_shown_commands_exist(page, line):
    _, command, *words = line.split()
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0, f"{page} shows {line}"
    for option in (word for word in words if word.startswith("--")):
        assert re.search(rf"^  {option}\b", result.stdout, re.MULTILINE), f"{page}: {line}: no option {option}"
    for setting in re.findall(r"--set (\S+)", line):
        from kerasgan.training.request import Request

        Request(overrides=(setting,)).build_recipe()


def test_shown_python_exists():
    for page in PAGES:
        for block in blocks(page, "python"):
            for node in ast.walk(ast.parse(block)):
                if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "kerasgan":
                    assert hasattr(kerasgan, node.attr), f"{page} shows kerasgan.{node.attr}"


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    text = (CHECKOUT / page).read_text()
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        if not target.startswith("http"):
            assert (CHECKOUT / page).parent.joinpath(target).exists(), f"{page} links to {target}"
