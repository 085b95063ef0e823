"""Batches are a function of seed and step; augmentation does what its limits say."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import tensorflow as tf

from kerasgan.config import Augmentation
from kerasgan.errors import DatasetError
from kerasgan.scans.intensity import IntensityMap
from kerasgan.scans.volume import VoxelGrid
from kerasgan.training.batches import (
    Shuffled,
    augment,
    augment_labelled,
    decode,
    labelled_dataset,
    training_dataset,
)
from kerasgan.training.cache import STEPS, CachedScan
from kerasgan.training.slices import LabelledStore, SliceStore

NONE = Augmentation(flip=False, shift=0, scale=0, rotation_degrees=0)
RNG = np.random.default_rng(0)
GRID = VoxelGrid((1, 8, 8), ())


def stored(folder, name: str, values: list[int], side: int = 8) -> CachedScan:
    """A cached scan of flat slices that are told apart by their code."""
    codes = np.tile(np.array(values, np.int16)[:, None, None], (1, side, side))
    np.save(folder / f"{name}.npy", codes)
    np.save(folder / f"{name}.mask.npy", codes > 0)
    return CachedScan(folder / name, tuple(range(len(values))), IntensityMap(0, 1), digest="", grid=GRID)


@pytest.fixture
def stores(tmp_path):
    a = SliceStore([stored(tmp_path, "a0", [1, 2]), stored(tmp_path, "a1", [3]), stored(tmp_path, "a2", [4, 5])])
    return a, SliceStore([stored(tmp_path, "b0", [11, 12, 13])])


def codes(batch: tf.Tensor) -> list[int]:
    return np.rint(np.asarray(batch)[:, 0, 0, 0] * STEPS).astype(int).tolist()


def drawn(stores, count: int, batch_size: int = 1, seed: int = 0, first: int = 0, limits: Augmentation = NONE):
    return [(a.numpy(), b.numpy()) for a, b in training_dataset(stores, limits, batch_size, seed, first).take(count)]


def only(**limits: float) -> Augmentation:
    return NONE.model_copy(update=limits)


def test_sagittal_slices_and_their_targets_are_not_mirrored(tmp_path):
    """The left column of the axial slice has the code 200, that of the sagittal one 100, and the rest is 0."""
    codes = np.zeros((2, 4, 4), np.int16)
    codes[:, :, 0] = [[200], [100]]
    scan = replace(stored(tmp_path, "planes", [0, 0]), planes=("axial", "sagittal"))
    np.save(tmp_path / "planes.npy", codes)
    store = SliceStore([scan], targets=[codes[..., None]])
    found = []
    for a, b, targets in training_dataset((store, store), only(flip=True), 2, seed=0, first_step=0).take(12):
        np.testing.assert_array_equal(targets, a)
        rows = np.rint(np.stack([a, b])[:, :, 0, :, 0] * STEPS).astype(int).tolist()  # the first of each image
        found.append([{tuple(row) for row in own} for own in rows])
    for own in zip(*found, strict=True):
        assert set.union(*own) == {(200, 0, 0, 0), (0, 0, 0, 200), (100, 0, 0, 0)}


def test_no_thread_tunes_the_batches_as_a_stopped_program_would_wait_for_it(stores):
    assert training_dataset(stores, NONE, 1, seed=0, first_step=0).options().autotune.enabled is False


def test_store_finds_every_slice_of_every_scan(stores):
    assert len(stores[0]) == 5
    assert [int(stores[0][i][0, 0, 0]) for i in range(5)] == [1, 2, 3, 4, 5]
    assert len(SliceStore([])) == 0


def test_codes_are_decoded_to_the_networks_range():
    images = decode(tf.constant([[[[-STEPS], [0]], [[STEPS], [16384]]]], tf.int16))
    assert images.shape == (1, 2, 2, 1)
    np.testing.assert_allclose(images[0, :, :, 0], [[-1, 0], [1, 0.50002]], atol=1e-5)


def test_every_item_comes_once_before_any_comes_again():
    order = [index for batch in islice(Shuffled(5, (0, 0)).batches(2, 0), 10) for index in batch]
    assert [sorted(order[i : i + 5]) for i in range(0, 20, 5)] == [[0, 1, 2, 3, 4]] * 4
    assert len({tuple(order[i : i + 5]) for i in range(0, 20, 5)}) > 1


@pytest.mark.parametrize("first", [0, 1, 4, 7])
def test_order_can_be_entered_at_any_batch(first):
    shuffled = Shuffled(5, (3, 1))
    whole = list(islice(shuffled.batches(3, 0), 12))
    assert list(islice(shuffled.batches(3, first), 12 - first)) == whole[first:]


def test_a_domain_smaller_than_a_batch_is_repeated():
    assert next(Shuffled(1, (0, 0)).batches(3, 0)) == [0, 0, 0]


def test_batches_hold_each_slice_once_in_an_epoch(stores):
    found = drawn(stores, 15)
    a, b = ([codes(pair[i])[0] for pair in found] for i in (0, 1))
    assert [sorted(a[i : i + 5]) for i in (0, 5, 10)] == [[1, 2, 3, 4, 5]] * 3
    assert [sorted(b[i : i + 3]) for i in range(0, 15, 3)] == [[11, 12, 13]] * 5
    assert found[0][0].shape == (1, 8, 8, 1)
    assert found[0][0].dtype == np.float32


def test_images_of_several_channels_keep_them(tmp_path):
    scan = stored(tmp_path, "x", [1, 2])
    np.save(tmp_path / "x.npy", scan.codes * np.array([1, 10, 100], np.int16))
    assert scan.slices([1]).shape == (1, 8, 8, 3)
    store = SliceStore([scan])
    ((a, b),) = drawn((store, store), 1, batch_size=2)
    for batch in (a, b):
        assert batch.shape == (2, 8, 8, 3)
        values = np.rint(batch[:, 0, 0] * STEPS).astype(int).tolist()
        assert sorted(values) == [[1, 10, 100], [2, 20, 200]]


def test_targets_come_with_their_slices_and_are_moved_with_them(tmp_path):
    scan, other = stored(tmp_path, "a0", [0, 0]), stored(tmp_path, "b0", [7])
    images = RNG.integers(0, 30_000, (2, 8, 8)).astype(np.int16)
    np.save(tmp_path / "a0.npy", images)
    targets = np.stack([images, -images, images // 2], axis=-1)  # [slices, size, size, targets]
    stores = SliceStore([scan], targets=[targets]), SliceStore([other])
    limits = Augmentation(flip=True, shift=0.2, scale=0.2, rotation_degrees=20)
    for a, _, found in training_dataset(stores, limits, 2, seed=0, first_step=0).take(4):
        assert found.shape == (2, 8, 8, 3) and np.ptp(a) > 0.5
        np.testing.assert_array_equal(found[..., :1], a)
    ((a, _, found),) = training_dataset(stores, NONE, 1, seed=0, first_step=0).take(1)
    np.testing.assert_allclose(found[..., 1], -a[..., 0], atol=1e-6)


def test_a_store_without_targets_says_so(stores):
    with pytest.raises(ValueError, match="made without targets"):
        stores[0].target(0)


def test_a_batch_depends_on_seed_and_step_alone(stores):
    limits = Augmentation(flip=True, shift=0.2, scale=0.2, rotation_degrees=20)
    whole = drawn(stores, 7, batch_size=2, limits=limits)
    again = drawn(stores, 3, batch_size=2, first=4, limits=limits)
    for expected, found in zip(whole[4:], again, strict=True):
        np.testing.assert_array_equal(expected, found)
    other = drawn(stores, 7, batch_size=2, seed=1, limits=limits)
    assert any(not np.array_equal(x, y) for x, y in zip(whole, other, strict=True))


def test_domains_are_shuffled_and_augmented_independently(tmp_path):
    same = [SliceStore([stored(tmp_path, name, list(range(1, 21)))]) for name in ("x", "y")]
    pairs = drawn(tuple(same), 20)
    assert sum(codes(a) == codes(b) for a, b in pairs) < 8  # 1 expected
    ramp = np.tile(np.arange(8, dtype=np.int16), (1, 8, 1))
    np.save(tmp_path / "x.npy", ramp)
    one = SliceStore([CachedScan(tmp_path / "x", (0,), IntensityMap(0, 1), digest="", grid=GRID)])
    flips = [(a[0, 0, 0, 0] > 0, b[0, 0, 0, 0] > 0) for a, b in drawn((one, one), 40, limits=only(flip=True))]
    assert len(set(flips)) == 4


@pytest.mark.parametrize("size", [8, 9])
def test_no_limits_change_nothing_at_all(size):
    images = RNG.uniform(-1, 1, (3, size, size + 1, 1)).astype("float32")
    np.testing.assert_array_equal(augment(images, NONE, tf.constant([1, 2])), images)


@pytest.mark.parametrize("side", [8, 9])
def test_flip_is_left_right_about_half_of_the_time(side):
    images = RNG.uniform(-1, 1, (64, side, side, 1)).astype("float32")
    flipped = 0
    for before, after in zip(images, augment(images, only(flip=True), tf.constant([1, 2])).numpy(), strict=True):
        if np.array_equal(after, before):
            continue
        np.testing.assert_array_equal(after, before[:, ::-1])
        flipped += 1
    assert 16 < flipped < 48


def corner_image(side: int = 64) -> np.ndarray:
    """Smooth blobs off the centre, so that every geometric change shows."""
    y, x = np.mgrid[:side, :side].astype(float)
    blobs = [np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 60) for cy, cx in ((20, 40), (44, 26), (40, 46))]
    return (2 * sum(blobs) - 1).astype("float32")[None, ..., None]


def blob_centres(image: np.ndarray) -> np.ndarray:
    """Centre of mass `(y, x)` of what is brighter than air."""
    weight = np.clip(np.asarray(image)[0, ..., 0] + 1, 0, None)
    grid = np.mgrid[: weight.shape[0], : weight.shape[1]]
    return (grid * weight).sum((1, 2)) / weight.sum()


def spread(image: np.ndarray) -> np.ndarray:
    """Second moments `[2, 2]` of the brightness."""
    weight = np.clip(np.asarray(image)[0, ..., 0] + 1, 0, None)
    grid = np.mgrid[: weight.shape[0], : weight.shape[1]] - blob_centres(image)[:, None, None]
    return np.einsum("iyx,jyx,yx->ij", grid, grid, weight) / weight.sum()


def test_shift_moves_within_the_limit_both_ways():
    image = corner_image()
    moves = np.array([blob_centres(augment(image, only(shift=0.1), tf.constant([0, i]))) for i in range(60)])
    moves -= blob_centres(image)
    assert (abs(moves) < 6.5).all()  # 0.1 of 64 pixels, and what a truncated blob adds
    assert (abs(moves).max(axis=0) > 4).all()
    assert (moves.min(axis=0) < 0).all() and (moves.max(axis=0) > 0).all()


def test_scale_changes_size_about_the_centre_within_the_limit():
    image = corner_image()
    centre = (np.array([64, 64]) - 1) / 2
    ratios = []
    for i in range(40):
        scaled = augment(image, only(scale=0.2), tf.constant([0, i]))
        ratio = np.sqrt(np.linalg.det(spread(scaled)) / np.linalg.det(spread(image))) ** 0.5
        np.testing.assert_allclose(blob_centres(scaled) - centre, ratio * (blob_centres(image) - centre), atol=0.2)
        ratios.append(1 / ratio)
    assert min(ratios) > 0.79 and max(ratios) < 1.21
    assert min(ratios) < 0.9 and max(ratios) > 1.1


def test_rotation_turns_about_the_centre_within_the_limit():
    image = corner_image()
    centre = (np.array([64, 64]) - 1) / 2
    before = blob_centres(image) - centre
    angles = []
    for i in range(40):
        after = blob_centres(augment(image, only(rotation_degrees=30), tf.constant([0, i]))) - centre
        assert np.hypot(*after) == pytest.approx(np.hypot(*before), abs=0.2)  # distance is kept
        angles.append(np.degrees(np.arctan2(after[0], after[1]) - np.arctan2(before[0], before[1])))
    angles = (np.array(angles) + 180) % 360 - 180
    assert abs(angles).max() < 31
    assert angles.min() < -10 and angles.max() > 10


def test_quarter_turn_is_numpys():
    """With limits of 90 degrees, the draw nearest to the limit turns like rot90, one way or the other."""
    image = corner_image(32)
    turned = [augment(image, only(rotation_degrees=90.0), tf.constant([0, i])).numpy() for i in range(400)]
    for way in (1, -1):
        wanted = np.rot90(image, way, axes=(1, 2))
        assert min(abs(candidate - wanted).max() for candidate in turned) < 0.1


def test_what_comes_in_is_air_and_the_range_is_kept():
    images = np.ones((32, 16, 16, 1), "float32")
    limits = Augmentation(flip=True, shift=0.3, scale=0.3, rotation_degrees=45)
    found = augment(images, limits, tf.constant([5, 5])).numpy()
    assert found.min() == -1
    assert found.max() <= 1 + 1e-6
    assert (found == 1).mean() > 0.4


def test_each_image_of_a_batch_is_changed_on_its_own():
    images = np.repeat(corner_image(32), 4, axis=0)
    found = augment(images, Augmentation(), tf.constant([5, 5])).numpy()
    assert all(not np.array_equal(found[0], other) for other in found[1:])


def test_an_image_and_its_labels_move_together():
    """Labels of the image's own bright part still cover it after every change, but for pixels on its edge."""
    image = np.repeat(corner_image(), 8, axis=0)
    limits = Augmentation(flip=True, shift=0.1, scale=0.2, rotation_degrees=40)
    labels = (image[..., 0] > 0).astype(np.int32) * 3
    for seed in range(5):
        moved, moved_labels = augment_labelled(image, labels, limits, tf.constant([0, seed]))
        np.testing.assert_array_equal(moved, augment(image, limits, tf.constant([0, seed])))
        bright, moved_labels = moved.numpy()[..., 0] > 0, moved_labels.numpy()
        assert set(np.unique(moved_labels)) == {0, 3}
        assert np.mean(bright != (moved_labels == 3)) < 0.01 < np.mean(bright != (labels == 3))


def test_labels_from_outside_are_background():
    ones = np.ones((16, 16, 16), np.int32)
    _, labels = augment_labelled(ones[..., None] * 1.0, ones, only(shift=0.4), tf.constant([1, 1]))
    assert (labels.dtype, set(np.unique(labels))) == (tf.int32, {0, 1})


def test_labels_move_in_a_graph_as_they_do_eagerly():
    image, seed = corner_image(32), tf.constant([3, 4])
    labels = (image[..., 0] > 0).astype(np.int32)
    for one, other in zip(
        tf.function(augment_labelled)(image, labels, Augmentation(), seed),
        augment_labelled(image, labels, Augmentation(), seed),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


def labelled_scan(folder, name: str, values: list[int]) -> CachedScan:
    """Flat slices; those of code `v` have the label `v` as well."""
    scan = stored(folder, name, values)
    np.save(folder / f"{name}.labels.npy", scan.codes[..., 0].astype(np.uint8))
    return replace(scan, labelled=True)


def test_labelled_store_gives_a_slice_and_its_classes(tmp_path):
    classes = np.zeros(256, np.uint8)
    classes[[2, 4]] = 1, 2
    scans = [labelled_scan(tmp_path, "a", [1, 2]), labelled_scan(tmp_path, "b", [3, 4])]
    store = LabelledStore(scans, classes)
    assert len(store) == 4
    found = [store[index] for index in range(4)]
    assert [int(labels[0, 0]) for _, labels in found] == [0, 1, 0, 2]
    assert found[3][0].shape == (8, 8, 1) and found[3][0].dtype == np.float32
    assert [round(float(image[0, 0, 0]) * STEPS) for image, _ in found] == [1, 2, 3, 4]
    with pytest.raises(DatasetError, match="A scan has no labels, which are needed here"):
        LabelledStore([*scans, stored(tmp_path, "c", [5])], classes)


def test_unpaired_batches_carry_the_classes_of_a_moved_with_its_images(tmp_path):
    """The label's edge lies where the image's lies, after every change; without labels the images are the same."""
    steps = np.where(np.arange(32) < 12, STEPS, -STEPS).astype(np.int16)
    codes = np.tile(steps, (3, 32, 1))
    np.save(tmp_path / "a.npy", codes)
    np.save(tmp_path / "a.labels.npy", np.where(codes > 0, 7, 0).astype(np.uint8))
    scan = CachedScan(tmp_path / "a", (0, 1, 2), IntensityMap(0, 1), digest="", grid=GRID, labelled=True)
    b = SliceStore([stored(tmp_path, "b", [11, 12, 13], side=32)])
    classes = np.zeros(256, np.uint8)
    classes[7] = 2
    limits = Augmentation(flip=True, shift=0.1, scale=0.1, rotation_degrees=10)

    def batches(store: SliceStore, first: int, count: int) -> list[list[np.ndarray]]:
        found = training_dataset((store, b), limits, 2, 0, first).take(count)
        return [[part.numpy() for part in batch] for batch in found]

    labelled, plain = batches(SliceStore([scan], classes), 0, 6), batches(SliceStore([scan]), 0, 6)
    for (a, other_a, found), (same_a, same_b) in zip(labelled, plain, strict=True):
        assert (found.shape, found.dtype) == ((2, 32, 32), np.int32)
        assert set(np.unique(found)) == {0, 2}
        assert np.mean((found == 2) != (a[..., 0] > 0)) < 0.02
        np.testing.assert_array_equal(a, same_a)
        np.testing.assert_array_equal(other_a, same_b)
    for expected, again in zip(labelled[4:], batches(SliceStore([scan], classes), 4, 2), strict=True):
        for one, other in zip(expected, again, strict=True):
            np.testing.assert_array_equal(one, other)


def test_store_asked_for_labels_needs_them(tmp_path):
    unlabelled = stored(tmp_path, "a", [1])
    with pytest.raises(DatasetError, match="A scan has no labels, which are needed here"):
        SliceStore([unlabelled], np.zeros(256, np.uint8))
    with pytest.raises(ValueError, match=r"made without classes; make it with those of DatasetCard.classes"):
        SliceStore([unlabelled]).labels(0)


def flat(numbers):
    """Slices of one value, which is also their class."""
    return [(np.full((2, 2, 1), n / 10, np.float32), np.full((2, 2), n, np.uint8)) for n in numbers]


def test_a_labelled_batch_has_as_many_slices_of_each_set_and_further_sets_change_nothing_of_the_first():
    real, synthetic = flat([1, 2, 3]), flat([7, 8, 9, 10, 11])
    alone, both = ([classes[:, 0, 0].numpy().tolist() for _, classes in labelled_dataset(sets, NONE, 2, 0).take(15)]
                   for sets in ([real], [real, synthetic]))  # fmt: skip
    assert [batch[:2] for batch in both] == alone
    drawn = [number for batch in both for number in batch[2:]]
    assert len(drawn) == 30 and {drawn.count(number) for number in (7, 8, 9, 10, 11)} == {6}
    images, classes = next(iter(labelled_dataset([real, synthetic], NONE, 2, 0)))
    np.testing.assert_allclose(images[..., 0], classes / 10, atol=1e-6)


def labelled_batches(count: int, first: int = 0, seed: int = 0, limits: Augmentation = NONE):
    """Batches of two of five slices of two channels, flat but for a corner, whose class is the slice's number."""
    slices = []
    for number in range(5):
        image = np.full((8, 8, 2), number / 10, np.float32)
        image[0, 0] = 1
        slices.append((image, np.full((8, 8), number, np.uint8)))
    batches = labelled_dataset([slices], limits, 2, seed, first).take(count)
    return [(images.numpy(), classes.numpy()) for images, classes in batches]


def test_labelled_batches_hold_each_slice_once_in_an_epoch_with_its_own_classes():
    found = labelled_batches(5)
    assert found[0][0].shape == (2, 8, 8, 2) and found[0][1].shape == (2, 8, 8)
    assert (found[0][0].dtype, found[0][1].dtype) == (np.float32, np.int32)
    order = [int(number) for _, classes in found for number in classes[:, 0, 0]]
    assert sorted(order[:5]) == sorted(order[5:]) == [0, 1, 2, 3, 4]
    for images, classes in found:
        np.testing.assert_allclose(images[:, 4, 4, 1], classes[:, 4, 4] / 10, atol=1e-6)


def test_a_labelled_batch_depends_on_seed_and_step_alone():
    limits = Augmentation(flip=True, shift=0.2, scale=0.2, rotation_degrees=20)
    whole, again = labelled_batches(6, limits=limits), labelled_batches(2, first=4, limits=limits)
    for expected, found in zip(whole[4:], again, strict=True):
        for one, other in zip(expected, found, strict=True):
            np.testing.assert_array_equal(one, other)
    other = labelled_batches(6, seed=1, limits=limits)
    assert any(not np.array_equal(x, y) for (x, _), (y, _) in zip(whole, other, strict=True))


def test_graph_and_eager_agree():
    image, limits, seed = corner_image(32), Augmentation(), tf.constant([3, 4])
    dataset = tf.data.Dataset.from_tensors(image).map(lambda x: augment(x, limits, seed))
    for found in (tf.function(augment)(image, limits, seed), next(iter(dataset))):
        np.testing.assert_array_equal(found, augment(image, limits, seed))
