import gzip
import io
import zlib

import numpy as np
import pytest
from made_up_images import ARRAY, metaimage, nifti, nifti_bytes

from kerasgan.errors import KerasganError
from kerasgan.io.nifti import read_labels
from kerasgan.io.voxels import Inflated

NOISE = np.random.default_rng(0).integers(-1000, 2000, (8, 30, 40)).astype("<i2")


def compressed(path, content, **fields):
    size = " ".join(map(str, NOISE.shape[::-1]))
    return metaimage(path, content, DimSize=size, CompressedData=True, **fields)


@pytest.mark.parametrize("compress", [zlib.compress, gzip.compress])
@pytest.mark.parametrize("fields", [{}, {"CompressedDataSize": 5}])  # the size of the stream says nothing new
def test_a_whole_stream_is_read_whatever_its_size_is_said_to_be(tmp_path, compress, fields):
    volume = read_labels(compressed(tmp_path / "scan.mha", compress(NOISE.tobytes()), **fields))
    assert np.array_equal(volume.array, NOISE)


def changed(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]


@pytest.mark.parametrize("suffix", [".mha", ".nii.gz"])
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (changed, "damaged: its voxels cannot be decompressed"),
        (lambda content: content[: len(content) * 6 // 10], "cut short: its last voxels are missing"),
        (lambda content: content[:-4], "cut short"),
        (lambda content: content[:-1] + bytes([content[-1] ^ 1]), "damaged"),  # the checksum, or the length
        (lambda content: content[: len(content) * 6 // 10] + bytes(len(content) * 4 // 10), r"(damaged|cut short)"),
    ],
)
def test_a_damaged_stream_is_refused(tmp_path, suffix, damage, message):
    path = tmp_path / f"scan{suffix}"
    if suffix == ".mha":
        compressed(path, damage(zlib.compress(NOISE.tobytes())))
    else:
        path.write_bytes(damage(gzip.compress(nifti_bytes(NOISE))))
    with pytest.raises(KerasganError, match=rf"scan\{suffix}: it is {message}.*Copy it again"):
        read_labels(path)


def test_one_changed_byte_anywhere_is_never_read_in_silence(tmp_path):
    content = zlib.compress(NOISE.tobytes())
    for at in range(0, len(content), 997):
        compressed(tmp_path / "scan.mha", content[:at] + bytes([content[at] ^ 0x10]) + content[at + 1 :])
        with pytest.raises(KerasganError, match=r"damaged|cut short"):
            read_labels(tmp_path / "scan.mha")


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
def test_what_a_file_is_decides_not_its_suffix(tmp_path, name):
    for content in (nifti_bytes(), gzip.compress(nifti_bytes())):
        (tmp_path / name).write_bytes(content)
        assert np.array_equal(read_labels(tmp_path / name).array, ARRAY)


@pytest.mark.parametrize(
    "tail", [b"garbage", bytes(100), gzip.compress(b"")], ids=["garbage", "zeros", "another stream"]
)
def test_bytes_after_a_stream_are_no_damage(tmp_path, tail):
    (tmp_path / "scan.nii.gz").write_bytes(gzip.compress(nifti_bytes()) + tail)
    volume = read_labels(tmp_path / "scan.nii.gz")
    assert np.array_equal(volume.array, ARRAY)
    assert volume.warnings == ()


def test_a_stream_of_several_members_is_one(tmp_path):
    content = nifti_bytes()
    (tmp_path / "scan.nii.gz").write_bytes(b"".join(gzip.compress(content[i : i + 50]) for i in range(0, 400, 50)))
    assert np.array_equal(read_labels(tmp_path / "scan.nii.gz").array, ARRAY)


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz", "scan.mha"])
def test_some_bytes_after_the_last_voxel_are_said_and_many_refused(tmp_path, name):
    def write(tail):
        path = tmp_path / name
        return metaimage(path, ARRAY.tobytes() + tail) if name.endswith("mha") else nifti(path, tail=tail)

    volume = read_labels(write(bytes(999)))
    assert np.array_equal(volume.array, ARRAY)
    assert volume.warnings == ("999 bytes follow the last voxel and are not read",)
    with pytest.raises(KerasganError, match="many more bytes than 2 x 3 x 4 voxels of int16 take"):
        read_labels(write(bytes(70_000)))


@pytest.mark.parametrize("name", ["scan.nii", "scan.mha", "scan.mhd"])
def test_a_short_file_is_refused_by_its_header(tmp_path, name):
    if name == "scan.nii":
        path = nifti(tmp_path / name)
        path.write_bytes(path.read_bytes()[:-1])
    else:
        (tmp_path / "short.raw").write_bytes(ARRAY.tobytes()[:-1])
        data = "LOCAL" if name == "scan.mha" else "short.raw"
        path = metaimage(tmp_path / name, ARRAY.tobytes()[:-1] if data == "LOCAL" else b"", ElementDataFile=data)
    with pytest.raises(KerasganError, match=r"it is cut short: \d+ bytes, and its voxels take \d+\. Copy it again"):
        read_labels(path)


def test_a_stream_that_cannot_hold_its_voxels_takes_no_memory(tmp_path):
    path = tmp_path / "scan.nii.gz"  # a gigabyte of voxels that 100 bytes cannot hold
    path.write_bytes(gzip.compress(nifti_bytes(dim=(3, 1024, 1024, 1024, 1, 1, 1, 1))))
    with pytest.raises(KerasganError, match=r"cut short: .*Copy it again"):
        read_labels(path)


def test_a_stream_gives_as_many_bytes_as_are_asked_for():
    stream = Inflated(io.BytesIO(zlib.compress(b"0123456789")))
    assert [stream.read(4), stream.read(4), stream.read(4), stream.read(4)] == [b"0123", b"4567", b"89", b""]
