"""The notebooks run from the first cell to the last, and the outputs kept in them are of the kinds that come now."""

import base64
import runpy
from pathlib import Path

import cv2
import nbformat
import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def outputs(book):
    return [[(one.output_type, *sorted(one.get("data", {}))) for one in cell.get("outputs", [])] for cell in book.cells]


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_cell_runs_and_shows_what_is_kept(path, tmp_path):
    executed = runpy.run_path(str(FOLDER / "execute.py"))["executed"](path, tmp_path)
    assert outputs(executed) == outputs(nbformat.read(path, as_version=4)), f"Run: make notebooks, and look at {path}."


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_kept_is_small_and_names_no_machine(path):
    text = path.read_text()
    assert len(text) < 400_000 and not any(place in text for place in ("/home/", "/tmp/", "site-packages"))
    shown = [one for cell in nbformat.reads(text, 4).cells for one in cell.get("outputs", [])]
    pictures = [one.data["image/png"] for one in shown if "image/png" in one.get("data", {})]
    assert pictures
    for picture in pictures:
        image = cv2.imdecode(np.frombuffer(base64.b64decode(picture), np.uint8), cv2.IMREAD_GRAYSCALE)
        assert image.std() > 10 and min(image.shape) >= 200
