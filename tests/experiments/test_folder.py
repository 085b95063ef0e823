"""Cells are computed once, in order; what is interrupted goes on, and what does not fit is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from filelock import FileLock

from kerasgan import datasets, registry
from kerasgan.errors import DatasetError, DivergenceError, KerasganError, RunError, WorkerError
from kerasgan.experiments import compute, open_reproduction
from kerasgan.experiments.engine import work
from kerasgan.experiments.engine.folder import identity
from kerasgan.experiments.engine.types import UNFINISHED

TOY = """
import os
import signal
from dataclasses import dataclass, replace
from kerasgan.errors import DivergenceError
from kerasgan.experiments.papers import hiasa2018
from kerasgan.experiments.engine.types import UNFINISHED, Cell, Task
from kerasgan.pictures.html import Section, Table

class Write(Task):
    number: int

    def run(self, context, needs, folder):
        assert all((need / "result.json").exists() for need in needs)
        folder.mkdir(exist_ok=True)
        with (folder / "log").open("a") as log:
            log.write("begun\\n")
        (folder / UNFINISHED).mkdir(exist_ok=True)
        if (context.data_dir / "stop").exists() and self.number == {stop}:
            raise KeyboardInterrupt
        if (context.data_dir / f"diverge{{self.number}}").exists():
            raise DivergenceError("Loss generators became NaN.")
        if (context.data_dir / f"kill{{self.number}}").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        return dict(number=self.number + len(needs))

@dataclass(frozen=True)
class Scale:
    note: str = "A toy."
    seeds: int = 2

def cells(scale, seeds):
    first = Cell("first", "write one", Write(number={number}), seconds=60)
    return [first, *(Cell(f"next-seed{{n}}", f"write {{n}}", Write(number=n + 10), (first,), 60) for n in range(seeds))]

def numbers(found):
    rows = [(f"next{{n}}", str(found.results[f"next-seed{{n}}"]["number"])) for n in range(found.seeds)]
    return [Section("Numbers", (), [Table("Numbers", [("cell", "number"), *rows])])]

def sections(found):
    return found.made(numbers)

EXPERIMENT = replace(
    hiasa2018.EXPERIMENT, name="toy", scales={{"laptop": Scale()}}, cells=cells, sections=sections, published={{}},
    labels=False,
)
"""


@pytest.fixture
def toy(tmp_path, hips):
    """Opens the toy experiment on the phantom hips; its second cell can be interrupted."""
    data = tmp_path / "data"
    data.mkdir()
    for entry in hips.iterdir():
        (data / entry.name).symlink_to(entry)

    def open_toy(number=1, stop=False, **options):
        path = tmp_path / "toy.py"
        path.write_text(TOY.format(number=number, stop=10))
        (data / "stop").touch() if stop else (data / "stop").unlink(missing_ok=True)
        return open_reproduction(str(path), **{"data_dir": data, "out": tmp_path / "out", **options})

    return open_toy


def log(opened, number):
    return (opened.place(opened.cells[number]) / "log").read_text().split()


def states(opened):
    return [opened.state(cell) for cell in opened.cells]


def test_every_cell_is_computed_once(toy):
    opened = toy()
    assert states(opened) == ["open"] * 3
    report = compute(opened)
    assert states(opened) == ["finished"] * 3 and not opened.left()
    compute(toy())
    assert [log(opened, number) for number in range(3)] == [["begun"]] * 3
    assert opened.result(opened.cells[1])["number"] == 11  # 10, and one cell that it needs
    assert report.name == "report.html" and report.with_suffix(".json").exists()


def test_workers_share_the_cells(toy):
    opened = toy(seeds=6)
    report = compute(opened, workers=2)
    assert [log(opened, number) for number in range(7)] == [["begun"]] * 7
    assert len(json.loads(report.with_suffix(".json").read_text())["cells"]) == 7


def test_a_cell_that_ends_its_process_stops_only_what_needs_it(toy):
    opened = toy(seeds=3)
    (opened.data_dir / "kill11").touch()
    (opened.data_dir / "diverge12").touch()
    with pytest.raises(WorkerError, match=r"^1 of 4 cells ended their process: next-seed1\. All that do not need them"):
        compute(opened, workers=2)
    assert states(opened) == ["finished", "finished", "begun", "begun"]
    (opened.data_dir / "kill11").unlink()
    with pytest.raises(DivergenceError, match=r"^1 of 4 cells diverged: next-seed2\."):
        compute(opened)


def test_a_worker_without_the_same_disk_is_named(toy, tmp_path):
    opened = toy()
    wanted = rf"A worker does not see {opened.data_dir} or {opened.folder}\. Workers need the disk of the process"
    with pytest.raises(RunError, match=wanted):
        work._compute_elsewhere("command", opened.arguments(), "first")
    assert not opened.folder.exists()


def test_a_folder_in_which_another_process_computes_is_refused(toy):
    opened = toy()
    opened.folder.mkdir()
    with (
        FileLock(opened.folder / ".lock"),
        pytest.raises(RunError, match=r"cells in .*out are being computed by another process\. Wait for it, or end it"),
    ):
        compute(opened)
    assert states(opened) == ["open"] * 3


def test_an_interruption_loses_nothing_that_was_finished(toy, tmp_path):
    opened = toy(stop=True)
    with pytest.raises(KeyboardInterrupt):
        compute(opened)
    assert states(opened) == ["finished", "begun", "open"]
    kept = [(opened.place(cell) / UNFINISHED).exists() for cell in opened.cells]
    assert kept == [False, True, False]
    again = toy()
    compute(again)
    assert not list((tmp_path / "out").rglob(UNFINISHED))
    assert [len(log(again, number)) for number in range(3)] == [1, 2, 1]  # the second went on in its folder


def test_what_a_killed_process_leaves_is_no_result(toy):
    opened = toy()
    place = opened.place(opened.cells[0])
    place.mkdir(parents=True)
    (place / ".result.4711-1.json").write_text('{"number": ')
    assert opened.state(opened.cells[0]) == "begun"


def test_a_training_that_diverges_stops_only_what_needs_it(toy):
    opened = toy()
    (opened.data_dir / "diverge10").touch()
    with pytest.raises(
        DivergenceError, match=r"^1 of 3 cells diverged: next-seed0\. All that do not need them are finished\."
    ):
        compute(opened)
    assert states(opened) == ["finished", "begun", "finished"]
    assert not (opened.folder / "report.html").exists()
    (opened.data_dir / "diverge10").unlink()
    assert compute(opened).exists()


def test_what_needs_a_training_that_diverged_is_not_begun(toy):
    opened = toy()
    (opened.data_dir / "diverge1").touch()
    with pytest.raises(DivergenceError, match=r"^1 of 3 cells diverged: first\."):
        compute(opened)
    assert states(opened) == ["begun", "open", "open"]


def test_other_settings_are_other_cells_and_so_are_those_that_need_them(toy):
    first = toy(number=1)
    compute(first)
    changed = toy(number=2)
    assert states(changed) == ["open"] * 3
    compute(changed)
    assert states(first) == ["finished"] * 3


def test_more_seeds_add_cells(toy):
    compute(toy(seeds=1))
    assert states(toy(seeds=3)) == ["finished", "finished", "open", "open"]


def part(toy, tmp_path, name, **options):
    """A part that is computed in a folder of its own; gives its report as `report.json` has it."""
    return json.loads(compute(toy(out=tmp_path / name, **options)).with_suffix(".json").read_text())


def numbers(content):
    return [table["rows"][1:] for table in content["tables"] if table["caption"] == "Numbers"]


def test_parts_of_two_folders_make_the_whole_when_their_cells_are_copied_together(toy, tmp_path):
    whole = part(toy, tmp_path, "whole", seeds=3)
    one = part(toy, tmp_path, "one", seeds=(0, 2))
    missing = [table["rows"] for table in one["tables"] if table["caption"] == "Cells that are not finished"]
    assert missing == [[["cell", "what it does"], ["next-seed1", "write 1"]]]
    assert numbers(one) == [[["next0", "11"]]]  # the first repetition, as the second is missing
    two = part(toy, tmp_path, "two", seeds=3, cells="*-seed1")
    assert numbers(two) == [] and list(two["cells"]) == ["first", "next-seed1"]
    for name in ("one", "two"):
        shutil.copytree(tmp_path / name / "cells", tmp_path / "joined" / "cells", dirs_exist_ok=True)
    joined = part(toy, tmp_path, "joined", seeds=3)
    assert numbers(joined) == numbers(whole) == [[["next0", "11"], ["next1", "12"], ["next2", "13"]]]
    assert joined["tables"][0] == whole["tables"][0]
    assert len(list((tmp_path / "joined").rglob("log"))) == 4  # of which none was begun anew
    assert all(path.read_text() == "begun\n" for path in (tmp_path / "joined").rglob("log"))


def test_parts_on_other_data_are_refused(toy, tmp_path):
    compute(toy(seeds=1))
    result = next((tmp_path / "out/cells").glob("next*/result.json"))
    result.write_text(json.dumps(json.loads(result.read_text()) | {"data": "of another machine"}))
    with pytest.raises(RunError, match=r"1 cells in .* other data .*: next-seed0\. Remove them\. .*\.kerasgan-secret"):
        compute(toy(seeds=2))


def test_a_pattern_of_no_cell(toy):
    with pytest.raises(KerasganError, match=r"No cell of .* is called 'train-\*' as first is; --dry-run lists"):
        toy(cells="train-*")


def test_time_left_follows_the_cells_that_are_finished(toy):
    opened = toy()
    assert opened.seconds_left() == 180
    place = opened.place(opened.cells[0])
    place.mkdir(parents=True)
    (place / "result.json").write_text('{"seconds": 120}')  # twice as long as planned
    assert opened.seconds_left() == 240


@pytest.mark.parametrize("content", ["{", "[]", '{"seconds": "many"}'])
def test_damaged_result(toy, content):
    opened = toy()
    place = opened.place(opened.cells[0])
    place.mkdir(parents=True)
    (place / "result.json").write_text(content)
    with pytest.raises(RunError, match=r"result\.json is damaged: .*\. Delete it, and the cell is computed again"):
        opened.left()


def test_labels_of_another_grid_are_found_before_anything_is_computed(toy, hips, tmp_path):
    shutil.copytree(hips, tmp_path / "own")
    opened = toy(data_dir=tmp_path / "own")
    opened = replace(opened, experiment=replace(opened.experiment, labels=True))
    path = str(next((tmp_path / "own").rglob("labels/*.nii.gz")))
    sitk.WriteImage(sitk.ReadImage(path)[:, :, 1:], path)
    with pytest.raises(DatasetError, match=r"is not on the grid of its .. scan"):
        compute(opened)
    assert states(opened) == ["open"] * 3 and not (tmp_path / "out" / "experiment.json").exists()


def test_labels_that_do_not_fit_into_a_byte_are_refused(toy, hips, tmp_path):
    shutil.copytree(hips, tmp_path / "own")
    path = str(next((tmp_path / "own").rglob("labels/*.nii.gz")))
    image = sitk.ReadImage(path)
    labels = sitk.GetArrayFromImage(image).astype(np.int16)
    labels.flat[0] = 1001
    wrong = sitk.GetImageFromArray(labels)
    wrong.CopyInformation(image)
    sitk.WriteImage(wrong, path)
    opened = toy(data_dir=tmp_path / "own")
    with pytest.raises(DatasetError, match=r"patient p\w+ cannot be used: Its labels must lie between 0 and 255"):
        compute(replace(opened, experiment=replace(opened.experiment, labels=True)))


def test_a_changed_card_and_a_mended_label_are_other_data(hips):
    card, split = datasets.load("phantom_pelvis", hips)
    first = identity("x", "phantom_pelvis", card, split)
    assert first == identity("x", "phantom_pelvis", replace(card), split)
    other = dict(card.structures) | {"pelvis": {"a": (9,), "b": (1,)}}
    assert first != identity("x", "phantom_pelvis", replace(card, structures=other), split)


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("hiasa2018", "train-none-small-seed0-164263577f", "fold4-9516f366db"),
        ("kerasgan2026", "train-kerasgan2026-seed0-ee6d6d5046", "evaluate-ab-transposed-seed0-646d14260e"),
        ("mujtaba2025", "train-seed0-207697af43", None),  # its networks for the liver are trained in another way since
        ("nehra2021", "train-cross-entropy-seed0-b10bd0c9e1", "losses-wasserstein-seed0-1411861e1b"),
        ("rajnish2022", "train-log-likelihood-seed0-c20b8dd1cb", "evaluate-ba-least-squares-seed0-a981c2e40a"),
    ],
)
def test_cells_of_version_0_1_are_found_again(name, first, last):
    experiment = registry.find("experiments", name).EXPERIMENT
    cells = experiment.cells(experiment.scales["laptop"], 1)
    assert cells[0].folder_name == first and last in (None, cells[-1].folder_name)


def test_digest_of_files(tmp_path):
    for name in ("ct.mha", "labels.mha"):
        (tmp_path / name).write_bytes(b"1234")
    scan = datasets.Scan("p1", "b", "CT", (tmp_path / "ct.mha",), labels=tmp_path / "labels.mha")
    first = datasets.files_digest([scan])
    (tmp_path / "labels.mha").write_bytes(b"1235")
    assert datasets.files_digest([scan]) != first


def test_a_dataset_the_other_way_round_is_refused(toy):
    opened = toy()
    with pytest.raises(DatasetError, match="toy goes from CT to MR; phantom_pelvis has MR in domain a and CT in"):
        compute(replace(opened, experiment=replace(opened.experiment, modalities=("CT", "MR"))))


def test_no_repetition_and_a_damaged_description(toy, tmp_path):
    for seeds in (0, (), (-1, 2)):
        with pytest.raises(KerasganError, match="needs one repetition or more, counted from 0; got seeds"):
            toy(seeds=seeds)
    compute(toy())
    (tmp_path / "out/experiment.json").write_text("{")
    with pytest.raises(RunError, match=r"experiment\.json is damaged: .*\. Name another folder"):
        toy()


def test_cells_of_two_versions_make_no_report(toy):
    opened = toy()
    compute(opened)
    path = opened.place(opened.cells[1]) / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"definitions": {"mae": "of another version"}}))
    with pytest.raises(
        RunError, match=r"Cells first and next-seed0 in .* define mae differently, .* delete the folder"
    ):
        compute(opened)


def test_changed_data(toy, hips, tmp_path):
    compute(toy())
    path = tmp_path / "out" / "experiment.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"data": "other"}))
    with pytest.raises(
        RunError, match=r"data of phantom_pelvis, or .*, differs from what the cells in .*out were .*; restore"
    ):
        compute(toy())


def test_folder_of_another_experiment(toy, experiment_file, hips, tmp_path):
    compute(toy())
    with pytest.raises(RunError, match="holds experiment toy on phantom_pelvis, not hiasa2018 on phantom_pelvis; name"):
        open_reproduction(str(experiment_file), data_dir=hips, out=tmp_path / "out")


def test_folder_that_holds_something_else(hips, experiment_file, tmp_path):
    (tmp_path / "letter.txt").touch()
    with pytest.raises(RunError, match="is not empty and holds no experiment; name another folder with --out"):
        open_reproduction(str(experiment_file), data_dir=hips, out=tmp_path)


def test_unknown_experiment_and_scale():
    with pytest.raises(KerasganError, match=r"No experiment is called 'hiasa'\. Did you mean hiasa2018\?"):
        open_reproduction("hiasa")
    with pytest.raises(KerasganError, match="hiasa2018 has no scale 'desktop'; choose from: paper, laptop"):
        open_reproduction("hiasa2018", scale="desktop")


def test_data_without_pairs(tmp_path):
    (tmp_path / "something").touch()
    with pytest.raises(
        DatasetError, match=r"but adni has no aligned MR and CT of one patient. Choose a paired dataset"
    ):
        open_reproduction("hiasa2018", dataset="adni", data_dir=tmp_path)


def test_data_without_pairs_for_an_experiment_that_needs_none(toy, tmp_path):
    toy()
    path = tmp_path / "toy.py"
    path.write_text(path.read_text().replace("labels=False", "labels=False, pairs=False"))
    data = tmp_path / "adni"
    data.mkdir()
    (data / "something").touch()
    assert open_reproduction(str(path), dataset="adni", data_dir=data).dataset == "adni"


def test_data_without_labels(tmp_path):
    (tmp_path / "something").touch()
    bare = tmp_path / "bare.py"
    bare.write_text(
        "from dataclasses import replace\nfrom kerasgan.datasets.phantom import CARD, scan\n"
        "CARD = replace(CARD, structures={})\n"
    )
    with pytest.raises(
        DatasetError, match=r"card of .*bare\.py names none\. Choose a labelled dataset, such as phantom_"
    ):
        open_reproduction("hiasa2018", dataset=str(bare), data_dir=tmp_path)


def test_missing_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatasetError, match="No synthrad data in datasets/synthrad"):
        open_reproduction("hiasa2018", dataset="synthrad")


def test_too_few_patients_are_noticed_before_anything_is_computed(hips, tmp_path):
    opened = open_reproduction("hiasa2018", data_dir=hips, out=tmp_path / "out")
    with pytest.raises(
        DatasetError, match=r"trains with 10 patients of each domain, and phantom_pelvis has \d+ for .* --scale\."
    ):
        compute(opened)
    assert not (tmp_path / "out" / "cells").exists()
