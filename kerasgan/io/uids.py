"""UIDs that the same facts always give, so that what is made twice is known as the same."""

from __future__ import annotations

import hashlib
import json

from pydicom.uid import UID


def uid_of(*parts: str | float | bool | None) -> UID:
    """A UID that the same parts always give.

    Example:
        >>> uid_of("1.2.3", 1) == uid_of("1.2.3", 1), uid_of("1.2.3", 1)[:5], len(uid_of("1.2.3", 2)) <= 64
        (True, '2.25.', True)
    """
    return uid_from(hashlib.sha256(json.dumps(parts).encode()).digest())


def uid_from(digest: bytes) -> UID:
    """The UID of a digest: a UUID of version 8 under `2.25`.

    Args:
        digest: Of 16 bytes or more, of which the first 16 count.

    Reference: DICOM PS3.5, Sec. B.2; RFC 9562, Sec. 5.8.

    Example:
        >>> uid_from(bytes(16)) == f"2.25.{0x80008000000000000000}"
        True
    """
    value = int.from_bytes(digest[:16]) & ~(0xF << 76 | 0x3 << 62) | 0x8 << 76 | 0x2 << 62  # version and variant
    return UID(f"2.25.{value}")
