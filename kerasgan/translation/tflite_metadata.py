"""The contract inside a TFLite file, so that the one file is enough; read without TensorFlow."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from kerasgan.errors import ExportError

NAME = b"kerasgan_contract"
DIGEST = b"kerasgan_sha256"  # of the whole file, in which the digest itself counts as zeros
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
        # Version 0.1.0 wrote no digest: then only what does not fit together is noticed.
        if DIGEST in content and with_digest(content) != content:
            raise ValueError("its bytes differ from their digest")
        model = schema.Model.GetRootAs(content)
        entries = [model.Metadata(i) for i in range(model.MetadataLength())]
        found = {entry.Name(): model.Buffers(entry.Buffer()).DataAsNumpy().tobytes() for entry in entries}
        contract: dict[str, Any] = json.loads(found[NAME])
        if not isinstance(contract, dict):
            raise ValueError("its contract is no JSON object")
    except KeyError:
        raise ExportError(
            f"{path} carries no kerasgan contract: it was made by another program; export the run again."
        ) from None
    except Exception as error:  # the schema's code raises anything for a file that was changed
        raise ExportError(f"{path} is damaged ({error}); copy it again, or export the run again.") from error
    return contract


def with_digest(content: bytes) -> bytes:
    """The bytes of a file with the SHA-256 digest of the file filled in, or corrected.

    Args:
        content: The file, which holds `kerasgan_sha256:` and 64 characters once.

    Raises:
        ValueError: For a file that does not.

    Example:
        >>> whole = with_digest(b"weights kerasgan_sha256:" + b"0" * 64)
        >>> whole == with_digest(whole), whole == with_digest(whole.replace(b"w", b"W"))
        (True, False)
    """
    before, *after = re.split(DIGEST + rb":[0-9a-f]{64}", content)
    if len(after) != 1:
        raise ValueError(f"it holds {len(after)} digests, expected 1")
    digest = hashlib.sha256(before + DIGEST + b":" + b"0" * 64 + after[0]).hexdigest().encode()
    return before + DIGEST + b":" + digest + after[0]
