"""Scores, their files, and that no patient is scored who was trained on."""

import csv
import json
import shutil
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import tensorflow as tf
from tiny import request, write_head, write_heads

from kerasgan import datasets
from kerasgan.datasets import Scan, patient_key
from kerasgan.errors import DatasetError, RunError, WorkerError
from kerasgan.evaluation import evaluate as module
from kerasgan.evaluation import pair as pair_module
from kerasgan.evaluation import results
from kerasgan.evaluation.baseline import LookupBaseline, lookup_sample
from kerasgan.evaluation.evaluate import evaluate
from kerasgan.evaluation.pair import PairEvaluator, PairJob, evaluate_pair, load_pair
from kerasgan.evaluation.scale import places
from kerasgan.execution import Outcome, SentOnce
from kerasgan.export.packing import pack
from kerasgan.io.keys import salted
from kerasgan.metrics import apply_lookup_table, by_place, ct_metrics, fit_lookup_table, path_length_metrics, score
from kerasgan.scans.gate import fit_gate
from kerasgan.training.train import train
from kerasgan.translation.of_run import RunTranslator


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    return write_heads(tmp_path_factory.mktemp("heads"), count=16)


@pytest.fixture(scope="module")
def run(heads, tmp_path_factory):
    return train(request(heads, "schedule.steps=2"), tmp_path_factory.mktemp("runs") / "run")


def test_every_unseen_patient_is_scored_drawn_and_written(run):
    result = evaluate(run.path)
    patients = set(run.split()["test"]["a"])
    assert result.part == "test"
    many = "s" if len(patients) > 1 else ""
    assert repr(result) == f"<Evaluation {result.folder}: {len(patients)} test patient{many}>"
    assert list(result.scores) == ["kerasgan", "constant", "best look-up table", "grid floor"]
    assert all(set(scores) == patients for scores in result.scores.values())
    assert {path.stem for path in result.folder.glob("*.png")} == patients | {"errors"}
    with (result.folder / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["patient"] for row in rows} == patients
    for row in rows:
        assert float(row["mae_hu"]) == pytest.approx(result.scores[row["method"]][row["patient"]]["mae_hu"])
    summary = json.loads((result.folder / "summary.json").read_text())
    maes = [scores["mae_hu"] for scores in result.scores["kerasgan"].values()]
    assert summary["methods"]["kerasgan"]["mae_hu"]["mean"] == pytest.approx(np.mean(maes))
    assert "body mask" in summary["definitions"]["mae_hu"]["definition"]
    assert summary["direction"] == "ab"
    assert set(rows[0]) == {"patient", "method", *summary["definitions"]}
    assert summary["baselines"].keys() == result.scores.keys() - {"kerasgan"}
    assert set(summary["centres"]["A"]["patients"]) == patients  # they are all called 1BA...
    assert max(map(len, result.table(definitions=True).splitlines())) <= 110
    assert result.table(definitions=True) + "\n" == (result.folder / "table.md").read_text()


def test_two_workers_write_the_files_of_one_process(run, tmp_path, monkeypatch):
    threads = tf.config.threading.get_intra_op_parallelism_threads()  # sums of a network depend on their number
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", str(threads))
    one, two = (evaluate(run.path, out=tmp_path / f"{count}", workers=count) for count in (1, 2))
    assert two.maps == one.maps and two.truth == one.truth and list(two.scores) == list(one.scores)
    names = {path.name for path in one.folder.iterdir()}
    assert {path.name for path in two.folder.iterdir()} == names and {"scores.csv", "summary.json"} <= names
    for name in names:
        assert (two.folder / name).read_bytes() == (one.folder / name).read_bytes(), name


def test_what_stops_a_worker_is_named(run, tmp_path):
    with pytest.raises(WorkerError, match=r"^Patient p01: Its process ended\.$"):
        module._value(Outcome("job", failure=WorkerError("Its process ended.")), "p01")
    elsewhere = PairEvaluator(RunTranslator(run), "ab", False, tmp_path, tmp_path / "missing")
    with pytest.raises(RunError, match=r"A worker does not see .*\. Workers need the disk of the process that gives"):
        evaluate_pair(SentOnce(elsewhere), PairJob((), 0, ""))


def test_results_of_mirrored_slices_are_told_from_others(run):
    with_flip = evaluate(run.path, flip=True)
    assert with_flip.folder.name == "evaluation-flip" and with_flip.note == "mean with mirrored slices"
    assert json.loads((with_flip.folder / "summary.json").read_text())["flip"] is True
    without = evaluate(run.path)
    assert not json.loads((without.folder / "summary.json").read_text())["flip"]
    for name in ("constant", "grid floor"):
        assert with_flip.scores[name] == without.scores[name]
    assert with_flip.scores["kerasgan"] != without.scores["kerasgan"]
    pair = module.unseen_pairs(run, *datasets.load_scans("synthrad", run.data_dir))[1][0]
    synthetic = RunTranslator(run).translate(pair[0].load(), "ab", flip=True)[0]
    case, _ = load_pair(run, pair, "ab")
    error = np.abs(synthetic.array - case.truth.array)[case.mask].mean()
    assert with_flip.scores["kerasgan"][case.key]["mae_hu"] == pytest.approx(error, rel=1e-6)
    shutil.rmtree(with_flip.folder)


def test_the_gate_is_asked_about_each_scan_that_is_scored(run, heads, tmp_path):
    none = evaluate(run.path, out=tmp_path / "none")
    assert not none.answers and "Input gate" not in none.table()
    assert "gate" not in json.loads((none.folder / "summary.json").read_text())
    _, pairs, others = module.unseen_pairs(run, *datasets.load_scans("synthrad", heads))
    found = [load_pair(run, pair, "ab")[1].measurements() for pair in (*pairs, *others)]
    rng = np.random.default_rng(0)
    known = [(np.concatenate([found[0][:1] + spread, found[0][1:]]), str(spread)) for spread in rng.normal(0, 1, 12)]
    gate = fit_gate([(scan.tolist(), patient) for scan, patient in known])
    gated = shutil.copytree(run.path, tmp_path / "gated")
    facts = json.loads((gated / "run.json").read_text())
    (gated / "run.json").write_text(json.dumps(facts | {"gates": {"a": gate.model_dump(mode="json")}}))
    result = evaluate(gated, heads)
    expected = Counter(gate.judge(scan).answer for scan in found[: len(pairs)])
    assert result.answers == {answer: expected[answer] for answer in ("fits", "doubtful", "foreign")}
    assert json.loads((result.folder / "summary.json").read_text())["gate"] == result.answers
    line = "Input gate: of {} scans {fits} fit, {doubtful} are doubtful and {foreign} foreign."
    assert line.format(len(pairs), **result.answers) in result.remarks()


def test_the_constant_and_the_floor_are_what_they_are_said_to_be(run, heads, tmp_path):
    result = evaluate(run.path, out=tmp_path / "out")
    _, pairs, _ = module.unseen_pairs(run, *datasets.load_scans("synthrad", heads))
    case, _ = load_pair(run, pairs[0], "ab")
    truth, inside = case.truth.array, case.source.body
    errors = np.abs(np.where(inside, 35.0, -1000.0) - truth)
    row = result.scores["constant"][case.key]
    assert row["mae_hu"] == pytest.approx(errors[case.mask].mean())
    assert row["mae_inside_hu"] == pytest.approx(errors[case.mask & inside].mean())
    # A network that gives the truth's own images, whichever it is shown.
    images = iter(case.source.grid.to_network(run.map("b").forward(truth), fill=-1.0)[..., None])

    class Knowing(RunTranslator):
        def predict(self, direction, shown, maps):
            return run.map("b").inverse(np.stack([next(images) for _ in shown]))

    assert case.source.mask.any(axis=(1, 2)).all()  # so that all slices are shown, in order
    expected = Knowing(run).translate_prepared(case.source, "ab").array
    first, *others = ct_metrics(run.facts.maps["b"])
    metrics = (first, *by_place(first, places(case.source)), *others, *path_length_metrics(case.truth.spacing_mm))
    found = score(expected, truth, case.mask, metrics, case.acquired.array)
    assert result.scores["grid floor"][case.key] == found
    assert 0 < result.scores["grid floor"][case.key]["mae_hu"] < row["mae_hu"]


def test_the_shell_is_4_mm_wide(run, heads):
    """Of voxels of 2 x 2 x 3 mm it has 12 in the slice of a body of one voxel, and 5 in each slice beside it."""
    _, pairs, _ = module.unseen_pairs(run, *datasets.load_scans("synthrad", heads))
    source = load_pair(run, pairs[0], "ab")[1]
    body = np.zeros_like(source.body)
    body[1, 5, 5] = True
    bits = np.packbits(body, axis=-1)
    found = places(replace(source, body_bits=bits, axial=replace(source.axial, spacing_mm=(2.0, 2.0, 3.0))))
    assert [int(image.sum()) for image in found["shell"]] == [5, 12, 5, 0]
    assert (sum(place.astype(int) for place in found.values()) == 1).all()


def test_the_patients_who_choose_are_scored_where_they_are_asked_for(run, tmp_path):
    result = evaluate(run.path, wanted="validation")
    assert (result.part, result.folder.name) == ("validation", "evaluation-validation")
    assert set(result.scores["kerasgan"]) == set(run.split()["validation"]["a"])
    assert "the generator was chosen by these very patients" in result.note
    shutil.rmtree(result.folder)
    with pytest.raises(DatasetError, match=r"those of the run's own dataset; leave --dataset or --part out"):
        evaluate(run.path, tmp_path, dataset="folder", wanted="validation")


def test_a_part_that_there_is_not_is_no_other_one(run):
    with pytest.raises(ValueError, match="part must be 'test' or 'validation'; got 'train'"):
        evaluate(run.path, wanted="train")


def test_a_damaged_generator_does_not_cost_the_former_results(run, tmp_path):
    folder = evaluate(run.path, out=tmp_path / "result").folder
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    generator = run.generator_path("ab")
    whole = generator.read_bytes()
    generator.write_bytes(whole[:-100])
    try:
        with pytest.raises(RunError, match=r"ab-best\.keras cannot be used: .*Restore the file from a copy"):
            evaluate(run.path, out=folder)
    finally:
        generator.write_bytes(whole)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_the_other_way_is_scored_on_the_models_mr_scale(run, tmp_path):
    result = evaluate(run.path, out=tmp_path / "ba", direction="ba")
    assert [metric.name for metric in result.metrics][:2] == ["mae_255", "mae_inside_255"]
    assert json.loads((result.folder / "summary.json").read_text())["direction"] == "ba"
    assert all(0 <= scores["mae_255"] <= 255 for scores in result.scores["kerasgan"].values())


def test_each_scan_is_read_and_prepared_once(run, heads, tmp_path, monkeypatch):
    """The look-up table's samples come from the same pass as the scores; nothing that was kept for them stays."""
    read, prepared = Counter(), []
    load, prepare = Scan.load, pair_module.prepare
    monkeypatch.setattr(Scan, "load", lambda scan, *options: read.update([scan.files]) or load(scan))
    monkeypatch.setattr(
        pair_module, "prepare", lambda *given, **options: prepared.append(given) or prepare(*given, **options)
    )
    result = evaluate(run.path, out=tmp_path / "out")
    part, pairs, others = module.unseen_pairs(run, *datasets.load_scans("synthrad", heads))
    assert part == "test" and others and set(read.values()) == {1}
    assert set(read) == {scan.files for pair in (*pairs, *others) for scan in pair}
    assert len(prepared) == len(pairs) + len(others)  # the MR alone: a CT is compared as it is
    assert {path.suffix for path in result.folder.iterdir()} == {".png", ".csv", ".json", ".md", ".html"}


@pytest.mark.parametrize("direction", ["ab", "ba"])
def test_the_baseline_is_that_of_all_other_patients_held_back(run, heads, tmp_path, direction):
    """Fitted and scored here in two passes, on whole volumes."""
    result = evaluate(run.path, out=tmp_path / "out", direction=direction)
    _, pairs, others = module.unseen_pairs(run, *datasets.load_scans("synthrad", heads))
    cases = [load_pair(run, pair, direction)[0] for pair in (*pairs, *others)]
    sources = [case.source.map.forward(case.source.axial.array) for case in cases]
    for case, source in zip(cases[: len(pairs)], sources, strict=False):
        kept = [(s, c.truth.array, c.mask) for s, c in zip(sources, cases, strict=True) if c.key != case.key]
        guess = apply_lookup_table(fit_lookup_table(*zip(*kept, strict=True)), source)
        first, *rest = [metric for metric in result.metrics if not metric.name.startswith("wepl")]
        beams = path_length_metrics(case.truth.spacing_mm) if direction == "ab" else ()
        metrics = (first, *by_place(first, places(case.source)), *rest[6:], *beams)
        expected = score(guess, case.truth.array, case.mask, metrics, case.acquired.array)
        assert result.scores["best look-up table"][case.key] == expected


def test_look_up_table_leaves_the_patient_out():
    rng = np.random.default_rng(0)
    tables, shape = LookupBaseline(), (1, 4, 4)
    for key, offset in (("one", 0.0), ("two", 0.0), ("odd", 100.0)):
        source = rng.uniform(-1, 1, shape)
        tables.add(key, lookup_sample(source, np.full(shape, 40.0 + offset), np.ones(shape, bool)))
    np.testing.assert_array_equal(tables.table("odd").values, 40.0)
    assert LookupBaseline().table("alone") is None


def test_look_up_table_leaves_out_all_pairs_of_a_patient():
    shape, tables = (1, 4, 4), LookupBaseline()
    for key, value in (("one", 10.0), ("one", 20.0), ("other", 50.0)):
        tables.add(key, lookup_sample(np.zeros(shape), np.full(shape, value), np.ones(shape, bool)))
    np.testing.assert_array_equal(tables.table("one").values, 50.0)
    np.testing.assert_array_equal(tables.table("other").values, 15.0)  # the median of both


def key_of(run, name):
    """The key of a patient's folder in a run."""
    return salted(patient_key(name), run.patient_secret())


def test_a_patient_with_two_pairs_counts_once(run, heads, tmp_path, monkeypatch):
    single = evaluate(run.path, out=tmp_path / "single").scores["kerasgan"]
    first, second = sorted(single)
    card, scans = datasets.load_scans("synthrad", heads)
    joined = [replace(scan, patient=first) if scan.patient == second else scan for scan in scans]
    monkeypatch.setattr(datasets, "load_scans", lambda *_: (card, joined))
    result = evaluate(run.path, out=tmp_path / "joined")
    assert set(result.scores["kerasgan"]) == set(result.scores["best look-up table"]) == {first}
    for name in ("mae_hu", "psnr_synthrad2023"):
        expected = (single[first][name] + single[second][name]) / 2
        assert result.scores["kerasgan"][first][name] == pytest.approx(expected)
    assert {path.stem for path in result.folder.glob("*.png")} == {first, f"{first}-2", "errors"}
    assert result.table().startswith("1 test patient, mean")


def test_the_recorded_split_holds_whatever_the_data_says_today(run, tmp_path):
    other = write_heads(tmp_path / "other", count=16)
    split = {"train_mr": ["1BA014"], "train_ct": ["1BA015"], "val": [f"1BA{i:03d}" for i in range(14)]}
    (other / "split.json").write_text(json.dumps(split))
    result = evaluate(run.path, data_dir=other, out=tmp_path / "result")
    assert set(result.scores["kerasgan"]) == set(run.split()["test"]["a"])


def test_other_patients_than_the_runs_are_all_scored(run, tmp_path):
    for patient, seed in (("2BB001", 30), ("2BB002", 31), ("1BA000", 0)):
        write_head(tmp_path / "clinic" / patient, seed)
    assert key_of(run, "1BA000") in run.split()["train"]["a"] + run.split()["train"]["b"]
    result = evaluate(run.path, data_dir=tmp_path / "clinic")
    assert (result.part, result.folder.name) == ("external", "evaluation-external")
    assert set(result.scores["kerasgan"]) == {key_of(run, "2BB001"), key_of(run, "2BB002")}
    assert result.table().startswith("2 external patients, mean ± SD\n")
    shutil.rmtree(result.folder)


@pytest.mark.parametrize("content", [None, "", "nothing,of,it\n1,2,3\n"])
def test_a_damaged_evaluation_is_made_again(tmp_path, content):
    (tmp_path / "summary.json").write_text("{}")
    if content is not None:
        (tmp_path / "scores.csv").write_text(content)
    results.clear(tmp_path)
    assert not (tmp_path / "summary.json").exists()


def test_people_of_another_dataset_are_scored(run, tmp_path):
    site = tmp_path / "site"
    for own in (30, 31):
        write_head(tmp_path / str(own), own)
        for domain, name in (("a", "mr"), ("b", "ct")):
            (site / domain).mkdir(parents=True, exist_ok=True)
            shutil.copy(tmp_path / str(own) / f"{name}.nii.gz", site / domain / f"{own}.nii.gz")
    with pytest.raises(DatasetError, match=r"Dataset folder has no aligned MR and CT .* with --dataset"):
        evaluate(run.path, site, dataset="folder")
    (site / "paired").touch()
    result = evaluate(run.path, site, dataset="folder")
    assert (result.part, result.folder.name) == ("external", "evaluation-external")
    assert set(result.scores["kerasgan"]) == {key_of(run, "30"), key_of(run, "31")}
    shutil.rmtree(result.folder)


def test_a_pack_is_scored_as_its_run_on_people_who_are_named(run, tmp_path):
    for patient, seed in (("2BB001", 30), ("2BB002", 31)):
        write_head(tmp_path / "clinic" / patient, seed)
    packed = pack(run.path, tmp_path / "model.kgan")
    with pytest.raises(RunError, match=r"model\.kgan does not say who it was trained on.* --dataset folder and --data"):
        evaluate(packed, tmp_path / "clinic")
    found = evaluate(packed, tmp_path / "clinic", dataset="synthrad")
    wanted = evaluate(run.path, tmp_path / "clinic", out=tmp_path / "wanted")
    assert (found.part, found.folder) == ("external", tmp_path / "model-evaluation-external")
    assert found.note == "a pack, which does not say who it was trained on" and wanted.note == ""
    for method, rows in wanted.scores.items():  # keys are those of the folder here, and there the run's
        maes = [sorted(row["mae_hu"] for row in one.values()) for one in (found.scores[method], rows)]
        assert maes[0] == pytest.approx(maes[1], rel=1e-6), method
    assert len(found.scores["kerasgan"]) == 2 and (found.folder / "report.html").is_file()
    write_head(tmp_path / "other" / "2BB003", 32)
    with pytest.raises(RunError, match=r"model-evaluation-external holds an evaluation of other scans"):
        evaluate(packed, tmp_path / "other", dataset="synthrad")
    with pytest.raises(DatasetError, match="leave --dataset or --part out"):
        evaluate(packed, tmp_path / "clinic", dataset="synthrad", wanted="validation")


def test_scores_of_other_people_are_not_replaced_by_those_of_a_second_site(run, tmp_path):
    for patient, seed in (("2BB001", 30), ("2BB002", 31)):
        write_head(tmp_path / "first" / patient, seed)
        write_head(tmp_path / "second" / f"{patient}0", seed)
    found = evaluate(run.path, data_dir=tmp_path / "first")
    with pytest.raises(RunError, match=r"an evaluation of other scans.* --out .*evaluation-external-2 \(kera"):
        evaluate(run.path, data_dir=tmp_path / "second")
    assert set(results.read_scores(found.folder)) == set(found.scores["kerasgan"])
    assert set(evaluate(run.path, data_dir=tmp_path / "first").scores["kerasgan"]) == set(found.scores["kerasgan"])
    shutil.rmtree(found.folder)


def test_other_anatomy_is_refused(run, tmp_path):
    for seed in (30, 31):
        write_head(tmp_path / "pelvis" / f"1PB{seed}", seed)
    with pytest.raises(DatasetError, match=r"trained on head MR CT, the data is pelvis MR CT"):
        evaluate(run.path, data_dir=tmp_path / "pelvis")


def test_patients_that_chose_the_generator_are_no_test(run, tmp_path):
    data = write_heads(tmp_path / "heads", count=16)
    for patient in run.split()["test"]["a"]:
        (folder,) = (path for path in data.iterdir() if key_of(run, path.name) == patient)
        shutil.rmtree(folder)
    result = evaluate(run.path, data_dir=data, out=tmp_path / "result")
    assert result.part == "validation"
    assert "the generator was chosen by these very patients" in result.table()


def test_data_with_training_patients_only_is_refused(run, tmp_path):
    data = write_heads(tmp_path / "heads", count=16)
    trained = {*run.split()["train"]["a"], *run.split()["train"]["b"]}
    for folder in data.iterdir():
        if key_of(run, folder.name) not in trained:
            shutil.rmtree(folder)
    used = r"who have both scans are in the run's split already: {'train': \d+, 'validation': 0, 'test': 0}\. Give "
    with pytest.raises(DatasetError, match=used):
        evaluate(run.path, data_dir=data)
    for number, folder in enumerate(sorted(data.iterdir())):
        (folder / ("ct.nii.gz" if number else "mr.nii.gz")).unlink()
    with pytest.raises(DatasetError, match=r"^No patient of the data has a scan in both domains\. Give --data-dir"):
        evaluate(run.path, data_dir=data)


def test_scans_on_different_grids_are_refused(run, heads, tmp_path):
    other = write_heads(tmp_path / "other", count=16)
    write_head(tmp_path / "smaller", seed=0, shape=(4, 36, 32))
    for folder in other.iterdir():
        (folder / "ct.nii.gz").write_bytes((tmp_path / "smaller" / "ct.nii.gz").read_bytes())
    with pytest.raises(
        DatasetError, match=r"grids: 4 x 40 x 32 voxels from .*, and 4 x 36 x 32 .* mm\. Register and resample"
    ):
        evaluate(run.path, data_dir=other)


def test_a_coronal_scan_and_an_axial_truth_of_the_same_voxels_are_a_pair(run, heads, tmp_path):
    data = shutil.copytree(heads, tmp_path / "coronal", ignore=shutil.ignore_patterns(".*"))
    for folder in data.iterdir():
        for name in ("mr", "mask"):
            path = str(folder / f"{name}.nii.gz")
            sitk.WriteImage(sitk.DICOMOrient(sitk.ReadImage(path), "LIP"), path)
    # The masks lie as the MR does; the truth has none of its own grid.
    result = evaluate(run.path, out=tmp_path / "out", data_dir=data)
    axial = evaluate(run.path, out=tmp_path / "axial")
    assert result.scores["kerasgan"] == axial.scores["kerasgan"]
