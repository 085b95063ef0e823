"""A run that starts from the weights of another one."""

import logging
import shutil
from dataclasses import replace

import numpy as np
import pytest
from tiny import TINY, assert_same_checkpoint, copy_after, newest_checkpoint, request, write_heads

import kerasgan
from kerasgan.datasets import synthrad
from kerasgan.errors import KerasganError, RunError
from kerasgan.files import file_digest
from kerasgan.runs.run import load_run
from kerasgan.training.initial import Initial
from kerasgan.training.request import Request
from kerasgan.training.start import check
from kerasgan.training.train import build_model, train

SHORT = ("schedule.steps=4", "schedule.checkpoint_every=2")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_heads(tmp_path_factory.mktemp("heads"))


@pytest.fixture(scope="module")
def source(data, tmp_path_factory):
    """A run of two steps, which no test changes."""
    return train(request(data, "schedule.steps=2"), tmp_path_factory.mktemp("runs") / "source")


def test_a_run_starts_from_the_networks_of_another_and_needs_it_no_more(data, source, tmp_path, monkeypatch, caplog):
    """With new optimisers and a recipe of its own; a power cut before its first checkpoint changes nothing."""
    first, out, cut = tmp_path / "first", tmp_path / "run", tmp_path / "cut"
    shutil.copytree(source.path, first)
    copy_after(monkeypatch, 0, out, cut)
    settings = (*TINY, *SHORT, "losses.cycle_weight=5", "optimizer.learning_rate=1e-4")
    with caplog.at_level(logging.INFO, "kerasgan"):
        wanted = {"recipe": "hiasa2018", "overrides": settings, "fold": "2/3"}
        run = kerasgan.train("synthrad", data_dir=data, out=out, init=first, **wanted)
    names = ["generator_ab", "generator_ba", "discriminator_a", "discriminator_b"]
    assert f"Starting with {', '.join(names)} of {first}; the optimisers begin anew." in caplog.messages
    digests = [file_digest(first / "generators" / f"{way}-last.keras") for way in ("ab", "ba")]
    digests += 2 * [file_digest(first / "checkpoints" / "step-000000002.npz")]
    assert run.facts.init == dict(zip(names, digests, strict=True))
    shutil.rmtree(first)
    begun, ended = newest_checkpoint(cut), newest_checkpoint(source.path)
    for name, array in begun.items():
        is_network = name.partition("/")[0] in names
        np.testing.assert_array_equal(array, ended[name] if is_network else np.zeros_like(array), err_msg=name)
    resumed = train(Request(data_dir=data), cut, resume=True)
    assert_same_checkpoint(cut, out)
    assert resumed.facts.init == run.facts.init and resumed.facts.fold == "2/3"
    other = r"^--resume continues a run with fold 2/3, got 1/3\. Leave --fold out"
    with pytest.raises(RunError, match=other):
        Request(fold="1/3").resuming(run)


def test_a_file_gives_its_generator_alone(data, source, caplog):
    """And both the network that is trained and its moving average begin with it."""
    recipe = request(data, "optimizer.average_decay=0.9").build_recipe()
    place = source.path / "generators" / "ba-best.keras"
    model = build_model(recipe, (32, 32, 1), "float32", 0)
    with caplog.at_level(logging.INFO, "kerasgan"):
        given = Initial.of(place, recipe).give_weights(model, recipe)
    assert given == {"generator_ba": file_digest(place)}
    rest = "generator_ab, discriminator_a, discriminator_b and the optimisers begin anew."
    assert caplog.messages[-1] == f"Starting with generator_ba of {place}; {rest}"
    for network in (model.networks["generator_ba"], model.averages["ba"]):
        for found, wanted in zip(network.get_weights(), source.generator("ba", "last").get_weights(), strict=True):
            np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("generator.filters=8", "generator.filters is 4 there and 8 here"),
        ("generator.blocks=2", "generator.blocks is 1 there and 2 here"),
        ("generator.upsampling=resize", "generator.upsampling is the default there and resize here"),
        ("generator.name=fcn", "generator.blocks is 1 there and the default here, .*generator.name is resnet .* fcn"),
    ],
)
def test_other_networks_are_refused_with_what_differs(data, source, change, told):
    recipe = request(data, change).build_recipe()
    with pytest.raises(RunError, match=f"source has another generator than this recipe: {told}.* or leave --init out"):
        Initial.of(source.path, recipe)


def test_a_file_outside_of_a_run_is_compared_layer_by_layer(data, source, tmp_path):
    place = shutil.copy(source.path / "generators" / "ab-last.keras", tmp_path / "ab.keras")
    Initial.of(place, request(data, "generator.downsamplings=2").build_recipe())  # the default, spelled out
    for change, told in {
        "generator.filters=8": "filters of layer 3, .*, is 4 there and 8 here",
        "generator.blocks=2": r"\d+ layers there and \d+ here",
    }.items():
        with pytest.raises(RunError, match=rf"ab\.keras has another generator than this recipe: {told}\. Use the netw"):
            Initial.of(place, request(data, change).build_recipe())


def test_other_domains_and_channels_are_refused(data, source):
    initial = Initial.of(source.path, source.recipe)
    initial.require_domains(synthrad.CARD)
    with pytest.raises(RunError, match="source was trained on MR as domain a and CT as domain b, and this data"):
        initial.require_domains(replace(synthrad.CARD, modalities=("CT", "MR")))
    with pytest.raises(RunError, match=r"generator ab of .* takes 1 channels and gives 1, and this data needs 2 and 1"):
        initial.require_domains(replace(synthrad.CARD, channels=("T1", "T2")))


def test_what_cannot_begin_is_refused_before_anything_is_loaded(data, source, tmp_path):
    with pytest.raises(RunError, match=r"--init is for a new run, .*Leave --init .*first out"):
        check(Request(init=tmp_path / "first"), source.path, resume=True)
    for place, told in {
        "first": "first is no run directory",
        "ab.keras": "There is no .*; name a run",
    }.items():
        with pytest.raises(KerasganError, match=told):
            check(replace(request(data), init=tmp_path / place), tmp_path / "new", resume=False)
    (tmp_path / "ab.keras").write_bytes(b"no network")
    with pytest.raises(RunError, match=r"ab\.keras cannot be used: "):
        Initial.of(tmp_path / "ab.keras", source.recipe)
    assert not load_run(source.path).facts.init
