"""The slice cache: built once, keyed by data and settings, whole or not there."""

import json
import multiprocessing
import os
import stat
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from tiny import build_cache_in_another_process

from kerasgan.config import Recipe
from kerasgan.datasets import Scan
from kerasgan.errors import DatasetError, DicomError, KerasganError
from kerasgan.io import Series
from kerasgan.io.nifti import read_image
from kerasgan.scans.preparation import preparation, prepare
from kerasgan.scans.volume import SourceSlice
from kerasgan.training import cache as slice_cache
from kerasgan.training.cache import STEPS, build, fingerprint

SETTINGS = preparation(
    Recipe(name="x").with_overrides(
        ["data.size=32", "intensity.bias_correction=false", "data.minimum_body_fraction=0.01"]
    ),
    "head",
    (-1000.0, 1600.0),
    256.0,
)


@pytest.fixture
def scans(tmp_path) -> list[Scan]:
    from tiny import write_head  # imports TensorFlow, which the processes below need not

    write_head(tmp_path / "one", 0)
    files = {"MR": ("a", "mr"), "CT": ("b", "ct")}
    return [
        Scan("p0", domain, modality, (tmp_path / "one" / f"{name}.nii.gz",))
        for modality, (domain, name) in files.items()
    ]


@pytest.fixture
def preparations(monkeypatch) -> list[str]:
    """The modality of each scan that is really prepared."""
    seen = []
    monkeypatch.setattr(
        slice_cache,
        "prepare",
        lambda volume, *args, **options: seen.append(volume.modality) or prepare(volume, *args, **options),
    )
    return seen


@dataclass(frozen=True)
class Repaired(Scan):
    """A scan that strict reading refuses."""

    def load(self, strict: bool = False):
        if strict:
            raise DicomError("uneven slice gaps")
        return replace(super().load(), warnings=("resampled",))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_slices_of_three_planes_follow_each_other(tmp_path):
    from tiny import write_head

    write_head(tmp_path / "one", 0, shape=(24, 40, 32))  # 120 mm high, 240 mm deep, 192 mm wide, on 8 mm
    scan = Scan("p0", "b", "CT", (tmp_path / "one" / "ct.nii.gz",))
    settings = SETTINGS.model_copy(update={"planes": ("axial", "coronal", "sagittal")})
    (found,) = build([scan], settings, tmp_path / "cache")
    whole = prepare(scan.load(), settings, crop=True).views(crop=True)
    assert [len(view.mask) for view in whole] == [15, 30, 24]
    everything = np.concatenate([view.slices for view in whole])
    np.testing.assert_allclose(found.slices(), everything[list(found.positions)], atol=0.51 / STEPS)
    assert found.codes.shape[1:] == (32, 32, 1)
    assert min(found.positions) < 15 and max(found.positions) > 45  # the outermost have no body
    (axial,) = build([scan], SETTINGS, tmp_path / "cache")  # beside it, under a key of its own
    assert axial.positions == tuple(range(24))


def test_slices_are_the_prepared_ones_to_half_a_code(scans, tmp_path):
    cached = build(scans, SETTINGS, tmp_path / "cache")
    for scan, found in zip(scans, cached, strict=True):
        wanted = prepare(scan.load(), SETTINGS, crop=True)
        assert found.codes.dtype == np.int16
        assert found.positions == tuple(wanted.informative(0.01))
        np.testing.assert_allclose(found.slices(), wanted.slices[list(found.positions)], atol=0.51 / STEPS)
        np.testing.assert_array_equal(found.mask, wanted.mask[list(found.positions)])
        assert found.map == wanted.map
    assert [scan.slices([1]).shape for scan in cached] == [(1, 32, 32, 1)] * 2


def test_slices_are_memory_mapped_and_hold_no_file_open(scans, tmp_path):
    cached = build(scans, SETTINGS, tmp_path / "cache")
    assert isinstance(cached[0].codes, np.memmap)
    held = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    many = build(scans * 40, SETTINGS, tmp_path / "cache")
    [scan.codes[0] for scan in many]
    if held:
        assert len(os.listdir("/proc/self/fd")) < held + 10


def test_slices_without_body_are_left_out(scans, tmp_path):
    image = sitk.ReadImage(str(scans[1].files[0]))
    array = sitk.GetArrayFromImage(image)
    array[:2] = -1000
    found = sitk.GetImageFromArray(array)
    found.CopyInformation(image)
    sitk.WriteImage(found, str(scans[1].files[0]))
    (cached,) = build(scans[1:], SETTINGS, tmp_path / "cache")
    assert cached.positions == (2, 3)
    assert cached.codes.shape == (2, 32, 32, 1)


def test_a_second_build_prepares_nothing(scans, tmp_path, preparations):
    first = build(scans, SETTINGS, tmp_path / "cache")
    assert sorted(preparations) == ["CT", "MR"]
    second = build(scans, SETTINGS, tmp_path / "cache")
    assert len(preparations) == 2
    assert first == second
    assert fingerprint(first) == fingerprint(second[::-1])


def test_key_follows_settings_and_data(scans, tmp_path, preparations):
    (before,) = build(scans[:1], SETTINGS, tmp_path / "cache")
    (other,) = build(scans[:1], SETTINGS.model_copy(update={"pixel_mm": 7.0}), tmp_path / "cache")
    os.utime(scans[0].files[0], (1, 1))
    (touched,) = build(scans[:1], SETTINGS, tmp_path / "cache")
    assert len(preparations) == 3
    assert len({scan.stem for scan in (before, other, touched)}) == 3
    assert fingerprint([before]) == fingerprint([touched]) != fingerprint([other])  # it follows what the slices hold
    assert before.codes.shape == (4, 32, 32, 1)  # the former entries are still there


@dataclass(frozen=True)
class Echo(Scan):
    """One of several scans in a file of many frames; later ones are darker."""

    def load(self, strict: bool = False):
        volume = read_image(self.files[0])
        return volume.with_array(volume.array / (1 + self.series.slices[0].frame))


def test_scans_of_one_file_have_entries_of_their_own(scans, tmp_path):
    def echo(first: int) -> Scan:
        places = [SourceSlice(files[0], first + i, (0, 0, i), (1, 0, 0, 0, 1, 0), (1, 1), (4, 4)) for i in range(3)]
        return Echo("p0", "a", "MR", files, series=Series("", "MR", "", files, slices=tuple(places)))

    files = scans[0].files
    settings = SETTINGS.model_copy(update={"mr_window": (0.0, 300.0)})
    one, other = build([echo(0), echo(3)], settings, tmp_path / "cache")
    assert one.stem != other.stem
    assert not np.array_equal(one.codes, other.codes)


def test_key_is_the_same_from_every_working_directory(scans, tmp_path, preparations, monkeypatch):
    absolute = build(scans, SETTINGS, tmp_path / "cache")
    monkeypatch.chdir(tmp_path)
    relative = [replace(scan, files=tuple(path.relative_to(tmp_path) for path in scan.files)) for scan in scans]
    assert fingerprint(build(relative, SETTINGS, tmp_path / "cache")) == fingerprint(absolute)
    assert len(preparations) == 2


@pytest.mark.parametrize("moment", [0, 1, 2])
def test_interrupted_writing_leaves_nothing_that_is_taken_for_whole(scans, tmp_path, monkeypatch, preparations, moment):
    """The disk is full, or the power goes, at the first, second or third file of an entry."""
    cache, calls, fsync = tmp_path / "cache", [], os.fsync

    def fail(descriptor):
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):  # not every disk syncs a folder, so that may fail
            calls.append(descriptor)
            if len(calls) == moment + 1:
                raise OSError(28, "No space left on device")
        fsync(descriptor)

    with monkeypatch.context() as patch, pytest.raises(KerasganError, match=r"Cannot write .*No space left"):
        patch.setattr(os, "fsync", fail)
        build(scans[:1], SETTINGS, cache)
    assert not [name for name in names(cache) if name.endswith(".json") or name.startswith(".")]
    (cached,) = build(scans[:1], SETTINGS, cache)
    assert len(preparations) == 2
    assert len(names(cache)) == 3
    np.testing.assert_allclose(
        cached.slices(), prepare(scans[0].load(), SETTINGS, crop=True).slices[list(cached.positions)], atol=1e-4
    )


def test_one_scan_named_twice_is_no_collision(scans, tmp_path):
    cached = build(scans[:1] * 8, SETTINGS, tmp_path / "cache")
    assert len(set(map(str, (scan.stem for scan in cached)))) == 1
    assert len(names(tmp_path / "cache")) == 3


def test_two_processes_may_build_at_once(scans, tmp_path):
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(2), context.Queue()
    arguments = (scans, SETTINGS, tmp_path / "cache", barrier, results)
    processes = [context.Process(target=build_cache_in_another_process, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    found = {results.get(timeout=120) for _ in processes}
    for process in processes:
        process.join()
    assert found == {fingerprint(build(scans, SETTINGS, tmp_path / "cache"))}
    assert len(names(tmp_path / "cache")) == 6


def test_strict_reading_is_not_answered_from_a_repaired_entry(scans, tmp_path):
    repaired = Repaired(scans[0].patient, "a", "MR", scans[0].files)
    build([repaired], SETTINGS, tmp_path / "cache")
    with pytest.raises(DicomError, match="uneven slice gaps"):
        build([repaired], SETTINGS, tmp_path / "cache", strict=True)
    assert build([repaired], SETTINGS, tmp_path / "cache")[0].codes.shape == (4, 32, 32, 1)


def test_an_unrepaired_entry_serves_a_strict_reader(scans, tmp_path, preparations):
    build(scans, SETTINGS, tmp_path / "cache")
    build(scans, SETTINGS, tmp_path / "cache", strict=True)
    assert len(preparations) == 2


def test_a_constant_scan_is_named_by_patient_key_and_modality(scans, tmp_path):
    image = sitk.ReadImage(str(scans[0].files[0]))
    sitk.WriteImage(image * 0 + 7, str(scans[0].files[0]))
    with pytest.raises(DatasetError, match=r"MR scan of patient p0 .*: all voxels are 7; expected an image"):
        build(scans, SETTINGS, tmp_path / "cache")
    assert not [name for name in names(tmp_path / "cache") if name.startswith(".")]


@pytest.fixture
def labelled(scans, tmp_path) -> Scan:
    """The CT, where the second and third slice have labels 0 to 3 in quarters."""
    image = sitk.ReadImage(str(scans[1].files[0]))
    quarters = np.add.outer(2 * (np.arange(40) >= 20), np.arange(32) >= 16)
    found = sitk.GetImageFromArray((quarters * np.array([0, 1, 1, 0])[:, None, None]).astype(np.uint8))
    found.CopyInformation(image)
    sitk.WriteImage(found, str(tmp_path / "labels.nii.gz"))
    return replace(scans[1], labels=tmp_path / "labels.nii.gz")


def test_labels_lie_beside_the_slices(scans, labelled, tmp_path):
    (cached,) = build([labelled], SETTINGS, tmp_path / "cache")
    assert cached.labelled and isinstance(cached.labels, np.memmap) and cached.labels.dtype == np.uint8
    assert (*cached.labels.shape, 1) == cached.codes.shape
    # 40 x 32 pixels of 6 mm on 32 x 32 of 8 mm: 30 rows with one of padding on both sides, 24 columns with four.
    assert np.unique(cached.labels[1]).tolist() == [0, 1, 2, 3]
    assert cached.labels[1, [1, 16, 16], [16, 4, 27]].tolist() == [1, 2, 3]
    assert not cached.labels[0].any() and not cached.labels[1, -1].any() and not cached.labels[1, :, 28:].any()


def test_labels_are_part_of_the_key(scans, labelled, tmp_path, preparations):
    without, with_labels = build([scans[1], labelled], SETTINGS, tmp_path / "cache")
    os.utime(labelled.labels, (1, 1))
    (touched,) = build([labelled], SETTINGS, tmp_path / "cache")
    assert len(preparations) == 3
    assert len({scan.stem for scan in (without, with_labels, touched)}) == 3
    assert fingerprint([without]) != fingerprint([with_labels]) == fingerprint([touched])
    assert build([scans[1], labelled], SETTINGS, tmp_path / "cache") == [without, touched]
    with pytest.raises(DatasetError, match=r"A scan has no labels, which are needed here; add them\.$"):
        without.labels  # noqa: B018


def test_labels_on_another_grid_are_refused(labelled, tmp_path):
    image = sitk.ReadImage(str(labelled.labels))
    sitk.WriteImage(image[:, :30], str(labelled.labels))
    wanted = r"The label map of patient .* is not on the grid of its .. scan .*; resample it"
    with pytest.raises(DatasetError, match=wanted):
        build([labelled], SETTINGS, tmp_path / "cache")


@pytest.mark.parametrize("ending", ["json", "npy", "mask.npy"])
@pytest.mark.parametrize("damage", [lambda content: content[:-9], lambda content: content[:-9] + b"#" + content[-8:]])
def test_a_damaged_entry_is_prepared_again_with_a_line(scans, tmp_path, preparations, caplog, ending, damage):
    (whole,) = build(scans[:1], SETTINGS, tmp_path / "cache")
    before, path = whole.slices(), Path(f"{whole.stem}.{ending}")
    path.write_bytes(damage(path.read_bytes()))
    assert build(scans[:1], SETTINGS, tmp_path / "cache") == [whole]
    np.testing.assert_array_equal(whole.slices(), before)
    wanted = "The prepared slices of the MR scan of patient p0 are damaged; they are prepared again."
    assert [preparations, caplog.messages] == [["MR", "MR"], [wanted]]
    build(scans[:1], SETTINGS, tmp_path / "cache")
    assert preparations == ["MR", "MR"]


def test_slices_that_are_lost_in_use_are_named(scans, tmp_path):
    (cached,) = build(scans[:1], SETTINGS, tmp_path / "cache")
    cached.require_whole()
    Path(f"{cached.stem}.npy").unlink()
    with pytest.raises(DatasetError, match=r"slices in \S+cache were removed or damaged while .* Continue .* --resume"):
        cached.require_whole()


def test_facts_name_no_file_or_patient(scans, tmp_path):
    (cached,) = build(scans[:1], SETTINGS, tmp_path / "cache")
    facts = json.loads(Path(f"{cached.stem}.json").read_text())
    assert set(facts) == {"files", "positions", "planes", "map", "repaired", "digest", "grid", "measurements", "sha256"}
    assert set(facts["files"]) == {"npy", "mask.npy"}
    assert facts["repaired"] is False
