from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage
from skimage.filters import threshold_otsu

from kerasgan.datasets import load_scans
from kerasgan.export.mr_range import body_estimate, otsu_threshold, volume_window
from kerasgan.scans.geometry import oriented
from kerasgan.scans.intensity import body_mask, percentile_map
from kerasgan.scans.volume import Volume

HEADS = Path(__file__).parents[3] / "shared" / "data" / "sr23-brain"
ANY = tf.TensorSpec((None, None, None, 1), tf.float32)
PERCENTILES = (0.5, 99.5)


@pytest.fixture(params=["eager", "graph"])
def window(request):
    def find(image):
        return volume_window(image, PERCENTILES)

    found = find if request.param == "eager" else tf.function(find, input_signature=[ANY])
    return lambda image: found(tf.constant(image, tf.float32)).numpy()


@pytest.fixture
def head():
    """Six slices of tissue from 100 to 400 with a dark cavity, in noise up to 8."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[-1:1:61j, -1:1:57j]
    body = np.broadcast_to(rows**2 + columns**2 < 0.7, (6, 61, 57))
    cavity = np.broadcast_to((rows - 0.2) ** 2 + columns**2 < 0.05, body.shape)
    tissue = np.where(cavity, 0, rng.uniform(100, 400, body.shape))
    return np.where(body, tissue, 0) + rng.uniform(0, 8, body.shape), body


def test_percentiles_over_the_body_with_its_cavities(window, head):
    image, body = head
    low, high = window(image[..., None])
    wanted = np.percentile(image[body], PERCENTILES)
    np.testing.assert_allclose([low, high], wanted, atol=0.01 * (wanted[1] - wanted[0]))


def filled(shape=(3, 60, 80), coil=False, noise=8):
    """Fat, muscle a quarter as bright and gas from border to border; through a coil, what is far from it is dark."""
    y, x = np.mgrid[-1 : 1 : shape[1] * 1j, -1 : 1 : shape[2] * 1j]
    muscle = np.abs(np.sin(4 * x) + np.cos(5 * y)) < 0.9
    values = np.where(np.hypot(x, y) < 0.1, 5.0, np.where(muscle, 90.0, 360.0))
    shading = 1 / (0.1 + x**2 + (y - 0.3) ** 2) if coil else 1
    return np.abs(values * shading + np.random.default_rng(0).normal(0, noise, shape))


def beside_air(noise):
    """What fills its slices, with a quarter of air above it, of some noise."""
    air = np.hypot(*np.random.default_rng(1).normal(0, noise, (2, 3, 20, 80)))
    return np.concatenate([air, filled() + 100], axis=1)


MRS = {  # and whether air is around the body
    "even": (filled(), False),
    "coil": (filled(coil=True), False),
    "coil of mean 0": (filled(coil=True) - filled(coil=True).mean(), False),
    "still air": (beside_air(0), True),
    "air": (beside_air(8), True),
    "noisy air": (beside_air(40), True),
}


@pytest.mark.parametrize("name", MRS)
def test_air_is_told_from_dark_tissue_as_in_a_preparation(window, name):
    """The whole frame counts where the body fills it: as the body alone, dark tissue would be left out."""
    image, is_air = MRS[name]
    volume = Volume(image.astype(np.float32), (2.0, 2.0, 3.0))
    mask = body_mask(volume)
    assert mask.all() != is_air
    wanted = percentile_map(volume.array, mask, PERCENTILES)
    within = (0.03 if is_air else 0.003) * (wanted.high - wanted.low)
    np.testing.assert_allclose(window(image[..., None]), [wanted.low, wanted.high], atol=within)


def test_a_few_very_bright_voxels_change_nothing(window, head):
    image, _ = head
    before = window(image[..., None])
    image[0, 30, 28:31] = 100_000
    np.testing.assert_allclose(window(image[..., None]), before, atol=0.02 * (before[1] - before[0]))


def test_the_unit_does_not_matter(window, head):
    image = head[0][..., None]
    np.testing.assert_allclose(window(image * 0.001 - 7) + 7, window(image) * 0.001, atol=1e-4)


@pytest.mark.parametrize("shape", [(1, 5, 5, 1), (2, 9, 1, 1), (1, 1, 9, 1)])
def test_without_a_body_all_values_count(window, shape):
    image = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    low, high = window(image)
    assert 0 <= low < high <= image.max()


@pytest.mark.parametrize("value", [0.0, -3.5])
def test_a_constant_image(window, value):
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"No intensity range .* give slices with anatomy"):
        window(np.full((2, 8, 8, 1), value))


def test_otsu_is_that_of_scikit_image(head):
    image = head[0].astype(np.float32)
    found = otsu_threshold(tf.constant(image), tf.constant([image.min(), image.max()])).numpy()
    step = float(np.ptp(image)) / 128
    assert found == pytest.approx(threshold_otsu(image, nbins=128), abs=step)


def test_single_bright_voxels_are_no_body_and_holes_are():
    image = np.zeros((1, 16, 16, 1), np.float32)
    image[0, 2:12, 3:13] = 1
    image[0, 5:9, 6:10] = 0
    image[0, 14, 1] = 1
    expected = np.zeros((16, 16), bool)
    expected[2:12, 3:13] = True
    np.testing.assert_array_equal(body_estimate(tf.constant(image), tf.constant(0.5))[0, ..., 0], expected)


@pytest.mark.slow
@pytest.mark.skipif(not HEADS.is_dir(), reason="the real heads are not at ../shared/data/sr23-brain")
def test_real_heads_get_nearly_the_range_of_a_preparation():
    _, scans = load_scans("synthrad", HEADS)
    errors = {1: [], 2: []}
    for scan in [scan for scan in scans if scan.domain == "a"][::5]:
        volume = oriented(scan.load())
        own = percentile_map(volume.array, body_mask(volume), PERCENTILES)
        for factor, found in errors.items():
            image = ndimage.uniform_filter(volume.array, (0, factor, factor))[:, ::factor, ::factor]
            window = volume_window(tf.constant(image[..., None], tf.float32), PERCENTILES).numpy()
            found.append((window - [own.low, own.high]) / (own.high - own.low))
    as_acquired, halved = (np.abs(errors[factor]) for factor in (1, 2))
    assert len(as_acquired) >= 10
    assert as_acquired.max() < 0.01
    assert halved.max() < 0.12 and halved.mean() < 0.04
