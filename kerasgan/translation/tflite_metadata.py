"""The contract inside a TFLite file, so that the one file is enough; read without TensorFlow."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from kerasgan.errors import ExportError

NAME = b"kerasgan_contract"
IDENTIFIER = b"TFL3"  # bytes 4 to 8 of every TFLite file


def read_contract(path: str | Path) -> dict[str, Any]:
    """Reads the contract of a TFLite file that `kerasgan export` wrote.

    Args:
        path: The file.

    Returns:
        Units, windows, pixel size, statement and whatever else `kerasgan.scans.contract.Contract` describes.

    Raises:
        ExportError: Where the file is missing, is no TFLite file, is damaged, or carries no contract.
    """
    from ai_edge_litert import schema_py_generated as schema

    if not Path(path).is_file():
        raise ExportError(f"There is no file {path}; name one that `kerasgan export` wrote.")
    content = Path(path).read_bytes()
    if content[4:8] != IDENTIFIER:
        raise ExportError(f"{path} is no TFLite file; name one that `kerasgan export` wrote.")
    try:
        model = schema.Model.GetRootAs(content)
        entries = [model.Metadata(i) for i in range(model.MetadataLength())]
        found = {entry.Name(): model.Buffers(entry.Buffer()).DataAsNumpy().tobytes() for entry in entries}
        contract: dict[str, Any] = json.loads(found[NAME])
    except KeyError:
        raise ExportError(
            f"{path} carries no kerasgan contract: it was made by another program; export the run again."
        ) from None
    except (ValueError, TypeError, IndexError, AttributeError, struct.error) as error:
        raise ExportError(f"{path} is damaged ({error}); copy it again, or export the run again.") from error
    return contract
