"""A run on two contrasts of each patient: trained, resumed, translated, scored, exported, served, refused by name."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from tiny import TINY, assert_same_checkpoint, copy_after, newest_checkpoint
from typer.testing import CliRunner

import kerasgan
from kerasgan import datasets
from kerasgan.cli import app
from kerasgan.errors import ExportError, KerasganError, RunError
from kerasgan.evaluation.results import METHOD
from kerasgan.export.page import build_page
from kerasgan.export.serving_contract import read_serving_contract
from kerasgan.networks import costs
from kerasgan.networks.costs import Budget
from kerasgan.phantom import HEAD, HEAD_CONTRASTS
from kerasgan.runs.run import Run
from kerasgan.scans.gate import fit_gate
from kerasgan.scans.intensity import body_mask, percentile_map
from kerasgan.scans.measurements import DIRECT
from kerasgan.scans.preparation import prepare
from kerasgan.serving import Client, Server, Settings
from kerasgan.serving.translator import ServerTranslator
from kerasgan.training import page
from kerasgan.training.cache import STEPS
from kerasgan.training.data import data_of_run
from kerasgan.training.request import Request
from kerasgan.training.train import train
from kerasgan.translation.of_run import RunTranslator
from kerasgan.translation.of_tflite import TFLiteTranslator

CHANNELS = ("T1", "T2")


def request(root, *overrides, recipe="kerasgan2026"):
    return Request("phantom_contrasts", root, recipe, overrides=(*TINY, *overrides))


@pytest.fixture(scope="module")
def root(phantom_folder):
    return phantom_folder(HEAD_CONTRASTS).parent


@pytest.fixture(scope="module")
def pair(root):
    return datasets.load("phantom_contrasts", root)[1].test.pairs()[0]


@pytest.fixture(scope="module")
def volumes(pair):
    return dict(zip(CHANNELS, pair[0].load_channels(), strict=True))


@pytest.fixture(scope="module")
def run(root, tmp_path_factory):
    """Beside it there is what a power cut after its first checkpoint had left."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        copy_after(patch, 4, folder / "run", folder / "cut")
        return train(request(root), folder / "run")


@pytest.fixture(scope="module")
def model(run, volumes, tmp_path_factory):
    """A TFLite file of the size of whole slices, as the run translates them."""
    size = prepare(volumes["T1"], run.facts.preparation, crop=False).grid.size
    return kerasgan.export_tflite(run, tmp_path_factory.mktemp("tflite") / "model.tflite", size=size)


@pytest.fixture(scope="module")
def served(run, tmp_path_factory):
    return kerasgan.export_serving(run, tmp_path_factory.mktemp("served"), name="heads")


@pytest.fixture
def paths(volumes, tmp_path):
    """The channels as image files."""
    found = {name: tmp_path / f"{name}.nii.gz" for name in volumes}
    for name, volume in volumes.items():
        sitk.WriteImage(volume.to_sitk(), str(found[name]))
    return found


def test_each_channel_has_its_own_scale_and_the_body_of_the_first(run, volumes, root):
    assert [channel.name for channel in run.facts.channels] == [*CHANNELS]
    assert run.facts.channels[0].window == run.facts.maps["a"] != run.facts.channels[1].window
    data = data_of_run(run)
    scan, (first, further) = data.train[0][0], data.split.train.a[0].load_channels()
    body = body_mask(first)
    for number, volume in enumerate((first, further)):
        expected = percentile_map(volume.array, body, data.settings.mr_percentiles)
        assert scan.channels[number].map == expected
    assert scan.codes.shape[1:] == (32, 32, 2) and data.train[1][0].codes.shape[1:] == (32, 32, 1)
    assert np.abs(scan.codes[..., 0].astype(int) - scan.codes[..., 1]).max() > STEPS / 2  # CSF


def test_it_translates_to_ct_alone_and_keeps_the_way_back_for_its_cycle(run):
    assert run.facts.directions == ("ab",)
    assert (run.generator("ab").input_shape[-1], run.generator("ab").output_shape[-1]) == (2, 1)
    arrays = newest_checkpoint(run.path)
    assert any(name.startswith("generator_ba/") for name in arrays)
    assert {path.name for path in (run.path / "generators").iterdir()} == {"ab-best.keras", "ab-last.keras"}
    with pytest.raises(RunError, match=r"has no generator of direction ba\. Choose ab, or a run without channels"):
        run.generator("ba")
    history = (run.path / "history.csv").read_text().splitlines()[0]
    assert {"cycle_a", "cycle_b", "structure_ab", "structure_ba"} <= set(history.split(","))
    assert len(list((run.path / "previews").glob("*.png"))) == 2


def test_resumed_it_equals_the_uninterrupted_one_to_the_last_bit(root, run):
    resumed = train(Request(data_dir=root), run.path.with_name("cut"), resume=True)
    assert_same_checkpoint(resumed.path, run.path)


def test_run_tflite_file_and_server_translate_alike(run, model, served, volumes):
    expected = RunTranslator(run).translate(volumes)[0].array
    np.testing.assert_allclose(TFLiteTranslator(model).translate(volumes)[0].array, expected, atol=1)
    with Server(served.parents[1], Settings(grpc_port=0, rest_port=0)) as server:
        for address in (f"grpc://localhost:{server.grpc_port}/heads", f"http://localhost:{server.rest_port}/heads"):
            with Client(address) as client:
                found = ServerTranslator(client).translate(dict(reversed(volumes.items())))[0].array
            np.testing.assert_allclose(found, expected, atol=2)


def test_the_order_in_which_channels_are_given_does_not_matter_and_their_names_do(run, volumes):
    translator = RunTranslator(run)
    expected = translator.translate(volumes)[0].array
    np.testing.assert_array_equal(translator.translate(dict(reversed(volumes.items())))[0].array, expected)
    exchanged = dict(zip(CHANNELS, reversed(volumes.values()), strict=True))
    assert np.abs(translator.translate(exchanged)[0].array - expected).max() > 1


def test_exchanged_images_are_told_by_the_gates_of_their_channels(run, volumes, caplog):
    caplog.set_level("INFO")
    prepared = prepare(volumes["T1"], run.facts.preparation, crop=False, further=[volumes["T2"]])
    rng, channels = np.random.default_rng(0), []
    for number, channel in enumerate(run.facts.channels):
        own = prepared.measurements(number)
        deviations = np.where(np.arange(len(own)) < DIRECT, 2, 0.05)  # of measurements and picture
        alike = [own + rng.normal(0, deviations) for _ in range(12)]
        gate = fit_gate([(values, f"p{patient}") for patient, values in enumerate(alike)])
        channels.append(channel.model_copy(update={"gate": gate}))
    gated = Run(run.path, run.recipe, run.facts.model_copy(update={"channels": tuple(channels)}))
    captions = [table.caption for table in page._gates(gated).parts]
    assert captions[-2:] == ["MR T1: 12 training patients", "MR T2: 12 training patients"]
    translator = RunTranslator(gated)
    translator.translate(volumes)
    assert "Input gate, channel T1: fits." in caplog.text and "Input gate, channel T2: fits." in caplog.text
    exchanged = dict(zip(CHANNELS, reversed(volumes.values()), strict=True))
    with pytest.raises(
        RunError, match="given as channel T1 is like the T2 of the training scans, and foreign to their"
    ):
        translator.translate(exchanged)


def test_contracts_name_the_channels(run, model, served):
    described = read_serving_contract(served).directions
    assert list(described) == ["ab"]
    one = described["ab"]
    assert [channel.name for channel in one.channels] == [*CHANNELS] and one.gate is None
    assert one.source_windows == tuple(channel.window for channel in run.facts.channels)
    shapes = {
        f"{name}/{tensor}": found.shape
        for name, signature in one.signatures.items()
        for tensor, found in {**signature.inputs, **signature.outputs}.items()
    }
    assert shapes["serving_default/image"] == (None, None, None, 2)
    assert shapes["serving_default/synthetic"] == (None, None, None, 1)
    assert shapes["serving_windowed/window"] == (None, 2, 2)
    assert shapes["serving_bytes/slope"] == shapes["serving_bytes_windowed/intercept"] == (None, 2)
    assert TFLiteTranslator(model).contract("ab").signatures["serving_default"].inputs["image"].shape == (1, 40, 36, 2)
    assert "Channels: T1, T2" in (served / "assets.extra" / "contract.md").read_text()


@pytest.mark.parametrize("which", ["run", "model"])
def test_missing_unknown_and_unnamed_channels_are_refused(run, model, paths, tmp_path, which):
    one, output = {"run": run, "model": model}[which], tmp_path / "ct.nii.gz"
    for given, got in (
        ({"T1": paths["T1"]}, "T1"),
        ({"T1": paths["T1"], "T2": paths["T2"], "PD": paths["T1"]}, "T1, T2, PD"),
        ({"T1": paths["T1"], "FLAIR": paths["T2"]}, "T1, FLAIR"),
        (paths["T1"], "one image without a name"),
    ):
        with pytest.raises(KerasganError, match=f"needs channels T1, T2; got {got}. Name .* T1=PATH T2=PATH"):
            kerasgan.translate(one, given, output, modality="MR")
    assert not output.exists()


def test_channels_on_two_grids_are_refused(run, volumes):
    thick = replace(volumes["T2"], spacing_mm=(6.0, 6.5, 11.0))
    with pytest.raises(RunError, match=r"Channel T2 is on another grid.* Register and resample it onto the grid of T1"):
        RunTranslator(run).translate({"T1": volumes["T1"], "T2": thick})


def test_it_is_translated_from_disk_and_evaluated(run, paths, pair, tmp_path):
    written = kerasgan.translate(run, paths, tmp_path / "ct.nii.gz", modality="MR")
    assert sitk.GetArrayFromImage(sitk.ReadImage(str(written))).shape == pair[1].load().shape
    result = kerasgan.evaluate(run)
    assert result.part == "test" and len(result.scores[METHOD]) == 1
    command = ["translate", str(run.path), *(f"{name}={path}" for name, path in reversed(paths.items()))]
    called = CliRunner().invoke(app, [*command, str(tmp_path / "same.nii.gz"), "--modality", "MR", "--exact"])
    assert called.exit_code == 0, called.output
    first, second = (
        sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / f"{name}.nii.gz"))) for name in ("ct", "same")
    )
    np.testing.assert_array_equal(first, second)
    called = CliRunner().invoke(
        app, ["translate", str(run.path), *map(str, paths.values()), str(tmp_path / "no.nii.gz")]
    )
    said = " ".join(called.output.replace("│", " ").split())
    assert called.exit_code == 2 and "Several inputs are channels, each with its name: T1=PATH T2=PATH" in said
    with pytest.raises(KerasganError, match="--series chooses one of several series"):
        kerasgan.translate(run, paths, tmp_path / "no.nii.gz", modality="MR", series="3")


def test_data_of_other_channels_are_refused(run, root, phantom_folder, tmp_path):
    with pytest.raises(RunError, match=r"needs channels T1, T2; got one image without a name. Give data with the same"):
        kerasgan.evaluate(run, data_dir=phantom_folder(HEAD).parent, dataset="phantom")
    swapped = tmp_path / "swapped.py"
    swapped.write_text(
        "from dataclasses import replace\n"
        "from kerasgan.datasets import phantom_contrasts as former\n"
        "CARD = replace(former.CARD, channels=('T2', 'T1'))\n"
        "scan, split = former.scan, former.split\n"
    )
    with pytest.raises(RunError, match=r"has channels in the order T1, T2; the data names T2, T1"):
        kerasgan.evaluate(run, data_dir=root, dataset=str(swapped))


def test_the_page_refuses_channels(model, tmp_path):
    with pytest.raises(ExportError, match="takes channels T1, T2, and the page opens one image at a time"):
        build_page(model, tmp_path / "page", tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["losses.identity_weight=1"], r"takes 2 channels and gives 1\. Use --set losses\.identity_weight=0"),
        (["intensity.mr_window=[0, 400]"], r"channels T1, T2 need one each\. Use --set intensity\.mr_window=null"),
        (["method=METHOD"], r"has one shape for the images of both domains, and domain a has 2 channels"),
        (["generator.name=NETWORK"], r"gives as many channels as it takes, and 2 shall become 1"),
    ],
)
def test_what_channels_cannot_do_is_refused(root, tmp_path, changes, message):
    (tmp_path / "method.py").write_text("def build(recipe, image_shape, seed):\n    pass\n")
    (tmp_path / "network.py").write_text(
        "from kerasgan.networks.generators import resnet\n"
        "def build(shape, *, name='mine'):\n    return resnet(shape, filters=2, blocks=1, name=name)\n"
    )
    given = [
        change.replace("METHOD", str(tmp_path / "method.py")).replace("NETWORK", str(tmp_path / "network.py"))
        for change in changes
    ]
    with pytest.raises(KerasganError, match=message):
        train(request(root, *given), tmp_path / "run")


def test_a_one_sided_run_takes_channels_and_so_does_its_student(root, tmp_path, monkeypatch):
    one_sided = ("data.pairs=registered", "data.atlases=1", "supervision.target=nearest", "generator.filters=12")
    run = train(request(root, *one_sided, "generator.blocks=3"), tmp_path / "run")
    assert (run.generator("ab").input_shape[-1], run.generator("ab").output_shape[-1]) == (2, 1)
    monkeypatch.setitem(costs.BUDGETS, "small", Budget(0.5, 0.5))
    student = kerasgan.distill(run, "small", steps=2)
    assert (student.generator("ab").input_shape[-1], student.facts.channels) == (2, run.facts.channels)
