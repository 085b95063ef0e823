"""A segmentation network learns an organ from labelled slices and finds it in another patient's whole scan."""

from dataclasses import replace
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import SimpleITK as sitk
from tiny import copy_after, write_head

from kerasgan.config import Augmentation, Component, Recipe
from kerasgan.datasets import Scan
from kerasgan.errors import DatasetError, DivergenceError
from kerasgan.scans.geometry import oriented
from kerasgan.scans.preparation import preparation, prepare
from kerasgan.training import segmentation
from kerasgan.training.cache import build
from kerasgan.training.segmentation import Settings, Validation, segment, segment_prepared, train
from kerasgan.training.segmentation import _loss as loss
from kerasgan.training.slices import LabelledStore, TranslatedSlices, WithSynthetic

OVERRIDES = ["data.size=32", "intensity.bias_correction=false", "data.minimum_body_fraction=0.01"]
PREPARATION = preparation(Recipe(name="x").with_overrides(OVERRIDES), "head", (-1000.0, 1600.0), 256.0)
SETTINGS = Settings(
    network=Component(name="unet", filters=4, depth=2),
    steps=80,
    batch_size=4,
    learning_rate=0.01,
    precision="float32",
    augmentation=Augmentation(rotation_degrees=20),
)
BONE, BRAIN = 7, 3  # label values; classes 1 and 2
CLASSES = np.zeros(256, np.uint8)
CLASSES[[BONE, BRAIN]] = 1, 2


def labelled_head(folder, seed: int) -> Scan:
    """The CT of a head of ellipses with its bone and its inside labelled."""
    write_head(folder, seed)
    image = sitk.ReadImage(str(folder / "ct.nii.gz"))
    ct = sitk.GetArrayFromImage(image)
    labels = sitk.GetImageFromArray(np.select([ct > 400, ct > -400], [BONE, BRAIN], 0).astype(np.uint8))
    labels.CopyInformation(image)
    sitk.WriteImage(labels, str(folder / "labels.nii.gz"))
    return Scan(f"p{seed}", "b", "CT", (folder / "ct.nii.gz",), labels=folder / "labels.nii.gz")


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    folder = tmp_path_factory.mktemp("heads")
    return [labelled_head(folder / str(seed), seed) for seed in range(4)]


@pytest.fixture(scope="module")
def slices(scans, tmp_path_factory):
    return LabelledStore(build(scans[:3], PREPARATION, tmp_path_factory.mktemp("cache")), CLASSES)


@pytest.fixture(scope="module")
def network(slices):
    return train(slices, 3, SETTINGS, seed=1)


def dice(found: np.ndarray, wanted: np.ndarray, number: int) -> float:
    one, other = found == number, wanted == number
    return 2 * np.sum(one & other) / (one.sum() + other.sum())


@pytest.mark.parametrize("code", ["LPS", "PIR"])
def test_structures_of_another_patient_are_found_on_the_scans_own_grid(network, scans, code):
    scan = scans[3]
    volume = scan.load()
    labels = oriented(volume.with_array(scan.load_labels(like=volume)), code).array.astype(int)
    found = segment(network, oriented(volume, code), PREPARATION)
    assert (found.dtype, found.shape) == (np.uint8, labels.shape)
    assert dice(found, CLASSES[labels], 1) > 0.8  # a rim of one or two pixels
    assert dice(found, CLASSES[labels], 2) > 0.95


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(slices):
    settings = SETTINGS.model_copy(update={"steps": 3})
    first, again, other = (train(slices, 3, settings, seed).get_weights() for seed in (5, 5, 6))
    assert all(np.array_equal(x, y) for x, y in zip(first, again, strict=True))
    assert not any(np.array_equal(x, y) for x, y in zip(first, other, strict=True) if x.any())


def test_an_interrupted_training_goes_on_to_the_same_weights(slices, tmp_path, monkeypatch):
    settings = SETTINGS.model_copy(update={"steps": 6})
    whole = train(slices, 3, settings, seed=5)
    monkeypatch.setattr(segmentation, "CHECKPOINT_EVERY", 2)
    folder, cut = tmp_path / "whole", tmp_path / "cut"
    with monkeypatch.context() as patch:
        copy_after(patch, 4, folder, cut)
        train(slices, 3, settings, 5, folder)
    assert [path.stem for path in sorted(cut.iterdir())] == ["step-000000002", "step-000000004"]
    for place in (cut, cut, folder):  # the second time nothing is left to train
        found = train(slices, 3, settings, 5, place)
        for array, expected in zip(found.get_weights(), whole.get_weights(), strict=True):
            np.testing.assert_array_equal(array, expected)
    assert sorted(cut.iterdir())[-1].stem == "step-000000006"


@pytest.fixture(scope="module")
def others(scans, tmp_path_factory):
    """The slices of a patient that is not trained on."""
    return LabelledStore(build(scans[3:], PREPARATION, tmp_path_factory.mktemp("cache")), CLASSES)


def test_the_weights_with_the_highest_iou_are_kept_by_hand():
    """Pixels 0 and 1 of class 1; a network that finds those brighter than its threshold."""
    image, classes = np.array([[[0.9], [0.1], [-0.5], [-0.9]]], np.float32), np.array([[1, 1, 0, 0]], np.uint8)
    inputs = keras.Input((None, None, 1))
    network = keras.Model(inputs, keras.layers.Conv2D(2, 1)(inputs))
    network.compile(keras.optimizers.Adam())
    validation = Validation([(image, classes)] * 9, patience=20)
    validation.set_model(network)
    validation.begin(network)
    found = []
    for step, threshold in ((10, 0.5), (20, -0.7), (30, 0.5), (40, -2.0)):  # 1, 3, 1 and 4 pixels found
        network.set_weights([np.array([[[[0.0, 1.0]]]]), np.array([0.0, -threshold])])
        network.optimizer.iterations.assign(step)
        validation.on_epoch_end(0)
        found.append((float(validation.iou), int(validation.step), network.stop_training))
    np.testing.assert_allclose([iou for iou, *_ in found], [1 / 2, 2 / 3, 2 / 3, 2 / 3])
    assert [rest for _, *rest in found] == [[10, False], [20, False], [20, False], [20, True]]
    np.testing.assert_allclose(validation.best[1], [0, 0.7])


def test_a_training_ends_where_the_iou_does_not_rise_and_goes_back(slices, others, tmp_path, monkeypatch):
    """Validated on slices without a structure, so that no IoU is higher than the first one."""
    monkeypatch.setattr(segmentation, "CHECKPOINT_EVERY", 2)
    empty = [(image, np.zeros_like(classes)) for image, classes in (others[row] for row in range(len(others)))]
    wanted = train(slices, 3, SETTINGS.model_copy(update={"steps": 2}), 1).get_weights()
    for _ in range(2):  # the second time nothing is left to train
        validation = Validation(empty, patience=4)
        network = train(slices, 3, SETTINGS, 1, tmp_path, validation=validation)
        assert int(validation.step) == 2 and float(validation.iou) == 0
        assert sorted(tmp_path.iterdir())[-1].stem == "step-000000006"
        for array, expected in zip(network.get_weights(), wanted, strict=True):
            np.testing.assert_array_equal(array, expected)


def test_an_interrupted_training_with_validation_and_added_slices_goes_on_to_the_same_weights(
    slices, others, tmp_path, monkeypatch
):
    settings = SETTINGS.model_copy(update={"steps": 6})
    monkeypatch.setattr(segmentation, "CHECKPOINT_EVERY", 2)
    folder, cut = tmp_path / "whole", tmp_path / "cut"
    found = []
    for place in (folder, cut):
        validation = Validation(others, patience=100)
        with monkeypatch.context() as patch:
            copy_after(patch, 4, place, cut)
            network = train(slices, 3, settings, 5, place, added=slices, validation=validation)
        found.append((int(validation.step), float(validation.iou), *network.get_weights()))
    for array, expected in zip(*found, strict=True):
        np.testing.assert_array_equal(array, expected)


def test_the_network_is_plain_and_float32_after_mixed_precision(slices, tmp_path):
    settings = SETTINGS.model_copy(update={"steps": 2, "precision": "mixed_bfloat16"})
    network = train(slices, 3, settings)
    assert all(layer.compute_dtype == "float32" for layer in network.layers)
    assert not network.compiled


def test_a_second_channel_can_carry_what_the_first_lacks(slices, scans):
    """Noise in the first channel, the CT in the second: as with a scan and its synthetic counterpart."""
    rng = np.random.default_rng(0)

    def with_noise(image):
        return np.concatenate([rng.uniform(-1, 1, image.shape).astype(np.float32), image], axis=-1)

    two = [(with_noise(image), classes) for image, classes in (slices[i] for i in range(len(slices)))]
    network = train(two, 3, SETTINGS, seed=1)
    volume = scans[3].load()
    prepared = prepare(volume, PREPARATION, crop=False)
    found = segment_prepared(network, prepared, with_noise(prepared.slices))
    assert dice(found, CLASSES[scans[3].load_labels()], 2) > 0.9


def test_slices_without_body_stay_background(network, scans):
    prepared = prepare(scans[3].load(), PREPARATION, crop=False)
    mask = prepared.mask.copy()
    mask[1] = False
    found = segment_prepared(network, replace(prepared, mask=mask), prepared.slices, batch_size=2)
    assert not found[1].any() and all(found[index].any() for index in (0, 2, 3))


def test_loss_of_sure_and_of_undecided_networks_by_hand():
    """Half of the pixels are of class 1. Undecided: cross-entropy log 2, Dice 2 (1/4) / (1/2 + 1/4)."""
    classes = np.tile([0.0, 1.0], (2, 40, 20))  # floats, as Keras hands them over
    sure = 50 * np.eye(2, dtype=np.float32)[classes.astype(int)]
    np.testing.assert_allclose(loss(classes, sure), [0, 0], atol=1e-4)
    np.testing.assert_allclose(loss(classes, 0 * sure), np.log(2) + 1 / 3, atol=0.01)
    np.testing.assert_allclose(loss(classes[:, :, ::-1], sure), 51, atol=0.5)  # surely wrong: 50 and 1


def inverting() -> keras.Model:
    """A generator of another modality: dark becomes bright."""
    inputs = keras.Input((None, None, 1))
    return keras.Model(inputs, -inputs)


@pytest.mark.parametrize("batch_size", [1, 5])
def test_translated_slices_are_the_generators_with_the_classes_of_their_source(slices, batch_size, tmp_path):
    synthetic = TranslatedSlices(slices, inverting(), tmp_path / "codes.npy", batch_size)
    assert isinstance(synthetic.codes, np.memmap)
    assert len(synthetic) == len(slices) > 5
    for index in range(len(slices)):
        (image, classes), (source, own) = synthetic[index], slices[index]
        assert image.dtype == np.float32 and image.shape == source.shape
        np.testing.assert_allclose(image, -source, atol=1 / 32767)
        np.testing.assert_array_equal(classes, own)
    images, classes = WithSynthetic(synthetic)[3]
    np.testing.assert_allclose(images, np.concatenate([slices[3][0], -slices[3][0]], axis=-1), atol=1 / 32767)
    np.testing.assert_array_equal(classes, slices[3][1])


def test_slices_are_translated_once(slices, tmp_path):
    path = tmp_path / "codes.npy"
    with pytest.raises(ZeroDivisionError):
        TranslatedSlices(slices, SimpleNamespace(predict_on_batch=lambda images: 1 / 0), path)
    assert not list(tmp_path.iterdir())  # nothing half-done passes for the whole
    first = TranslatedSlices(slices, inverting(), path)
    again = TranslatedSlices(slices, None, path)
    np.testing.assert_array_equal(first[0][0], again[0][0])


def test_synthetic_slices_teach_what_the_real_ones_lack(slices, scans, tmp_path):
    """Real images of the other contrast come without the brain; translated CT brings it."""
    without_brain = [(-image, np.where(classes == 2, 0, classes)) for image, classes in (slices[0], slices[1])]
    synthetic = TranslatedSlices(slices, inverting(), tmp_path / "codes.npy")
    network = train(without_brain, 3, SETTINGS, seed=1, added=synthetic)
    prepared = prepare(scans[3].load(), PREPARATION, crop=False)
    found = segment_prepared(network, prepared, -prepared.slices)
    assert dice(found, CLASSES[scans[3].load_labels()], 2) > 0.9


def test_no_slices():
    with pytest.raises(DatasetError, match="no labelled slices to train a segmentation on; add scans with labels"):
        train([], 2, SETTINGS)


def test_a_loss_that_is_not_finite_stops_the_training(slices):
    image, classes = slices[0]
    with pytest.raises(DivergenceError, match="segmentation loss became nan at step 1; lower the learning rate"):
        train([(image * np.nan, classes)], 3, SETTINGS)
