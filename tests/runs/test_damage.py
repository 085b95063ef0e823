"""Damaged run directories: each field of each file dropped, of a wrong type or out of its bounds; bits that flipped."""

import json
import math
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from evaluated_runs import write_run

import kerasgan
from kerasgan import distillation
from kerasgan.errors import RunError
from kerasgan.evaluation.compare import compare
from kerasgan.evaluation.results import read_scores, read_summary
from kerasgan.runs import checkpoints
from kerasgan.runs.run import load_run
from kerasgan.training.history import read_rows, truncate

FREE = {"name", "title", "citation", "anatomy", "unreported", "deviations", "paper_names", "method"}  # any text
LARGE = 1e30
COST = {"parameters": 100, "macs": 1000, "megabytes": 0.5, "milliseconds": 2.0, "error": 90.0}
REPORT = {"direction": "ab", "size": 32, "slices": 4, "unit": "HU", "teacher": COST, "student": COST}


@pytest.fixture
def run(former, tmp_path):
    """A run of version 0.1.0, with the report of a student."""
    run = Path(shutil.copytree(former / "run", tmp_path / "run"))
    (run / "distillation.json").write_text(json.dumps(REPORT))
    return run


def read(run: Path, name: str) -> object:
    """Reads one file of a run as the commands do."""
    opened = load_run(run)
    readers = {"split.json": opened.split, "distillation.json": lambda: distillation.read_report(opened).rows()}
    return readers.get(name, lambda: (opened.map("a"), opened.recipe))()


def places(content: object, prefix: tuple = ()) -> Iterator[tuple]:
    """The path of every field, and of every entry of a list."""
    entries = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in entries:
        yield (*prefix, key)
        yield from places(value, (*prefix, key))


def changed(content: object, place: tuple, value: object = None, drop: bool = False) -> str:
    """The file with one field dropped or set."""
    copy = json.loads(json.dumps(content))
    node = copy
    for key in place[:-1]:
        node = node[key]
    if drop:
        del node[place[-1]]
    else:
        node[place[-1]] = value
    return json.dumps(copy)


def fault(run: Path, name: str, text: str) -> str | None:
    """The message of the error; None for a file that can be read. Any other exception fails the test."""
    (run / name).write_text(text)
    try:
        read(run, name)
    except RunError as error:
        assert name in str(error), error
        return str(error)
    return None


@pytest.mark.parametrize("name", ["run.json", "split.json", "distillation.json"])
def test_a_field_that_is_missing(run, name):
    content = json.loads((run / name).read_text())
    for place in places(content):
        if not isinstance(place[-1], int) or len(content) == 2:  # a list may be shorter
            message = fault(run, name, changed(content, place, drop=True))
            field = next(key for key in place[::-1] if isinstance(key, str) and key not in "ab")
            assert message and field in message, place


@pytest.mark.parametrize("name", ["run.json", "split.json", "distillation.json", "recipe.json"])
def test_a_field_of_a_wrong_type(run, name):
    content = json.loads((run / name).read_text())
    for place in places(content):
        node = content
        for key in place:
            node = node[key]
        wrong = [[{}], {"k": 1}] + ([7, True] if isinstance(node, str) else ["text", True])
        if isinstance(node, bool):
            wrong.remove(True)
        for value in wrong:
            message = fault(run, name, changed(content, place, value))
            free = place[0] in FREE or place[-1] == "gradients" or node is None or isinstance(node, dict | list)
            is_option = name == "recipe.json" and "generator discriminator".find(str(place[0])) >= 0
            assert message or free or is_option, (place, value)
            if message and not isinstance(place[-1], int) and place[-1] not in ("a", "b"):
                assert str(place[-1]) in message, message


@pytest.mark.parametrize("name", ["run.json", "distillation.json", "recipe.json"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -LARGE, LARGE, 10**30])
def test_a_number_out_of_its_bounds(run, name, value):
    content = json.loads((run / name).read_text())
    for place in places(content):
        node = content
        for key in place:
            node = node[key]
        if isinstance(node, int | float) and not isinstance(node, bool):
            message = fault(run, name, changed(content, place, value))
            fields = [key for key in place if isinstance(key, str)]
            assert message and fields[0] in message, (place, value)


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("pixel_mm", 0, r"run\.json is damaged: preparation\.pixel_mm: .*greater than or equal to 0\.01 \(got 0\)"),
        ("pixel_mm", -1, r"preparation\.pixel_mm: .*\(got -1\)\. Restore the file from a copy, or train again"),
        ("size", 64, r"preparation\.size is 64 in run\.json, and data\.size is 32 in recipe\.json"),
        ("mr_percentiles", [99.5, 0.5], r"preparation\.mr_percentiles: .*low below high; got \(99\.5, 0\.5\)"),
        ("mr_percentiles", [-1, 101], r"preparation\.mr_percentiles\.0: .*greater than or equal to 0"),
        ("windows_from", "elsewhere", r"preparation\.windows_from: .*'recipe' or 'dataset'"),
    ],
)
def test_what_is_wrong_is_said(run, field, value, text):
    content = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(changed(content, ("preparation", field), value))
    with pytest.raises(RunError, match=text):
        load_run(run)


def test_pixels_that_would_take_all_memory_are_refused_before(run, former, tmp_path):
    content = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(changed(content, ("preparation", "pixel_mm"), 0.01))
    with pytest.raises(
        RunError, match=r"On pixels of 0\.01 mm its 4 slices have \d+ x \d+ pixels, expected at most 2048 a side"
    ):
        kerasgan.translate(run, former / "mr.nii.gz", tmp_path / "ct.nii.gz")


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"\xff\xfe", b"\x00" * 40, b"[" * 100_000, b'{"a": 1}'])
@pytest.mark.parametrize("name", ["run.json", "recipe.json", "split.json", "distillation.json"])
def test_no_json_at_all(run, name, content):
    (run / name).write_bytes(content)
    with pytest.raises(RunError, match=rf"{name}.*(estore|again)"):
        read(run, name)
    (run / name).unlink()
    with pytest.raises(RunError, match=rf"{name}"):
        read(run, name)


def test_a_patient_in_two_parts(run):
    content = json.loads((run / "split.json").read_text())
    content["test"]["a"].append(content["train"]["b"][0])
    (run / "split.json").write_text(json.dumps(content))
    with pytest.raises(RunError, match=r"split\.json is damaged: .*1 patients are in more than one part"):
        load_run(run).split()


def test_tables_of_a_training(tmp_path):
    path = tmp_path / "history.csv"
    for content, text in {
        "step,loss\n100,x\n200,1.0\n": r"history\.csv is damaged: loss in line 2 is 'x', expected a number\. Restore",
        "step,loss\nmany,1.0\n": r"step in line 2 is 'many', expected a number",
        "step,loss\n-5,1.0\n": r"step in line 2 is '-5'",
        "step,loss\n100,1.0,2.0\n": r"line 2 has 3 cells, expected 2",
        "loss\n1.0\n": r"it has no column step",
    }.items():
        path.write_text(content)
        for call in (lambda: read_rows(path), lambda: truncate(path, 150)):
            with pytest.raises(RunError, match=text):
                call()
    for content in (b"\xff\xfe\x00", b"step,loss\n100,\x001\n"):
        path.write_bytes(content)
        with pytest.raises(RunError, match=r"history\.csv is damaged"):
            read_rows(path)


def test_files_of_an_evaluation(tmp_path):
    runs = [write_run(tmp_path / name, [100.0, 110.0, 120.0]) for name in ("one", "two")]
    folder = runs[1] / "evaluation"
    content = json.loads((folder / "summary.json").read_text())
    for place in places(content):
        (folder / "summary.json").write_text(changed(content, place, drop=True))
        try:
            compare(runs)
        except RunError as error:
            assert "evaluation" in str(error)
        for value in ([{}], {"k": 1}, 7, "text"):
            (folder / "summary.json").write_text(changed(content, place, value))
            try:
                compare(runs)
            except RunError as error:
                assert "evaluation" in str(error)
    (folder / "summary.json").write_text(json.dumps(content))
    scores = (folder / "scores.csv").read_text()
    for damaged in ("", "patient\n", scores.replace("100.0", "many", 1), scores[: len(scores) // 2], "\x00"):
        (folder / "scores.csv").write_text(damaged)
        with pytest.raises(RunError, match=r"scores\.csv .*Evaluate again: kerasgan evaluate .*two"):
            compare(runs)
    with pytest.raises(RunError, match=r"summary\.json cannot be read: there is no such file"):
        read_summary(tmp_path)
    with pytest.raises(RunError, match=r"scores\.csv"):
        read_scores(tmp_path)


def test_a_flipped_bit_of_a_network(run, former):
    """Each of 40 places of the file: the network is refused, or the weights are those of the whole file."""
    path = run / "generators" / "ab-best.keras"
    whole = path.read_bytes()
    weights = load_run(run).generator("ab").get_weights()
    refused = 0
    for place in np.random.default_rng(0).integers(0, len(whole), 40):
        content = bytearray(whole)
        content[place] ^= 1 << place % 8
        path.write_bytes(content)
        try:
            found = load_run(run).generator("ab")
        except RunError as error:
            assert "ab-best.keras cannot be used: " in str(error) and "--resume to write it again" in str(error)
            refused += 1
        else:
            for one, other in zip(found.get_weights(), weights, strict=True):
                np.testing.assert_array_equal(one, other)
    assert refused > 30


def test_a_network_that_holds_code_or_is_no_generator(run):
    path = run / "generators" / "ab-best.keras"
    inputs = keras.Input((None, None, 1))
    keras.Model(inputs, keras.layers.Lambda(lambda x: x + 1)(inputs)).save(path)
    with pytest.raises(
        RunError, match=r"ab-best\.keras cannot be used: .*(Lambda|lambda).*by default\. Restore the file"
    ):
        load_run(run).generator("ab")
    flat_input = keras.Input((4,))
    keras.Model(flat_input, keras.layers.Dense(1)(flat_input)).save(path)
    with pytest.raises(RunError, match=r"its tensors are .*\(None, 4\).*expected \[batch, height, width, channels\]"):
        load_run(run).generator("ab")
    network = keras.Model(inputs, keras.layers.Conv2D(1, 3)(inputs))
    network.set_weights([np.full(weight.shape, np.nan) for weight in network.get_weights()])
    network.save(path)
    with pytest.raises(RunError, match=r"ab-best\.keras holds weights that are NaN or infinite"):
        load_run(run).generator("ab")
    for content in (b"", b"PK", b"x" * 1000):
        path.write_bytes(content)
        with pytest.raises(RunError, match=r"ab-best\.keras cannot be used"):
            load_run(run).generator("ab")


def test_a_network_that_asks_for_more_weights_than_it_holds_is_not_built(run, monkeypatch):
    path = run / "generators" / "ab-best.keras"
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(files["config.json"])
    last = [layer for layer in config["config"]["layers"] if layer["class_name"] == "Conv2D"][-1]
    last["config"]["kernel_size"] = [30_000, 30_000]  # of 4 channels: 14.4 GB of float32 in one layer

    def rewritten(compression, **changes):
        with zipfile.ZipFile(path, "w", compression) as archive:
            for name, content in (files | changes).items():
                archive.writestr(name, content)

    built, opened = [], keras.saving.deserialize_keras_object

    def watched(*args, **options):
        built.append(tf.executing_eagerly())  # in a graph, variables take no memory
        return opened(*args, **options)

    monkeypatch.setattr(keras.saving, "deserialize_keras_object", watched)
    rewritten(zipfile.ZIP_STORED, **{"config.json": json.dumps(config)})
    with pytest.raises(RunError, match=r"its layers ask for [\d,]{10,} bytes of weights, and it holds [\d,]{5,8}\. "):
        load_run(run).generator("ab")
    rewritten(zipfile.ZIP_DEFLATED, **{"model.weights.h5": bytes(10**6)})
    with pytest.raises(RunError, match=r"it unpacks to 1,0\d\d,\d{3} bytes"):
        load_run(run).generator("ab")
    assert built == [False]


def test_checkpoints_of_any_content(tmp_path):
    variables = {"a/0000": keras.Variable(np.zeros(3, np.float32))}
    checkpoints.save(variables, tmp_path, 10)
    for step, content in enumerate((b"", b"PK\x03\x04", b"x" * 500), start=11):
        (tmp_path / f"step-{step:09d}.npz").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "step-000000020.npz", "w") as archive:
        archive.writestr("a/0000.npy", b"\x93NUMPY\x01\x00\x10\x00{'descr': '<f4', ")
    np.savez(tmp_path / "step-000000021.npz", **{"a/0000": np.array(["text"] * 3)})
    (tmp_path / "step-last.npz").touch()
    assert checkpoints.restore(variables, tmp_path) == 10
