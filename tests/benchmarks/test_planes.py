"""The benchmark of planes, on voxels whose differences can be counted."""

import numpy as np
import planes
import pytest

from kerasgan.scans.volume import Volume


def test_disagreement_is_counted_where_two_planes_cross_inside_the_mask():
    axial = Volume(np.full((1, 3, 4), 10.0), (1, 1, 1), origin_mm=(0, 0, 5), modality="CT")
    coronal = Volume(np.full((9, 1, 4), 13.0), (1, 1, 1), origin_mm=(0, 2, 0), modality="CT")
    sagittal = Volume(np.full((9, 3, 1), 10.0), (1, 1, 1), origin_mm=(1, 0, 0), modality="CT")
    sagittal.array[5] = 12.0  # on the axial slice
    masks = [np.ones(one.shape, bool) for one in (axial, coronal, sagittal)]
    # 4 voxels of axial and coronal differ by 3, 3 of axial and sagittal by 2; of coronal and sagittal, 8 by 3, 1 by 1.
    expected = (4 * 3 + 3 * 2 + 8 * 3 + 1) / 16
    assert planes.disagreement([axial, coronal, sagittal], masks) == pytest.approx((expected, expected))
    coronal.array[5] = -1000.0  # the line with the axial slice, and one voxel of that with the sagittal
    expected = (4 * 1010 + 3 * 2 + 8 * 3 + 1012) / 16, (3 * 2 + 8 * 3) / 11
    assert planes.disagreement([axial, coronal, sagittal], masks) == pytest.approx(expected)
    coronal.array[5] = 13.0
    masks[0][:, :2] = False  # which leaves the line with the coronal slice, and one voxel of that with the sagittal
    assert planes.disagreement([axial, coronal, sagittal], masks)[0] == pytest.approx((4 * 3 + 2 + 8 * 3 + 1) / 14)


def test_stripes_from_slice_to_slice_are_rough_along_one_axis():
    rng = np.random.default_rng(0)
    noise, stripes = rng.normal(0, 100, (40, 40, 40)), np.array([100.0, -100.0] * 20)[:, None, None]
    volumes = [Volume(array, (2, 2, 2), modality="CT") for array in (noise, noise + stripes)]
    even, striped = map(planes.anisotropy, volumes)
    assert even == pytest.approx(1, abs=0.02)
    # The second difference of noise is normal with SD sqrt(6) * 100 = 245, of mean size 195. The stripes add 400 to it
    # along one axis, and the mean size of a normal value of mean 400 and SD 245 is 410.
    assert striped == pytest.approx(410 / 195, abs=0.05)
