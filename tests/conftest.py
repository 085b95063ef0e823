"""What the whole suite shares."""

import os
import zipfile
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def pytest_configure(config):
    """Two logical CPUs and this process's share of the cores, asked for before TensorFlow starts its devices."""
    import tensorflow as tf

    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    tf.config.threading.set_intra_op_parallelism_threads(max(1, (os.cpu_count() or 1) // workers))

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)


@pytest.fixture(scope="session")
def phantom_folder(tmp_path_factory):
    """A function from an anatomy to the folder of a small dataset of it, written once; tests must not change it."""
    from made_up_phantoms import write_phantom

    written = {}

    def folder_of(anatomy):
        name = "-".join([anatomy.name, *anatomy.contrasts])
        if name not in written:
            written[name] = write_phantom(tmp_path_factory.mktemp(name), anatomy)
        return written[name]

    return folder_of


@pytest.fixture(scope="session")
def former(tmp_path_factory):
    """A folder with a run of version 0.1.0, its TFLite file and served model, two scans, and what it made of them."""
    folder = tmp_path_factory.mktemp("former")
    with zipfile.ZipFile(Path(__file__).parent / "fixtures" / "run-0.1.0.zip") as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="session")
def two_replicas():
    """One strategy for all tests: a second one in the same process would take its exchanges for those of the first."""
    import tensorflow as tf

    if len(tf.config.list_logical_devices("CPU")) < 2:
        pytest.skip("TensorFlow was started with one logical CPU before this test could ask for two")
    from kerasgan.runs.device import choose_strategy

    return choose_strategy(2, None, batch_size=2)
