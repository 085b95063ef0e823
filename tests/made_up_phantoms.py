"""Small phantom datasets, each written once for the tests of the phantom and of the datasets that read it."""

import pytest

from kerasgan.phantom import Grid, Size, body, write_dataset

HEAD_GRID = Grid((16, 40, 40), (6.0, 6.5, 10.0))
HEAD_SIZE = Size(HEAD_GRID, HEAD_GRID, train=2, validation=1, test=1)
MR, CT = Grid((18, 14, 24), (16.0, 18.0, 15.0)), Grid((14, 18, 22), (17.0, 17.0, 18.0))
BODY_SIZE = Size(MR, CT, train=1, validation=1, test=1)


def write_phantom(root, anatomy):
    """The folder of a dataset of four or six patients; bodies are painted on coarse samples, within a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(body, "SAMPLE_MM", 4.5)
        size = HEAD_SIZE if anatomy.name == "head" else BODY_SIZE
        return write_dataset(root, size, progress=False, anatomy=anatomy)
