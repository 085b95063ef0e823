"""Decodes compressed DICOM images; a damaged one cannot end the program or fill its memory.

Whether the header and the stream agree is checked here. What a decoder makes of the rest is its own affair, in a
process of its own (`decoder_process`), which is replaced when it dies.
"""

from __future__ import annotations

import atexit
import json
import math
import struct
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame

from kerasgan.errors import DicomError

_JPEG = (*uid.JPEGTransferSyntaxes, *uid.JPEGLSTransferSyntaxes, "1.2.840.10008.1.2.4.53", "1.2.840.10008.1.2.4.55")
_HIGH_THROUGHPUT = (uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K)  # JPEG 2000 with a faster coder
SYNTAXES = frozenset(map(str, (*_JPEG, *uid.JPEG2000TransferSyntaxes, *_HIGH_THROUGHPUT)))
_ATTRIBUTES = ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")
_FRAME_MARKERS = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}  # "start of frame", of JPEG and JPEG-LS
_START_OF_JPEG_2000 = b"\xff\x4f\xff\x51"
_SECONDS, _PIXELS_A_SECOND = 10.0, 1e6  # a decoder is given this time to start, and then this speed


@cache
def decoder_of(process: int) -> Decoder:
    """The decoder of a Python process, `os.getpid()`, which serves it to its end; one that is forked gets its own."""
    decoder = Decoder()
    atexit.register(decoder.end)
    return decoder


class Decoder:
    """Decodes one frame after the other, in a process that starts with the first, and anew after one that ended it.

    Example (needs a compressed file):

        pixels = decoder_of(os.getpid()).decode(pydicom.dcmread("slice.dcm"), 0)
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()  # one request at a time

    def decode(self, dataset: Dataset, frame: int) -> np.ndarray:
        """The stored values of a frame, `[rows, columns]`.

        Args:
            dataset: An image of one of the `SYNTAXES`, with its pixels.
            frame: Index of the frame, from 0.

        Raises:
            DicomError: For a frame that disagrees with the header or cannot be decoded; the message names no file.
        """
        offsets, lengths = (dataset.get(f"ExtendedOffsetTable{part}") for part in ("", "Lengths"))
        stream = get_frame(
            dataset.PixelData,
            frame,
            number_of_frames=int(dataset.get("NumberOfFrames") or 1),
            extended_offsets=(offsets, lengths) if offsets and lengths else None,
        )
        _require_agreement(stream, dataset)
        attributes = {keyword: int(dataset[keyword].value) for keyword in _ATTRIBUTES if keyword in dataset}
        request = {
            "syntax": str(dataset.file_meta.TransferSyntaxUID),
            "attributes": {**attributes, "PhotometricInterpretation": str(dataset.PhotometricInterpretation)},
            "length": len(stream),
        }
        with self._lock:
            return self._answer(json.dumps(request).encode() + b"\n" + stream, int(dataset.Rows) * int(dataset.Columns))

    def _answer(self, request: bytes, pixels: int) -> np.ndarray:
        """Sends a request to the process, and waits for the answer only as long as it may take."""
        if self._process is None or self._process.poll() is not None:
            script = str(Path(__file__).with_name("decoder_process.py"))
            pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
            command = [sys.executable, "-P", script]
            self._process = subprocess.Popen(  # in a session of its own: Ctrl-C is for the program alone
                command, stdin=pipe, stdout=pipe, stderr=nothing, start_new_session=True
            )
        process, seconds = self._process, _SECONDS + pixels / _PIXELS_A_SECOND
        assert process.stdin is not None and process.stdout is not None
        timer = threading.Timer(seconds, process.kill)
        timer.start()
        try:
            process.stdin.write(request)
            process.stdin.flush()
            head: dict[str, Any] = {"dtype": "u1", "shape": [0], **json.loads(process.stdout.readline())}
            dtype, shape = np.dtype(head["dtype"]), tuple(head["shape"])
            decoded = np.frombuffer(process.stdout.read(dtype.itemsize * math.prod(shape)), dtype).reshape(shape)
        except (OSError, ValueError) as error:  # a pipe without a process, or half an answer
            late = not timer.is_alive()
            self.end()
            why = f"after {seconds:.0f} s" if late else f"with code {process.returncode}"
            raise DicomError(f"its pixels are damaged (the decoder ended {why})") from error
        except BaseException:  # Ctrl-C: the answer would be taken for that to the next request
            self.end()
            raise
        finally:
            timer.cancel()
        if "error" in head:
            raise DicomError(head["error"])
        return decoded

    def end(self) -> None:
        """Ends the process; the next frame starts another one."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def _require_agreement(stream: bytes, dataset: Dataset) -> None:
    """Refuses a stream that is none, or whose size or bits are not those of the header."""
    found = _announced(stream)
    allocated = int(dataset.BitsAllocated)
    expected = int(dataset.Rows), int(dataset.Columns), 1
    if found is None:
        raise DicomError("its pixels are no JPEG, JPEG-LS or JPEG 2000 stream, though its Transfer Syntax says so")
    if found[:3] != expected or found[3] > allocated:
        stored, header = ("{} x {} pixels of {} sample(s)".format(*size[:3]) for size in (found, expected))
        raise DicomError(f"its stream has {stored} and {found[3]} bits, its header {header} and {allocated} bits")


def _announced(stream: bytes) -> tuple[int, int, int, int] | None:
    """Rows, columns, samples and bits that a stream announces; None for one of another kind, or without them."""
    try:
        if not stream.startswith(b"\xff\xd8"):
            at = stream.find(_START_OF_JPEG_2000, 0, 1024)  # which some wrap in boxes, as in a .jp2 file
            if at < 0:
                return None
            right, bottom, left, top = struct.unpack_from(">4I", stream, at + 8)
            (samples,) = struct.unpack_from(">H", stream, at + 40)
            return bottom - top, right - left, samples, (stream[at + 42] & 0x7F) + 1
        at = 2
        while stream[at] == 0xFF:
            marker, length = stream[at + 1], int.from_bytes(stream[at + 2 : at + 4], "big")
            if marker in _FRAME_MARKERS:
                bits, rows, columns, samples = struct.unpack_from(">BHHB", stream, at + 4)
                return rows, columns, samples, bits
            at += 1 if marker == 0xFF else 2 + length  # markers may be filled up
    except (struct.error, IndexError):
        pass
    return None
