"""A run is data: nothing that its files name is executed, or made into a path, without the user's word."""

import json
import shutil
from pathlib import Path

import pytest

import kerasgan
from kerasgan.cli import main
from kerasgan.errors import DatasetError, KerasganError, RunError
from kerasgan.runs.run import load_run, require_trust
from kerasgan.training.request import Request

CODE = "from pathlib import Path\nPath(__file__).with_suffix('.executed').touch()\nraise ValueError('reached')\n"
COMPONENTS = ["method", "generator.name", "discriminator.name", "losses.cycle.name", "losses.structure.name"]


def changed(path: Path, place: str, value: object) -> None:
    """Sets a field of a JSON file by its dotted place."""
    content = json.loads(path.read_text())
    *parents, field = place.split(".")
    node = content
    for parent in parents:
        node = node[parent]
    node[field] = value
    path.write_text(json.dumps(content))


@pytest.fixture
def hostile(former, tmp_path, monkeypatch):
    """A function that makes a run name a file of code; `executed` beside the file tells that it ran."""
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "run"
    shutil.copytree(former / "run", run)

    def name(place: str, file: str = "run/code.py") -> Path:
        Path(file).write_text(CODE)
        changed(run / ("run.json" if place == "dataset" else "recipe.json"), place, file)
        return run

    return name


def executed() -> bool:
    return bool(list(Path().rglob("*.executed")))


COMMANDS = {
    "evaluate": "evaluate run",
    "serving": "export run served",
    "tflite": "export run model.tflite",
    "resume": "train --resume --out run",
    "plan": "train --resume --out run --dry-run",
    "distill": "distill run",
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_no_command_executes_code_that_a_run_names(hostile, command, capfd):
    hostile("dataset")
    with pytest.raises(SystemExit) as ended:
        main(command.split())
    assert ended.value.code == 2 and not executed()
    error = capfd.readouterr().err
    assert "run asks to execute run/code.py. Read that code first; if you trust it, add --trust" in error


@pytest.mark.parametrize("command", [command for command in COMMANDS.values() if "distill" not in command])
def test_a_user_can_trust_it(hostile, command, capfd):
    hostile("dataset")
    with pytest.raises(SystemExit) as ended:
        main([*command.split(), "--trust"])
    assert ended.value.code == 2 and executed()
    assert "ValueError: reached" in capfd.readouterr().err


@pytest.mark.parametrize("place", COMPONENTS)
def test_components_are_code_as_well(hostile, place):
    run = hostile(place, "elsewhere.py")
    for call in (
        lambda trust: kerasgan.train(resume=True, out=run, data_dir=run, trust=trust),
        lambda trust: kerasgan.distill(run, data_dir=run, trust=trust),
    ):
        with pytest.raises(RunError, match=r"run asks to execute elsewhere\.py"):
            call(False)
    assert not executed()


def test_translation_and_a_look_at_a_run_need_none_of_its_code(hostile, former):
    run = hostile("generator.name")
    assert load_run(run).recipe.generator.name == "run/code.py"
    kerasgan.translate(run, former / "mr.nii.gz", "ct.nii.gz")
    assert Path("ct.nii.gz").is_file() and not executed()


def test_code_outside_the_run_may_be_named(hostile):
    run = load_run(hostile("dataset", "clinic.py"))
    require_trust(run, ["clinic.py", "phantom"], trust=False, named=[None, "./clinic.py"])
    with pytest.raises(RunError, match=r"asks to execute clinic\.py"):
        require_trust(run, ["clinic.py"], trust=False, named=["other.py"])
    with pytest.raises(RunError, match=r"asks to execute run/code\.py"):
        require_trust(run, ["run/code.py"], trust=False, named=["run/code.py"])
    with pytest.raises(KerasganError, match="reached"):
        kerasgan.evaluate(run.path, dataset="clinic.py")


def test_a_resumed_run_takes_the_components_that_are_named_again(hostile):
    run = load_run(hostile("losses.cycle.name", "loss.py"))
    with pytest.raises(RunError, match=r"asks to execute loss\.py"):
        Request(overrides=("losses.cycle_weight=3",)).resuming(run)
    assert Request(overrides=("losses.cycle.name=loss.py",)).resuming(run).dataset == "synthrad"


def test_only_a_new_training_writes_data(former, tmp_path):
    """A phantom is generated where the user says, never where a run's file says."""
    run = shutil.copytree(former / "run", tmp_path / "run")
    changed(run / "run.json", "dataset", "phantom")
    elsewhere = tmp_path / "elsewhere"
    changed(run / "run.json", "data_dir", str(run / ".." / "elsewhere"))
    for call in (
        lambda: kerasgan.evaluate(run),
        lambda: kerasgan.export_tflite(run, tmp_path / "model.tflite"),
        lambda: kerasgan.export_serving(run, tmp_path / "served"),
        lambda: kerasgan.train(resume=True, out=run),
    ):
        with pytest.raises(KerasganError, match="elsewhere"):
            call()
        assert not elsewhere.exists()
    with pytest.raises(DatasetError, match=r"No phantom data in .*elsewhere"):
        kerasgan.evaluate(run)
