"""The contract inside a TFLite file, so that the one file is enough; read without TensorFlow."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from kerasgan.errors import ExportError

NAME = b"kerasgan_contract"
IDENTIFIER = b"TFL3"  # bytes 4 to 8 of every TFLite file
ALIGNMENT = 16  # of tensors, `force_align` in the TFLite schema


class _Builder(flatbuffers.Builder):
    """Aligns all vectors as the schema wants those of tensors; the Python generator of flatbuffers forgets that."""

    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> int:  # noqa: N802, N803  the library's
        started: int = super().StartVector(elemSize, numElems, max(alignment, ALIGNMENT))
        return started


def with_contract(content: bytes, contract: str) -> bytes:
    """A TFLite file that carries a contract, in a metadata buffer named `kerasgan_contract`.

    Args:
        content: The file.
        contract: JSON.
    """
    model = schema.ModelT.InitFromPackedBuf(content)
    _move_inside(model, content)
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(contract.encode(), np.uint8)
    entry.name, entry.buffer = NAME, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    builder = _Builder(len(content))
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def read_contract(path: str | Path) -> dict[str, Any]:
    """The contract of a TFLite file that `kerasgan export` wrote; loads no TensorFlow.

    Args:
        path: The file.

    Returns:
        Units, windows, pixel size, statement and whatever else `kerasgan.export.contract.Contract` describes.

    Raises:
        ExportError: Where the file is missing, is no TFLite file, is damaged, or carries no contract.
    """
    if not Path(path).is_file():
        raise ExportError(f"There is no file {path}; name one that `kerasgan export` wrote.")
    content = Path(path).read_bytes()
    if content[4:8] != IDENTIFIER:
        raise ExportError(f"{path} is no TFLite file; name one that `kerasgan export` wrote.")
    try:
        contract: dict[str, Any] = json.loads(_metadata(content)[NAME])
    except KeyError:
        raise ExportError(
            f"{path} carries no kerasgan contract: it was made by another program; export the run again."
        ) from None
    except (ValueError, TypeError, IndexError, struct.error) as error:
        raise ExportError(f"{path} is damaged ({error}); copy it again, or export the run again.") from error
    return contract


def _metadata(content: bytes) -> dict[bytes, bytes]:
    """What a TFLite file carries beside its network, by name."""
    model = schema.Model.GetRootAs(content)
    entries = [model.Metadata(i) for i in range(model.MetadataLength())]
    return {entry.Name(): model.Buffers(entry.Buffer()).DataAsNumpy().tobytes() for entry in entries}


def _move_inside(model: schema.ModelT, content: bytes) -> None:
    """Tensors that lie behind the flatbuffer, as the quantizer leaves them, go into it: older runtimes need them there.

    An offset of 0 or 1 says that a buffer lies inside already.
    """
    for buffer in model.buffers:
        if buffer.offset > 1:
            buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
