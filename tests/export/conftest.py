import json
import shutil
from itertools import chain

import numpy as np
import pytest
import SimpleITK
import tensorflow as tf
from needed import needed, program
from page_visitor import FLAGS, Visitor
from playwright.sync_api import sync_playwright
from untrained import SIZE, write_run

from kerasgan.cli._app import cache_folder
from kerasgan.errors import ExportError
from kerasgan.export import export_serving, export_tflite
from kerasgan.export.page import build_page
from kerasgan.export.serving_contract import read_serving_contract
from kerasgan.runs.run import load_run

MR_WINDOW, CT_WINDOW = (20.0, 320.0), (-1000.0, 1600.0)
PATIENTS = {"train_mr": ["1BA001"], "train_ct": ["1BA002"], "val": ["1BA003", "1BA004"], "test": ["1BA005"]}


def write_head(folder, seed, slices=6):
    """An ellipse of tissue on a 2 mm grid; 30 x 28 pixels, so that it has to be padded to the run's 32 x 32."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[-1:1:30j, -1:1:28j]
    inside = np.broadcast_to(rows**2 + columns**2 < 0.7, (slices, 30, 28))
    mr = np.where(inside, rng.uniform(100, 400, inside.shape), rng.uniform(0, 8, inside.shape))
    ct = np.where(inside, rng.uniform(0, 900, inside.shape), -1000)
    folder.mkdir(parents=True)
    for name, array in (("mr", mr), ("ct", ct), ("mask", inside.astype(float))):
        image = SimpleITK.GetImageFromArray(array.astype(np.float32))
        image.SetSpacing((2.0, 2.0, 3.0))
        SimpleITK.WriteImage(image, str(folder / f"{name}.mha"))


def write_data(root):
    for seed, patient in enumerate(chain(*PATIENTS.values())):
        write_head(root / patient, seed)
    (root / "split.json").write_text(json.dumps(PATIENTS))


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory):
    """A run directory with its data beside it, to be read only."""
    folder = tmp_path_factory.mktemp("finished")
    write_data(folder / "data")
    return write_run(folder / "run", folder / "data", MR_WINDOW, 2 * SIZE)


@pytest.fixture(scope="session")
def served(finished_run, tmp_path_factory):
    """The folder of version 1 of that run as a served model, to be read only."""
    return export_serving(finished_run.path, tmp_path_factory.mktemp("served") / "models", "mr2ct")


@pytest.fixture(scope="session")
def served_contract(served):
    return read_serving_contract(served)


@pytest.fixture(scope="session")
def signatures(served):
    """The callables of the served model by name."""
    loaded = tf.saved_model.load(str(served))
    yield loaded.signatures  # they work only as long as the model exists
    del loaded


@pytest.fixture
def data_dir(finished_run, tmp_path):
    """A copy of the data."""
    return shutil.copytree(finished_run.path.parent / "data", tmp_path / "data")


@pytest.fixture
def run(finished_run, data_dir, tmp_path):
    """A copy of the run on a copy of its data, free to be changed."""
    path = shutil.copytree(finished_run.path, tmp_path / "run")
    facts = finished_run.facts.model_copy(update={"data_dir": str(data_dir)})
    (path / "run.json").write_text(facts.model_dump_json())
    return load_run(path)


@pytest.fixture
def patients():
    """Patient folders by part, as in `split.json`."""
    return PATIENTS


@pytest.fixture
def add_patient(data_dir):
    return lambda name, seed: write_head(data_dir / name, seed)


@pytest.fixture
def mr_images():
    """MR values on both sides of the run's window."""

    def make(height, width, batch=1, seed=0):
        return np.random.default_rng(seed).uniform(-50, 450, (batch, height, width, 1)).astype(np.float32)

    return make


@pytest.fixture
def expected_ct(finished_run):
    """The translation in HU, worked out in NumPy around a Keras generator."""

    def translate(images, window=MR_WINDOW, run=finished_run):
        low, high = window
        inputs = (np.clip(images, low, high) - low) / (high - low) * 2 - 1
        outputs = np.asarray(run.generator("ab")(inputs.astype(np.float32), training=False))
        return (outputs + 1) / 2 * (CT_WINDOW[1] - CT_WINDOW[0]) + CT_WINDOW[0]

    return translate


@pytest.fixture(scope="session")
def site(finished_run, tmp_path_factory):
    """The folder of a page with that run's model, to be read only."""
    folder = tmp_path_factory.mktemp("site")
    model = export_tflite(finished_run.path, folder / "model.tflite")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shutil.which", lambda name: None)  # nothing is downloaded
        try:
            build_page(model, folder / "page", cache_folder())
        except ExportError as error:
            needed(None, f"The page's packages are missing, and `kerasgan demo RUN` fetches them. {error}")
    return folder / "page"


@pytest.fixture(scope="module")  # while it is there, no other event loop can run
def chromium():
    """A headless Chromium."""
    path = program("chromium", "chromium-browser", "google-chrome", package="chromium")
    with sync_playwright() as runner:
        browser = runner.chromium.launch(executable_path=path, args=[*FLAGS])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium):
    """Opens a page, on a device that Playwright describes."""
    visitors = []

    def go(folder, **device):
        visitors.append(Visitor(chromium, folder, **device))
        return visitors[-1]

    yield go
    for visitor in visitors:
        visitor.close()
