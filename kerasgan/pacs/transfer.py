"""Scans on their way: fetched from a PACS into a temporary folder, and stored at one."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from kerasgan.errors import PacsError
from kerasgan.io import discover
from kerasgan.pacs.address import Address
from kerasgan.pacs.server import Server
from kerasgan.pacs.settings import Settings

PACKAGES = {"requests": "requests", "pynetdicom": "pynetdicom"}

logger = logging.getLogger(__name__)


def require_packages() -> None:
    """Makes sure that what the extra `pacs` brings is installed.

    Raises:
        PacsError: If a package is missing.
    """
    missing = [package for module, package in PACKAGES.items() if find_spec(module) is None]
    if missing:
        raise PacsError(f"A PACS needs {', '.join(missing)}; install it with: pip install 'kerasgan[pacs]'")


def open_server(address: Address, settings: Settings) -> Server:
    """Returns the PACS at an address; nothing is asked yet.

    Args:
        address: Where it is.
        settings: As whom this machine speaks to it.

    Raises:
        PacsError: If a package is missing.
        KerasganError: If a secret would travel in the clear, or a file for TLS is invalid.
    """
    require_packages()
    if address.is_web:
        from kerasgan.pacs.dicomweb import WebServer

        return WebServer(address, settings)
    from kerasgan.pacs.dimse import Peer

    return Peer(address, settings)


@contextmanager
def fetched(address: Address, settings: Settings, modalities: Collection[str]) -> Iterator[Path]:
    """The series of a study that a model may take, in a temporary folder that is deleted when the block is left.

    Args:
        address: Of a series, or of a study, of which each series of a fitting modality is fetched; series that kerasgan
            computed are left out then.
        settings: As whom this machine speaks to the PACS.
        modalities: What the model takes, such as `{"MR"}`.

    Yields:
        The folder, which only this user can read; one folder a series in it.

    Raises:
        PacsError: If nothing fits, or a series does not come whole.

    Example (needs a PACS):

        with fetched(parse_address("dicomweb://localhost:8042/dicom-web/studies/1.2.3"), Settings(), {"MR"}) as folder:
            kerasgan.translate("model.kgan", folder, "patient/synthetic-ct")
    """
    server = open_server(address, settings)
    with tempfile.TemporaryDirectory(prefix="kerasgan-") as temporary:
        folder = Path(temporary) / "study"
        every = server.series(address.study)
        fitting = [one for one in every if one.modality in modalities and address.series in ("", one.uid)]
        if not fitting:
            listed = ", ".join(f"{one.uid} ({one.modality})" for one in every) or "none"
            wanted = " or ".join(sorted(modalities)) + (f" with the UID {address.series}" if address.series else "")
            raise PacsError(
                f"{address} has no series of {wanted} in study {address.study}, as the model takes it; it lists "
                f"{listed}. Check the UIDs."
            )
        for number, one in enumerate(fitting, start=1):
            place = folder / f"{number:03d}"
            place.mkdir(parents=True)
            files = server.fetch(address.study, one.uid, place)
            if not address.series and any(found.synthetic for found in discover(files[0])):
                logger.info("Series %s is synthetic and is left out; name it to translate it.", one.uid)
                shutil.rmtree(place)
        yield folder


@contextmanager
def stored(address: Address, settings: Settings) -> Iterator[Path]:
    """A temporary path for a DICOM series, which is stored at a PACS when the block is left without an error.

    Args:
        address: Of the PACS, which is asked at once whether it answers.
        settings: As whom this machine speaks to it.

    Yields:
        A path that does not exist, for the folder of the series; `.dcm` files beside it, such as its structures, are
        stored after it.

    Raises:
        PacsError: If the PACS does not answer, or does not store each image.
    """
    server = open_server(address, settings)
    server.check()
    with tempfile.TemporaryDirectory(prefix="kerasgan-") as temporary:
        series = Path(temporary) / "series"
        yield series
        server.store([*sorted(series.iterdir()), *sorted(Path(temporary).glob("*.dcm"))])
