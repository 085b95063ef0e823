"""Decodes compressed images for `kerasgan.io.decoder`, in a process of its own: some damaged ones end the process.

It is run as a script, so that it starts without the rest of the package. Requests come on standard input: a line of
JSON with the attributes of a frame, then the frame's stream. An answer is a line of JSON, then the pixels.
"""

import json
import os
import sys
from pathlib import Path
from typing import BinaryIO

import gdcm
import numpy as np
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import pixel_array

MEMORY = 2**30  # bytes that decoding one frame may take; the largest has 64 MiB
# JPEG processes that pydicom does not pass on to its plug-ins for 12-bit images, but GDCM decodes.
TWELVE_BIT = (str(uid.JPEGExtended12Bit), "1.2.840.10008.1.2.4.53", "1.2.840.10008.1.2.4.55")


def decoded(stream: bytes, syntax: str, attributes: dict[str, str | int]) -> np.ndarray:
    """The pixels of one frame, `[rows, columns]`.

    Args:
        stream: The compressed frame.
        syntax: Transfer Syntax UID (0002,0010).
        attributes: The attributes that describe the pixels, by keyword.
    """
    frame = Dataset()
    for keyword, value in attributes.items():
        setattr(frame, keyword, value)
    if syntax in TWELVE_BIT and frame.BitsStored > 8:
        return _by_gdcm(stream, syntax, frame)
    frame.file_meta = FileMetaDataset()
    frame.file_meta.TransferSyntaxUID = uid.UID(syntax)
    frame.PixelData = encapsulate([stream])
    frame["PixelData"].VR = "OB"
    return pixel_array(frame)


def _by_gdcm(stream: bytes, syntax: str, frame: Dataset) -> np.ndarray:
    fragment, fragments = gdcm.Fragment(), gdcm.SequenceOfFragments.New()
    fragment.SetByteStringValue(stream)
    fragments.AddFragment(fragment)
    pixels = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    pixels.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((frame.Columns, frame.Rows, 1))
    image.SetDataElement(pixels)
    grey = gdcm.PhotometricInterpretation.GetPIType(frame.PhotometricInterpretation)
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(grey))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(syntax)))
    signed, stored = frame.PixelRepresentation, frame.BitsStored
    image.SetPixelFormat(gdcm.PixelFormat(1, frame.BitsAllocated, stored, stored - 1, signed))
    buffer = image.GetBuffer().encode("utf-8", "surrogateescape")  # GDCM hands bytes over as text
    return np.frombuffer(buffer, f"<{'iu'[not signed]}{frame.BitsAllocated // 8}").reshape(frame.Rows, frame.Columns)


def _limit_memory() -> None:
    """Lets a damaged image fail before it fills the memory, where the system can do so."""
    try:
        import resource

        held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY, resource.RLIM_INFINITY))
    except (ImportError, OSError, ValueError):
        return


def answer(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answers requests until there are no more."""
    while line := requests.readline():
        request = json.loads(line)
        stream = requests.read(request["length"])
        try:
            pixels = np.ascontiguousarray(decoded(stream, request["syntax"], request["attributes"]))
            head = {"dtype": pixels.dtype.str, "shape": pixels.shape}
        except Exception as error:  # pydicom, its plug-ins and GDCM raise what they like on damage
            reason = str(error).partition("\n")[0].split(" - ")[0].rstrip(".")
            pixels, head = np.empty(0), {"error": reason or type(error).__name__}
        answers.write(json.dumps(head).encode() + b"\n" + pixels.tobytes())
        answers.flush()


if __name__ == "__main__":
    _limit_memory()
    with os.fdopen(os.dup(1), "wb") as sink:
        os.dup2(2, 1)  # what GDCM prints is no answer
        answer(sys.stdin.buffer, sink)
