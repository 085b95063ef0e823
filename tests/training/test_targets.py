"""The targets of training slices: from whom they come, at which height, and what is kept of them."""

import shutil
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace

import numpy as np
import pytest
from tiny import assert_same_checkpoint, copy_after, request, write_head, write_heads

from kerasgan.datasets import Part, Split
from kerasgan.errors import DatasetError, KerasganError, RunError
from kerasgan.training import cache as slice_cache
from kerasgan.training import targets
from kerasgan.training.cache import STEPS
from kerasgan.training.data import Data, prepare_data
from kerasgan.training.request import Request
from kerasgan.training.targets import draw_targets, registered_targets, training_targets, true_targets
from kerasgan.training.train import train


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    """Ten heads, four for training as MR and four others as CT, and a cache with their slices."""
    return write_heads(tmp_path_factory.mktemp("heads") / "data")


@pytest.fixture(scope="module")
def data(heads) -> Data:
    return prepare_data(request(heads), request(heads).build_recipe(), heads.parent / "cache")


class InThisProcess:
    """Does what `ProcessPoolExecutor` does, without processes."""

    map, shutdown = staticmethod(map), staticmethod(lambda cancel_futures: None)

    def __init__(self, *arguments):
        pass


@pytest.fixture
def jobs(monkeypatch) -> list[targets._Job]:
    """The jobs that are done, all here, with a picture of zeros as result."""
    done = []
    monkeypatch.setattr(targets, "ProcessPoolExecutor", InThisProcess)

    def call(job):
        done.append(job)
        return np.zeros((32, 32, job.atlases), np.int16)

    monkeypatch.setattr(targets._Job, "__call__", call)
    return done


def arrays(found):
    return [np.stack([own[row] for row in range(len(own))]) for own in found]  # [slices, size, size, targets] each


def test_registered_scans_fit_and_are_the_same_with_any_number_of_processes(data, tmp_path, monkeypatch):
    alone = replace(data, train=(data.train[0][:1], data.train[1]))
    monkeypatch.setattr(targets, "cores", lambda: 1)
    (found,) = arrays(registered_targets(alone, 2, tmp_path / "one"))
    assert (found.shape, found.dtype) == ((4, 32, 32, 2), np.int16)
    monkeypatch.setattr(targets, "cores", lambda: 2)
    np.testing.assert_array_equal(arrays(registered_targets(alone, 2, tmp_path / "two"))[0], found)
    # Ellipses with a rim of 900 HU: a registered CT has it where the MR has its dark rim.
    (source,) = alone.train[0]
    body, mr, ct = source.mask, source.slices()[..., 0], found[..., 0] / STEPS
    assert ct[body & (mr < -0.5)].mean() > ct[body & (mr > 0.5)].mean() + 0.25
    assert ct[~body].mean() < -0.9


class Painter:
    """Paints the slices of a scan evenly, one brighter than the other."""

    def __init__(self, step):
        self.step, self.digest = step, str(step)

    def synthetic(self, scan):
        return np.arange(4)[:, None, None] * self.step * np.ones((4, 32, 32))


def test_finished_entries_are_kept_and_damaged_ones_made_again(data, tmp_path, jobs):
    found = registered_targets(data, 2, tmp_path)
    assert len(jobs) == 16 and {job.synthetic is None for job in jobs} == {True}
    registered_targets(data, 2, tmp_path)
    assert len(jobs) == 16
    found[2].stem.with_suffix(".npy").write_bytes(b"damaged")
    with pytest.raises(DatasetError, match="removed or damaged while they were in use"):
        found[2].require_whole()
    registered_targets(data, 2, tmp_path)
    assert [job.source for job in jobs[16:]] == [data.train[0][2]] * 4
    found[2].require_whole()


def test_an_interrupted_registration_goes_on_where_it_stopped(data, tmp_path, jobs, monkeypatch):
    call = targets._Job.__call__

    def stop(job):
        if len(jobs) == 6:
            raise KeyboardInterrupt
        return call(job)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(targets._Job, "__call__", stop)
        registered_targets(data, 2, tmp_path)
    registered_targets(data, 2, tmp_path)
    assert [job.source for job in jobs[6:]] == [scan for scan in data.train[0][1:] for _ in range(4)]


@pytest.mark.parametrize("change", ["atlases", "synthetic", "others", "pixels"])
def test_an_entry_depends_on_all_that_it_is_made_of(data, tmp_path, jobs, change):
    guide = Painter(0.1)
    former = registered_targets(data, 2, tmp_path, guide)
    changed, atlases = data, 2
    if change == "atlases":
        atlases = 3
    elif change == "synthetic":
        guide = Painter(0.2)
    elif change == "others":
        changed = replace(data, train=(data.train[0], data.train[1][1:]))
    else:
        changed = replace(data, settings=data.settings.model_copy(update={"pixel_mm": 4.0}))
    found = registered_targets(changed, atlases, tmp_path, guide)
    assert not {own.stem for own in former} & {own.stem for own in found}


def test_a_second_round_registers_to_the_synthetic_slices(data, tmp_path, jobs):
    registered_targets(data, 2, tmp_path, Painter(0.1))
    assert [job.synthetic[0, 0] for job in jobs] == [round(row / 10 * STEPS) for _ in range(4) for row in range(4)]


def test_scans_of_the_same_patient_or_outside_training_are_never_registered(data, tmp_path, jobs):
    """Where patients have both scans, as in a dataset that is not paired, one's own CT would be the truth."""
    own = [replace(scan, patient=source.patient) for scan, source in zip(data.train[1], data.train[0], strict=True)]
    registered_targets(replace(data, train=(data.train[0], own)), 2, tmp_path)
    for job in jobs:
        assert {scan.patient for scan in job.others} == {scan.patient for scan in own} - {job.source.patient}
    jobs.clear()
    registered_targets(data, 2, tmp_path)
    seen = {scan.patient for job in jobs for scan in (job.source, *job.others)}
    assert seen == data.split.train.patients()
    assert not seen & (data.split.validation.patients() | data.split.test.patients())


def test_too_few_other_patients_are_refused(data, tmp_path, jobs):
    text = r"data.atlases=5 needs as many training patients with axial slices of domain b .*; there are 4\. Lower it"
    with pytest.raises(DatasetError, match=text):
        registered_targets(data, 5, tmp_path)
    own = [replace(scan, patient=data.train[0][0].patient) for scan in data.train[1]]
    with pytest.raises(DatasetError, match=r"there are 0\."):
        registered_targets(replace(data, train=(data.train[0], own)), 1, tmp_path)


def test_slices_come_from_the_height_of_their_source_and_its_plane(data, monkeypatch):
    """Row 6 of rows 3 to 9 is the middle; of 41 coronal slices the middle and those two away are tried."""
    source = replace(data.train[0][0], positions=tuple(range(10)), planes=("axial",) * 3 + ("coronal",) * 7)
    other = replace(data.train[1][0], positions=tuple(range(46)), planes=("axial",) * 5 + ("coronal",) * 41)
    asked = []

    class Seen:
        """Likes the slices above the middle best."""

        refined = 1

        def __init__(self, *arguments):
            pass

        def likeness(self, row, body):
            return row

        def register(self, row, body):
            asked.append(row)
            return 1.0, np.zeros((32, 32), np.float32)

    monkeypatch.setattr(targets, "Template", Seen)
    monkeypatch.setattr(targets, "_slice", lambda scan, row: (asked.append(row) or row, None))
    monkeypatch.setattr(slice_cache, "read_codes", lambda stem: np.zeros((10, 32, 32, 1), np.int16))
    monkeypatch.setattr(type(source), "mask", np.ones((10, 32, 32), bool))
    job = targets._Job(source, 6, None, [other], 8.0, 1)
    assert job().shape == (32, 32, 1)
    assert asked == [23, 25, 27, 27, 27]  # three are compared, and the likest is read and registered


def test_a_process_that_ends_is_reported_with_what_to_do(data, tmp_path, monkeypatch):
    class Broken(InThisProcess):
        """A pool whose processes cannot start."""

        def map(self, *arguments):
            raise BrokenProcessPool

    monkeypatch.setattr(targets, "ProcessPoolExecutor", Broken)
    with pytest.raises(KerasganError, match=r'put its calls under if __name__ == "__main__":'):
        registered_targets(data, 2, tmp_path)


def test_true_targets_are_the_slices_of_the_same_places(heads, data):
    found = true_targets(request(heads), data, heads.parent / "cache")
    _, scans = targets.datasets.load_scans("synthrad", heads)
    truth = {scan.patient: scan for scan in scans if scan.domain == "b"}
    for source, own, array in zip(data.split.train.a, data.train[0], arrays(found), strict=True):
        (wanted,) = slice_cache.build([truth[source.patient]], data.settings, heads.parent / "cache")
        assert own.positions == wanted.positions
        np.testing.assert_array_equal(array, wanted.codes)


def test_true_targets_follow_slices_that_only_the_source_has(heads, tmp_path):
    """The truth's first slice is all air, which is no training slice of its own, and still the target of the MR's."""
    import SimpleITK as sitk

    folder = tmp_path / "data"
    write_heads(folder)
    for path in folder.glob("*/ct.nii.gz"):
        image = sitk.ReadImage(str(path))
        array = sitk.GetArrayFromImage(image)
        array[0] = -1000
        changed = sitk.GetImageFromArray(array)
        changed.CopyInformation(image)
        sitk.WriteImage(changed, str(path))
    data = prepare_data(request(folder), request(folder).build_recipe(), tmp_path / "cache")
    for array in arrays(true_targets(request(folder), data, tmp_path / "cache")):
        assert array.shape == (4, 32, 32, 1)
        assert (array[0] == -STEPS).all() and (array[1] > 0).any()


def test_only_partners_of_training_scans_are_read(heads, data, monkeypatch):
    read = []
    build = slice_cache.build
    monkeypatch.setattr(slice_cache, "build", lambda scans, *rest: read.extend(scans) or build(scans, *rest))
    true_targets(request(heads), data, heads.parent / "cache")
    assert {(scan.patient, scan.domain) for scan in read} == {(scan.patient, "b") for scan in data.split.train.a}


def test_true_pairs_need_both_scans_on_one_grid(heads, data, tmp_path):
    unpaired = replace(data, card=replace(data.card, paired=False))
    with pytest.raises(DatasetError, match=r"synthrad lacks them: its card says .* not on one grid\. Add the missing"):
        true_targets(request(heads), unpaired, tmp_path)
    stranger = replace(data.split.train.a[0], patient="p0000000000")
    nobody = Split(Part((stranger,), data.split.train.b), Part(), Part())
    with pytest.raises(
        DatasetError, match=r"1 of 1 training scans of domain a have no scan of b .*data.pairs=registered"
    ):
        true_targets(request(heads), replace(data, split=nobody), tmp_path)
    write_head(tmp_path / "smaller", seed=0, shape=(4, 36, 32))
    (shorter,) = slice_cache.build(
        [replace(data.split.train.a[0], files=(tmp_path / "smaller" / "mr.nii.gz",))], data.settings, tmp_path
    )
    changed = replace(data, train=([shorter, *data.train[0][1:]], data.train[1]))
    with pytest.raises(DatasetError, match=r"^Patient p\w+: .* grids"):
        true_targets(request(heads), changed, tmp_path)


def test_a_recipe_without_pairs_has_no_targets(heads, data, tmp_path, jobs):
    asked = request(heads)
    assert training_targets(asked, asked.build_recipe(), data, tmp_path) is None
    asked = request(heads, "data.pairs=registered", "data.atlases=3")
    assert arrays(training_targets(asked, asked.build_recipe(), data, tmp_path))[0].shape == (4, 32, 32, 3)
    asked = request(heads, "data.pairs=true")
    assert arrays(training_targets(asked, asked.build_recipe(), data, tmp_path))[0].shape == (4, 32, 32, 1)


def test_a_run_of_true_pairs_goes_on_without_its_cache_and_refuses_other_truths(tmp_path):
    """A power cut, and a cache that is gone: the rest is the same. Another CT of a training patient of a is noticed."""
    folder, runs = write_heads(tmp_path / "data"), tmp_path / "runs"
    with pytest.MonkeyPatch.context() as patch:
        copy_after(patch, 4, runs / "run", runs / "cut")
        run = train(request(folder, "data.pairs=true", "data.batch_size=2"), runs / "run")
    shutil.rmtree(runs / ".cache")
    shutil.copytree(runs / "cut", runs / "other")
    assert_same_checkpoint(train(Request(data_dir=folder), runs / "cut", resume=True).path, run.path)
    assert (run.path / "previews" / "targets.png").is_file()

    source = prepare_data(Request.of(run), run.recipe, runs / ".cache").split.train.a[0].files[0]
    shutil.copy(source.with_name("mask.nii.gz"), source.with_name("ct.nii.gz"))
    with pytest.raises(RunError, match=r"The data differs from what .*other was trained on"):
        train(Request(data_dir=folder), runs / "other", resume=True)


def test_a_single_slice_is_looked_for_in_the_middle_of_a_volume(data, monkeypatch):
    """Of 41 slices the middle one and those two away."""
    source = replace(data.train[0][0], positions=(0,), planes=("axial",))
    other = replace(data.train[1][0], positions=tuple(range(41)), planes=("axial",) * 41)
    asked = []
    monkeypatch.setattr(targets.Template, "likeness", lambda self, *found: 0.0)
    monkeypatch.setattr(targets.Template, "register", lambda self, *found: (0.0, np.zeros((32, 32), np.float32)))
    monkeypatch.setattr(targets, "_slice", lambda scan, row: (asked.append(row), None))
    targets._Job(source, 0, None, [other], 8.0, 1)()
    assert asked[:3] == [18, 20, 22]


def test_the_picture_has_a_row_a_scan_and_a_column_a_target(data, tmp_path, monkeypatch):
    codes = np.zeros((4, 32, 32, 3), np.int16)
    codes[2] = [0, STEPS, STEPS]  # the middle slice
    drawn = []
    monkeypatch.setattr("kerasgan.pictures.patients.image_grid", lambda *arguments: drawn.append(arguments))
    draw_targets(data, [codes] * 4, tmp_path / "targets.png")
    ((rows, titles, path),) = drawn
    assert titles == ["MR", "CT 1", "CT 2", "CT 3", "median"] and path == tmp_path / "targets.png"
    assert [[float(image.mean()) for image in row[1:]] for row in rows] == [[0.0, 1.0, 1.0, 1.0]] * 4
    np.testing.assert_array_equal(rows[3][0], data.train[0][3].codes[2][..., 0] / STEPS)
