"""The loop over slices: order, batches and what it refuses."""

import numpy as np
import pytest

from kerasgan.scans.slices import evenly_chosen, first_channel, predict_slices

SLICES = np.arange(5.0).reshape(5, 1, 1, 1)


@pytest.mark.parametrize(("batch_size", "batches"), [(1, [1] * 5), (2, [2, 2, 1]), (9, [5])])
def test_all_slices_go_through_in_their_order(batch_size, batches):
    seen = []

    def predict(batch):
        seen.append(len(batch))
        return 10 * batch

    np.testing.assert_array_equal(predict_slices(predict, SLICES, batch_size), 10 * SLICES)
    assert seen == batches


def test_no_slices_are_refused():
    with pytest.raises(ValueError, match="needs at least one slice; got none"):
        predict_slices(lambda batch: batch, SLICES[:0])


def test_the_first_channel_stands_for_an_image():
    images = np.arange(12).reshape(1, 2, 2, 3)
    np.testing.assert_array_equal(first_channel(images), [[[0, 3], [6, 9]]])
    np.testing.assert_array_equal(first_channel(SLICES), SLICES[..., 0])


@pytest.mark.parametrize(
    ("length", "count", "indices"), [(4, 4, [0, 1, 2, 3]), (2, 4, [0, 1]), (9, 3, [1, 4, 7]), (100, 1, [50])]
)
def test_indices_lie_in_the_middle_of_equal_shares(length, count, indices):
    assert evenly_chosen(length, count) == indices
