"""A pack: what a translation needs of a run, in one file that goes from hand to hand.

A pack is a zip of data, without code and without anything of a patient. It may be a stranger's, so nothing of it is
used before names, sizes and digests were checked; networks are then loaded in Keras's safe mode, as those of a run.

pack.json             the format, and the size and SHA-256 of every other member
README.md             the model card, as hubs show it: licence of the data, origin, errors, limits
run.json              facts, intensity maps and input gates, as in a run directory; so is recipe.json
contract-ab.json      the contract of a direction, for programs that read no run
generators/           ab-best.keras, ba-best.keras, as a validation chose them
segmenters/           b-best.keras, where the run has a segmentation network
expected-error-ab.json  as in a run directory
"""

from __future__ import annotations

import hashlib
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kerasgan.errors import RunError
from kerasgan.files import replacing
from kerasgan.runs.run import Run, load_run
from kerasgan.text import problems

SUFFIX = ".kgan"
MANIFEST, CARD = "pack.json", "README.md"
RECORDS = r"README\.md|run\.json|recipe\.json|(?:contract|expected-error)-(?:ab|ba)\.json"
NETWORKS = r"generators/(?:ab|ba)-best\.keras|segmenters/b-best\.keras"
LARGEST_MEMBER = 16 * 2**20  # bytes of a text; networks are stored as they are, so that none is larger than the pack
NEEDED = {MANIFEST, CARD, "run.json", "recipe.json"}
WRITTEN = (1980, 1, 1, 0, 0, 0)  # of every member, so that the same content is the same file
GET = "Get the pack again from where it came."

Name = Annotated[str, Field(pattern=f"^(?:{RECORDS}|{NETWORKS})$")]


class Member(BaseModel):
    """The size and SHA-256 of a member."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Manifest(BaseModel):
    """The content of `pack.json`.

    Attributes:
        format: What the file is.
        version: Of the format.
        kerasgan: The version of kerasgan that wrote it.
        licence: That of the training data, in a few words.
        members: Every other member.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    format: Literal["kerasgan-pack"] = "kerasgan-pack"
    version: Literal[1] = 1
    kerasgan: str
    licence: str
    members: dict[Name, Member]


def write_pack(path: Path, members: Mapping[str, bytes], licence: str) -> None:
    """Writes a pack, whole or not at all.

    Args:
        path: The file.
        members: Their content by name.
        licence: That of the training data.
    """
    sizes = {name: Member(bytes=len(data), sha256=hashlib.sha256(data).hexdigest()) for name, data in members.items()}
    manifest = Manifest(kerasgan=version("kerasgan"), licence=licence, members=sizes)
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, data in {MANIFEST: manifest.model_dump_json(indent=2).encode(), **members}.items():
            entry = zipfile.ZipInfo(name, WRITTEN)
            entry.compress_type = zipfile.ZIP_STORED if re.fullmatch(NETWORKS, name) else zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)


def unpack(path: Path, folder: Path) -> Run:
    """Unpacks a pack, and opens it as a run that has what `kerasgan translate` needs.

    Args:
        path: The file, which may be a stranger's.
        folder: An empty folder.

    Raises:
        RunError: For a file that is no pack, is damaged, or holds what a pack does not.
    """
    with _opened(path) as (archive, manifest):
        for name, member in manifest.members.items():
            target = folder / name
            target.parent.mkdir(exist_ok=True)
            with target.open("wb") as file:
                for block in _checked(archive, name, member):
                    file.write(block)
    try:
        return load_run(folder)
    except RunError as error:
        raise refusal(path, error, folder) from error


def read_card(path: Path) -> tuple[str, Manifest]:
    """The model card of a pack and its manifest, after a check of all members.

    Args:
        path: The file, which may be a stranger's.

    Raises:
        RunError: As `unpack`.
    """
    with _opened(path) as (archive, manifest):
        content = {name: b"".join(_checked(archive, name, one)) for name, one in manifest.members.items()}
        return content[CARD].decode("utf-8"), manifest


def refusal(path: Path, error: RunError, folder: Path) -> RunError:
    """The error about a member of a pack, named as in the pack."""
    return RunError(f"{path}: {str(error).replace(f'{folder}/', '')}")


@contextmanager
def _opened(path: Path) -> Iterator[tuple[zipfile.ZipFile, Manifest]]:
    """The archive and its manifest, once all names and sizes are those of a pack."""
    if not path.is_file():
        raise RunError(f"There is no file {path}; name a pack that kerasgan pack wrote.")
    try:
        with zipfile.ZipFile(path) as archive:
            found = archive.infolist()
            names = [member.filename for member in found]
            if MANIFEST not in names:
                raise RunError(f"{path} is no pack of kerasgan: it is a zip without {MANIFEST}. Name another file.")
            if odd := [name for name in names if not re.fullmatch(f"{MANIFEST}|{RECORDS}|{NETWORKS}", name)]:
                raise ValueError(f"it holds {odd[0][:100]!r}, which no pack does")
            for member in found:
                is_network = re.fullmatch(NETWORKS, member.filename)
                if is_network and member.compress_type != zipfile.ZIP_STORED:
                    raise ValueError(f"{member.filename} is compressed, and would unpack to any size")
                if not is_network and member.file_size > LARGEST_MEMBER:
                    raise ValueError(f"{member.filename} would unpack to {member.file_size:,} bytes")
            manifest = _manifest(path, archive.read(MANIFEST))
            listed = [MANIFEST, *manifest.members]
            if sorted(names) != sorted(listed) or not set(names) >= NEEDED:
                raise ValueError(f"its members are {', '.join(sorted(names))}, and {MANIFEST} lists others")
            yield archive, manifest
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError) as error:  # what zipfile raises
        reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise RunError(f"{path} is refused as a pack: {reason}. {GET}") from error


def _manifest(path: Path, content: bytes) -> Manifest:
    try:
        return Manifest.model_validate_json(content, strict=True)
    except ValidationError as error:
        raise RunError(
            f"{path} is no pack that this version of kerasgan reads ({MANIFEST}: {problems(error)}). Update kerasgan, "
            "or name another file."
        ) from error


def _checked(archive: zipfile.ZipFile, name: str, member: Member) -> Iterator[bytes]:
    """The content of a member, block by block; what was yielded may be used when no error came at its end."""
    digest, count = hashlib.sha256(), 0
    with archive.open(name) as file:
        while block := file.read(2**20):
            digest.update(block)
            count += len(block)
            yield block
    if (count, digest.hexdigest()) != (member.bytes, member.sha256):
        raise ValueError(f"{name} has another size or SHA-256 than {MANIFEST} says")
