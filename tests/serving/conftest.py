"""A run with untrained networks of a few weights, exported once, and embedded servers on free ports."""

import hashlib
import shutil
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("uvicorn", reason="the extra `serving` is not installed")

from tiny import write_heads
from untrained import write_run

from kerasgan.export import bundle
from kerasgan.serving import Client, Server, Settings
from kerasgan.serving import server as server_module
from kerasgan.serving.models import Store, Wanted

NAME = "mr2ct"
MR_WINDOW = (0.0, 320.0)
FREE_PORTS = Settings(grpc_port=0, rest_port=0)


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """A run directory between MR in any unit and CT, to be read only."""
    root = tmp_path_factory.mktemp("run")
    write_heads(root / "data", 6)
    return write_run(root / "run", root / "data", MR_WINDOW, 192)


@pytest.fixture(scope="session")
def models(run, tmp_path_factory):
    """A folder of models with version 1 of one model, to be read only."""
    folder = tmp_path_factory.mktemp("served") / "models"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundle, "compare_served", lambda *_: {})  # takes half of the time, and has tests of its own
        bundle.export_serving(run.path, folder, NAME)
    return folder


@pytest.fixture
def own_models(models, tmp_path):
    """The same, free to be changed."""
    return shutil.copytree(models, tmp_path / "models")


def renumbered(text, version):
    return text.replace(b'"version":1,', b'"version":%d,' % version).replace(
        b'"version": 1,', b'"version": %d,' % version
    )


@pytest.fixture
def add_version():
    """Puts a copy of version 1 beside it, which calls itself another; it appears at once, as an export does."""

    def add(folder, version):
        copy = shutil.copytree(folder / NAME / "1", folder / NAME / ".copy")
        changed = ("saved_model.pb", "assets.extra/contract.json")
        for name in changed:
            (copy / name).write_bytes(renumbered((copy / name).read_bytes(), version))
        sums = copy / "assets.extra" / "SHA256SUMS"
        lines = [line.partition("  ") for line in sums.read_text().splitlines()]
        digest = {name: hashlib.sha256((copy / name).read_bytes()).hexdigest() for name in changed}
        sums.write_text("".join(f"{digest.get(name, former)}  {name}\n" for former, _, name in lines))
        return copy.rename(folder / NAME / str(version))

    return add


@pytest.fixture(scope="session")
def store(models):
    """Version 1, loaded once for all tests that do not change it."""
    return Store(models)


@pytest.fixture(scope="session")
def model(store):
    """The served model, called in this process."""
    return store.find(Wanted(NAME))


@pytest.fixture(scope="session")
def server(models, store):
    """A server on free ports."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server_module, "Store", lambda *_: store)
        started = Server(models, FREE_PORTS)
    with started:
        yield started


@pytest.fixture
def serve(models, store, monkeypatch):
    """Starts servers of the same model with changed settings, and stops them."""
    monkeypatch.setattr(server_module, "Store", lambda *_: store)
    started = []

    def start(**changes):
        started.append(Server(models, replace(FREE_PORTS, **changes)))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def address():
    """The address of the model on a server, for a scheme."""

    def of(server, scheme="grpc"):
        port = server.grpc_port if scheme.startswith("grpc") else server.rest_port
        return f"{scheme}://127.0.0.1:{port}/{NAME}"

    return of


@pytest.fixture(params=["grpc", "http"])
def client(request, server, address):
    """A client by each protocol."""
    with Client(address(server, request.param), deadline_s=20) as connected:
        yield connected


@pytest.fixture
def slices():
    """MR slices, float32 `[count, height, width, 1]`."""

    def make(count=2, height=24, width=20, seed=0):
        return np.random.default_rng(seed).uniform(0, 400, (count, height, width, 1)).astype(np.float32)

    return make
