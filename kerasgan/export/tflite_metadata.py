"""Writes the contract into a TFLite file, so that the one file is enough; `kerasgan.translation` reads it."""

from __future__ import annotations

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from kerasgan.translation.tflite_metadata import IDENTIFIER, NAME

ALIGNMENT = 16  # of tensors, `force_align` in the TFLite schema


class _Builder(flatbuffers.Builder):
    """Aligns all vectors as the schema wants those of tensors; the Python generator of flatbuffers forgets that."""

    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> int:  # noqa: N802, N803  the library's
        started: int = super().StartVector(elemSize, numElems, max(alignment, ALIGNMENT))
        return started


def with_contract(content: bytes, contract: str) -> bytes:
    """A TFLite file that carries a contract, in a metadata buffer named `kerasgan_contract`.

    Tensors that the quantizer left behind the flatbuffer go into it: older runtimes need them there.

    Args:
        content: The file.
        contract: JSON.
    """
    model = schema.ModelT.InitFromPackedBuf(content)
    for buffer in model.buffers:
        if buffer.offset > 1:  # 0 and 1 say that the buffer is inside already
            buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(contract.encode(), np.uint8)
    entry.name, entry.buffer = NAME, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    builder = _Builder(len(content))
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())
