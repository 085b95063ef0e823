"""Zip archives of scans: unpacked into a temporary folder that lives as long as what was found in it."""

from __future__ import annotations

import lzma
import shutil
import tempfile
import weakref
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from kerasgan.errors import DicomError
from kerasgan.files import reason_and_remedy

_SHARE = 0.5  # of the free disk that an archive may take, because others write on it as well
_MOST_FILES = 200_000


def is_archive(path: Path) -> bool:
    """True for the name of a zip archive.

    Example:
        >>> is_archive(Path("study.ZIP"))
        True
    """
    return path.suffix.lower() == ".zip"


class Unpacked:
    """The unpacked files of an archive; they are deleted when nothing refers to this object any more.

    Args:
        archive: A `.zip` file.

    Attributes:
        folder: Temporary folder of the files.
        delete: Deletes the files at once; a second call has no effect.

    Raises:
        DicomError: For a file that is not a zip archive, is damaged or encrypted, has entries that point outside, or
            does not fit on the disk.
    """

    def __init__(self, archive: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="kerasgan-"))
        self.delete = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        try:
            with zipfile.ZipFile(archive) as file:
                _check(file, archive.name, shutil.disk_usage(self.folder).free)
                file.extractall(self.folder)
        except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError) as error:
            raise DicomError(f"{archive.name} is not a zip archive, or it is damaged. Copy it again.") from error
        except (RuntimeError, NotImplementedError) as error:
            raise DicomError(f"{archive.name} is encrypted or packed in an unknown way. Unpack it first.") from error
        except OSError as error:
            raise DicomError(f"{archive.name} cannot be unpacked: {reason_and_remedy(error)}") from error


def _check(file: zipfile.ZipFile, name: str, free_bytes: int) -> None:
    for entry in file.namelist():
        path = PurePosixPath(entry.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in entry[:2]:
            raise DicomError(f"{name} has an entry that points outside of it. Unpack and check it by hand.")
    size = sum(info.file_size for info in file.infolist())  # more than an entry says is never unpacked
    if size > _SHARE * free_bytes:
        raise DicomError(
            f"{name} needs {size / 1e9:.1f} GB unpacked, and of the {free_bytes / 1e9:.1f} GB that are free in "
            f"{tempfile.gettempdir()} at most half are taken. Free some space or set TMPDIR."
        )
    if len(file.namelist()) > _MOST_FILES:
        raise DicomError(f"{name} holds {len(file.namelist()):,} files, more than {_MOST_FILES:,}. Unpack it first.")
