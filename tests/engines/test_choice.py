"""Which engine runs a network: what was asked for, what the gate lets through, and what is known from before."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers

from kerasgan.engines.choice import FOLDER, MODEL, MOST_NETWORKS, Network, choose
from kerasgan.engines.gate import Probe, judged
from kerasgan.engines.graph import frozen
from kerasgan.engines.names import TITLES, available, machine, require_available
from kerasgan.errors import KerasganError
from kerasgan.networks.generators.resnet import build

DIGEST = "5a" * 32
OTHERS = available()[:-1]


def generator(scale=0.01):
    """A network of a few weights; `scale` is how far its values are from 0, and so what reduced precision changes."""
    keras.utils.set_random_seed(3)
    network = build(filters=4, blocks=1)
    kernel, bias = network.layers[-2].get_weights()
    network.layers[-2].set_weights([kernel * scale, bias])
    return network


def as_network(model, digest=DIGEST):
    """The network for engines, and a list that grows whenever it is loaded."""
    loaded = []

    def exact():
        loaded.append(model)
        return model.predict_on_batch

    graph = lambda: frozen(lambda images: model(images, training=False), 1)  # noqa: E731
    return Network(digest, exact, graph), loaded


@pytest.fixture(scope="module")
def network():
    return generator()


@pytest.fixture
def probe():
    images = np.random.default_rng(0).uniform(-1, 1, (5, 32, 24, 1)).astype(np.float32)
    body = np.zeros((5, 32, 24), bool)
    body[:, 8:24, 6:18] = True
    return Probe(images, body, 2600.0, "HU")


def test_this_machine_has_openvino_and_the_exact_engine():
    assert available()[-1] == "exact"
    assert "openvino-float32" in available(), "pip install 'kerasgan[openvino]'"


@pytest.mark.parametrize("name", OTHERS)
def test_each_engine_gives_the_values_of_keras_for_slices_of_any_number_and_size(name, network, probe):
    engine = choose(as_network(network)[0], name, probe)
    assert (engine.name, engine.title) == (name, TITLES[name])
    limit = 0.002 if name.endswith("bf16") else 1e-5
    for images in (probe.images, probe.images[:1], probe.images[:, :16, :20], np.float64(probe.images[:2])):
        found = engine.predict(images)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, network.predict_on_batch(np.float32(images)), atol=limit)
    assert "differs from float32 by" in str(engine) and "HU" in str(engine)


def test_the_exact_engine_is_the_network_itself_and_needs_no_measurement(network, probe, tmp_path):
    engine = choose(as_network(network)[0], "exact", probe, tmp_path)
    assert engine.measured is None and not list(tmp_path.iterdir())
    np.testing.assert_array_equal(engine.predict(probe.images), network.predict_on_batch(probe.images))


def test_what_was_measured_is_known_again_and_the_network_is_not_loaded(network, probe, tmp_path):
    first = choose(as_network(network)[0], "openvino-float32", probe, tmp_path)
    again, loaded = as_network(network)
    engine = choose(again, "openvino-float32", probe, tmp_path)
    np.testing.assert_array_equal(engine.predict(probe.images), first.predict(probe.images))
    record = json.loads((tmp_path / FOLDER / DIGEST / f"{machine()}.json").read_text())
    assert not loaded and engine.measured == first.measured
    assert record["slices"] == 4 and record["engines"].keys() == {*available()}
    best = choose(again, "best", probe, tmp_path)
    assert best.name == record["best"]


def test_the_best_engine_is_the_fastest_of_those_that_the_gate_lets_through(network, probe, tmp_path):
    best = choose(as_network(network)[0], "best", probe, tmp_path).name
    engines = json.loads((tmp_path / FOLDER / DIGEST / f"{machine()}.json").read_text())["engines"]
    allowed = {name: one["seconds"] for name, one in engines.items() if not one["refused"]}
    fastest = min(allowed, key=allowed.get)
    assert best == (fastest if allowed[fastest] <= 0.9 * allowed["exact"] else "exact")


def test_a_changed_file_more_slices_or_a_truth_are_measured_anew(network, probe, tmp_path):
    few = Probe(probe.images[:1], probe.body[:1], 2600.0, "HU")
    choose(as_network(network)[0], "openvino-float32", few, tmp_path)
    for change in ("none", "slices", "truth", "truth again", "weights", "record"):
        again, loaded = as_network(network)
        given = few if change == "none" else probe
        if "truth" in change:
            given = Probe(probe.images, probe.body, 2600.0, "HU", probe.images[..., 0])
        if change == "weights":
            weights = (tmp_path / FOLDER / DIGEST / MODEL).with_suffix(".bin")
            weights.write_bytes(bytes(reversed(weights.read_bytes())))
        if change == "record":
            (tmp_path / FOLDER / DIGEST / f"{machine()}.json").write_text("{}")
        engine = choose(again, "openvino-float32", given, tmp_path)
        assert bool(loaded) == (change not in ("none", "truth again")), change
        np.testing.assert_allclose(engine.predict(few.images), network.predict_on_batch(few.images), atol=1e-5)
    assert engine.measured.error is None


@pytest.mark.parametrize("name", [name for name in OTHERS if name.endswith("bf16")])
def test_an_engine_that_changes_too_much_is_refused_and_never_the_best(name, probe, tmp_path):
    coarse = as_network(generator(scale=3.0))[0]
    with pytest.raises(KerasganError, match=rf"{name} is not used .* the mean of its .* is \d\S+ HU, allowed are 3"):
        choose(coarse, name, probe, tmp_path)
    assert not choose(coarse, "best", probe, tmp_path).name.endswith("bf16")


def test_a_network_that_an_engine_cannot_run_is_left_to_the_others(probe):
    inputs = keras.Input((None, None, 1))
    odd = keras.Model(inputs, layers.Lambda(lambda x: keras.ops.cast(keras.ops.erfinv(x / 2), "float32"))(inputs))
    assert choose(as_network(odd)[0], "best", probe).name in ("exact", "tensorflow-bf16")
    with pytest.raises(KerasganError, match="openvino-float32 is not used for this network: it cannot run the network"):
        choose(as_network(odd)[0], "openvino-float32", probe)


def test_the_gate_looks_inside_the_body_and_at_the_truth(probe):
    exact = np.zeros((5, 32, 24))
    outside = np.where(probe.body, 0, 0.5)
    assert judged(exact + outside, exact, probe, is_reduced=True).refused == ""
    spot = exact.copy()
    spot[0, 10, 10] = 0.1
    assert judged(spot, exact, probe, is_reduced=True).refused == ""
    assert "the largest of its differences" in judged(spot, exact, probe, is_reduced=False).refused
    rows = exact.copy()
    rows[:, 8:9] = 0.02  # 26 HU in a sixteenth of the body
    assert (
        "the 99th percentile of its differences from float32 is 26 HU, allowed are 20"
        in judged(rows, exact, probe, is_reduced=True).refused
    )
    wide = Probe(probe.images, probe.body, 5200.0, "HU")
    assert "52 HU, allowed are 40" in judged(rows, exact, wide, is_reduced=True).refused
    known = Probe(probe.images, probe.body, 2600.0, "HU", exact + 0.1)  # 130 HU from the exact engine
    assert judged(exact - 0.002, exact, known, is_reduced=True).refused == (
        "its error against the truth is 132.6 HU, that of float32 130"
    )
    assert judged(exact + 0.002, exact, known, is_reduced=True).refused == ""
    assert judged(exact * np.nan, exact, probe, is_reduced=True).refused == "it gives values that are not finite"


def test_the_cache_keeps_the_networks_that_were_used_last(network, probe, tmp_path):
    digests = [f"{number:064x}" for number in range(MOST_NETWORKS + 2)]
    for digest in digests[:-1]:
        (tmp_path / FOLDER / digest).mkdir(parents=True)
    (tmp_path / FOLDER / "mine").mkdir()
    choose(as_network(network, digests[-1])[0], "openvino-float32", probe, tmp_path)
    kept = {path.name for path in (tmp_path / FOLDER).iterdir()}
    assert {digests[-1], "mine"} < kept and len(kept) <= MOST_NETWORKS + 1


def test_an_engine_that_is_not_there_is_refused_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)  # as where it is not installed
    assert not [name for name in available() if name.startswith("openvino")]
    with pytest.raises(KerasganError, match=r"pip install 'kerasgan\[openvino\]'.*leave --engine out"):
        require_available("openvino-float32")


def test_openvino_is_imported_without_its_telemetry(tmp_path):
    code = (
        "from kerasgan.engines.openvino import core\ncore()\nimport sys\n"
        "print([name for name, module in sys.modules.items() if name.startswith('openvino_telemetry') and module])\n"
        "print('tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout.split() == ["[]", "False"]
