"""UIDs that depend on what they are given, and on nothing else."""

import hashlib
import uuid

from kerasgan.io.uids import uid_from, uid_of
from kerasgan.pacs.address import is_uid


def test_a_uid_is_a_uuid_of_version_8():
    digest = hashlib.sha256(b"anything").digest()
    found = uuid.UUID(int=int(uid_from(digest).removeprefix("2.25.")))
    assert found.version == 8 and found.variant == uuid.RFC_4122
    marked = {6: 0x0F, 8: 0x3F}  # the bits beside version and variant
    assert [byte & marked.get(place, 0xFF) for place, byte in enumerate(found.bytes)] == [
        byte & marked.get(place, 0xFF) for place, byte in enumerate(digest[:16])
    ]


def test_other_parts_give_another_uid():
    parts = [("1.2", 1), ("1.2", "1"), ("1.21",), ("1.2", True), ("1.2", None), ("1.2", 1.5), (1, "1.2")]
    assert len({uid_of(*one) for one in parts}) == len(parts)
    assert all(is_uid(uid_of(*one)) for one in parts) and uid_of(*parts[0]) == uid_of(*parts[0])
