"""Compressed images: JPEG 2000, written by OpenCV into a DICOM file."""

import os
import signal

import cv2
import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import HTJ2K, HTJ2KLossless, HTJ2KLosslessRPCL, JPEG2000Lossless

from kerasgan.errors import DicomError
from kerasgan.io import decoder, read_volume
from kerasgan.io.decoder import Decoder, decoder_of

VALUES = np.arange(64 * 48, dtype=np.uint16).reshape(64, 48)


# `np.add.outer(100 * np.arange(8), 10 * np.arange(6)) - 300`, int16, as OpenJPH 0.26.3 codes it without loss
HIGH_THROUGHPUT = bytes.fromhex(
    "ff4fff5100294000000000060000000800000000000000000000000600000008000000000000000000018f0101ff5000080002000000"
    "0aff52000c00020001000504044001ff5c00132088909090909090909090909090888888ff64001700014f70656e4a50482056657220"
    "302e32362e332eff90000a0000000000510001ff93c00025e3008774000000c00012c0001280d4008774008e02077400c00011c00013"
    "00011300c08100635400c0002a200015205244fe817ecb7500c646e3c010808cb600ffd9"
)


@pytest.fixture
def compressed(dicom, tmp_path):
    """Makes a CT of 64 x 48 pixels in JPEG 2000; an attribute that is given contradicts the stream."""

    def make(values=VALUES, **attributes):
        lossless = [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000]
        boxed = cv2.imencode(".jp2", values, lossless)[1].tobytes()
        dataset = dicom.make_slice(values=values)
        dataset.PixelData = encapsulate([boxed[boxed.index(b"\xff\x4f\xff\x51") :]])
        dataset["PixelData"].is_undefined_length, dataset["PixelData"].VR = True, "OB"
        dataset.update(attributes)
        dicom.save(dataset, tmp_path / "slice.dcm", JPEG2000Lossless)
        return dataset

    return make


@pytest.fixture
def worker():
    made = Decoder()
    yield made
    made.end()


def test_a_compressed_image_is_decoded_without_loss(compressed, tmp_path):
    compressed()
    np.testing.assert_array_equal(read_volume(tmp_path / "slice.dcm").array[0], VALUES)


@pytest.mark.parametrize("syntax", [HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K])
def test_high_throughput_jpeg_2000(dicom, tmp_path, syntax):
    expected = np.add.outer(100 * np.arange(8), 10 * np.arange(6)) - 300
    dataset = dicom.make_slice(values=expected.astype(np.int16), RescaleSlope=2, RescaleIntercept=-5)
    dataset.PixelData = encapsulate([HIGH_THROUGHPUT])
    dataset["PixelData"].is_undefined_length, dataset["PixelData"].VR = True, "OB"
    dicom.save(dataset, tmp_path / "slice.dcm", syntax)
    np.testing.assert_array_equal(read_volume(tmp_path / "slice.dcm").array[0], 2 * expected - 5)
    dataset.PixelData = encapsulate([HIGH_THROUGHPUT[:-40]])
    dicom.save(dataset, tmp_path / "cut.dcm", syntax)
    with pytest.raises(DicomError, match="decode"):
        read_volume(tmp_path / "cut.dcm")


@pytest.mark.parametrize(
    ("attributes", "text"),
    [
        ({"Rows": 32}, r"its stream has 64 x 48 pixels of 1 sample\(s\) and 16 bits, its header 32 x 48 pixels of 1"),
        ({"Columns": 4096}, r"64 x 48 .* its header 64 x 4096"),
        ({"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}, "and 16 bits, its header .* and 8 bits"),
    ],
)
def test_a_header_that_contradicts_its_stream_is_refused_before_decoding(compressed, worker, attributes, text):
    with pytest.raises(DicomError, match=text):
        worker.decode(compressed(**attributes), 0)
    assert worker._process is None


@pytest.mark.parametrize(
    "stream", [b"", b"no stream at all", b"\xff\xd8\xff\xc3\x00", b"\xff\xd8", b"\xff\x4f\xff\x51\0"]
)
def test_what_is_no_stream_is_refused_before_decoding(compressed, worker, stream):
    dataset = compressed()
    dataset.PixelData = encapsulate([stream + b"\0" * (len(stream) % 2) or b"\0\0"])
    with pytest.raises(DicomError, match="its pixels are no JPEG, JPEG-LS or JPEG 2000 stream"):
        worker.decode(dataset, 0)


def test_a_stream_that_cannot_be_decoded_gives_a_reason_and_the_next_is_decoded(compressed, worker):
    good, bad = compressed(), compressed()
    bad.PixelData = encapsulate([good.PixelData[16:80]])  # the stream's head alone
    with pytest.raises(DicomError, match=r"[Dd]ecode|[Dd]ecompress|damaged"):
        worker.decode(bad, 0)
    np.testing.assert_array_equal(worker.decode(good, 0), VALUES)


def test_a_decoder_that_hangs_is_replaced(compressed, worker, monkeypatch):
    dataset = compressed()
    worker.decode(dataset, 0)
    process = worker._process
    process.send_signal(signal.SIGSTOP)
    monkeypatch.setattr(decoder, "_SECONDS", 0.1)
    with pytest.raises(DicomError, match=r"its pixels are damaged \(the decoder ended after 0 s\)"):
        worker.decode(dataset, 0)
    monkeypatch.undo()
    np.testing.assert_array_equal(worker.decode(dataset, 0), VALUES)
    assert worker._process is not process


def test_a_decoder_that_died_is_replaced(compressed, worker):
    dataset = compressed()
    worker.decode(dataset, 0)
    worker._process.send_signal(signal.SIGABRT)  # as GDCM ends it
    worker._process.wait()
    np.testing.assert_array_equal(worker.decode(dataset, 0), VALUES)


def test_a_process_has_one_decoder():
    assert decoder_of(os.getpid()) is decoder_of(os.getpid()) is not decoder_of(-1)
