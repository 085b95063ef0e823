import numpy as np
import pytest

from kerasgan.export.pixels import decode, encode
from kerasgan.scans.contract import Encoding


def test_encoding_by_hand():
    content, encoding = encode(np.array([0.0, 65535.0, 1.0, 32768.0], np.float32).reshape(2, 1, 2, 1))
    assert encoding == Encoding(slope=1.0, intercept=32768.0)
    assert content == [b"\x00\x80\xff\x7f", b"\x01\x80\x00\x00"]  # -32768, 32767; -32767, 0


def test_decoding_by_hand():
    values = decode([b"\x01\x00\xfe\xff", b"\x00\x01\x00\x00"], 2, 1, Encoding(slope=0.5, intercept=10))
    assert values.shape == (2, 2, 1, 1) and values.dtype == np.float32
    np.testing.assert_array_equal(values.ravel(), [10.5, 9.0, 138.0, 10.0])


@pytest.mark.parametrize(("low", "high"), [(-1024, 3071), (0, 0.3), (-5, 40_000)])
def test_there_and_back_within_half_a_step(low, high):
    images = np.random.default_rng(0).uniform(low, high, (3, 7, 5, 1)).astype(np.float32)
    content, encoding = encode(images)
    values = decode(content, 7, 5, encoding)
    np.testing.assert_allclose(values, images, atol=0.51 * (high - low) / 65535)


def test_a_constant_image_comes_back():
    content, encoding = encode(np.full((1, 2, 2, 1), -1000.0, np.float32))
    np.testing.assert_array_equal(decode(content, 2, 2, encoding), np.full((1, 2, 2, 1), -1000.0))


def test_too_few_bytes():
    with pytest.raises(ValueError, match=r"2 rows and 3 columns needs 12 bytes; got 11\. .*send the request again"):
        decode([bytes(12), bytes(11)], 2, 3, Encoding(slope=1, intercept=0))
