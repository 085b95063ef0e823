"""Addresses of a PACS, and of a study or series in it."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from kerasgan.errors import KerasganError

SCHEMES = ("dicomweb", "dicomwebs", "dicom", "dicoms")
FORMS = "dicomweb://HOST:PORT/PATH/studies/UID or dicom://AE_TITLE@HOST:PORT/STUDY_UID"
_UID = re.compile(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))*")
_TITLE_LENGTH = 16  # characters of an AE title, PS3.5 Sec. 6.2


@dataclass(frozen=True)
class Address:
    """Where scans come from or go to.

    Attributes:
        scheme: `"dicomweb"`, `"dicom"`, or with an `s` at the end the same by TLS.
        host: Name or IP address of the machine.
        port: TCP port.
        path: Path of the DICOMweb service, such as `"/dicom-web"`; `""` for DIMSE.
        title: AE title of the other side; `""` for DICOMweb.
        study: Study Instance UID (0020,000D); `""` for the PACS as a whole.
        series: Series Instance UID (0020,000E); `""` for all series of the study.
    """

    scheme: str
    host: str
    port: int
    path: str = ""
    title: str = ""
    study: str = ""
    series: str = ""

    @property
    def is_web(self) -> bool:
        """True for DICOMweb."""
        return self.scheme.startswith("dicomweb")

    @property
    def is_encrypted(self) -> bool:
        """True for TLS."""
        return self.scheme.endswith("s")

    @property
    def is_loopback(self) -> bool:
        """True where what is sent leaves no machine."""
        try:
            return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def place(self) -> str:
        """`HOST:PORT`, by which the settings name a server."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL of the DICOMweb service."""
        return f"{'https' if self.is_encrypted else 'http'}://{self.place}{self.path}"

    def __str__(self) -> str:
        """The server, without study and series."""
        return f"{self.scheme}://{f'{self.title}@' if self.title else ''}{self.place}{self.path}"


def is_uid(text: str) -> bool:
    """True for a DICOM UID, PS3.5 Sec. 9.1.

    Example:
        >>> [is_uid(text) for text in ("1.2.840.10008.1.1", "1..2", "1.02", "../1")]
        [True, False, False, False]
    """
    return len(text) <= 64 and bool(_UID.fullmatch(text))


def parse_address(text: str, has_study: bool = True) -> Address:
    """Reads an address.

    Args:
        text: Such as `dicomweb://HOST:PORT/dicom-web/studies/UID/series/UID`, or `dicom://AE_TITLE@HOST:PORT/UID/UID`;
            `dicomwebs` and `dicoms` for TLS.
        has_study: Whether it names a study, and perhaps a series, or the PACS as a whole.

    Raises:
        KerasganError: For another form, or a UID or AE title that is invalid.

    Example:
        >>> address = parse_address("dicomweb://pacs:8042/dicom-web/studies/1.2.3/series/1.2.4")
        >>> address.url, address.study, address.series
        ('http://pacs:8042/dicom-web', '1.2.3', '1.2.4')
        >>> parse_address("dicoms://ARCHIVE@10.0.0.1:2762/1.2.3").title
        'ARCHIVE'
    """
    try:
        parts = urlsplit(text)
    except ValueError as error:  # of a bracket that is not closed
        raise KerasganError(f"{_shown(text)} is no address of a PACS; expected {FORMS}.") from error
    web = parts.scheme.startswith("dicomweb")
    try:
        port = parts.port
    except ValueError:
        port = 0
    if parts.scheme not in SCHEMES or not parts.hostname or port == 0 or parts.query or parts.fragment:
        raise KerasganError(f"{_shown(text)} is no address of a PACS; expected {FORMS}.")
    if parts.password is not None or (web and parts.username is not None):
        raise KerasganError(
            f"{_shown(text)} has a user name or a password in it, which others can read in the list of processes; put "
            "them into the file of --pacs."
        )
    if port is None:
        if not web:
            raise KerasganError(f"{_shown(text)} has no port; expected {FORMS}.")
        port = 443 if parts.scheme.endswith("s") else 80
    path, separator, rest = parts.path.rstrip("/").partition("/studies/") if web else ("", "/", parts.path.strip("/"))
    names = rest.replace("/series/", "/").split("/") if rest else []
    if len(names) > 2 or (web and bool(separator) != bool(names)):
        raise KerasganError(f"{_shown(text)} is no address of a PACS; expected {FORMS}.")
    for name in names:
        if not is_uid(name):
            raise KerasganError(f"{_shown(text)}: {name[:70]!r} is no UID, which has digits and points.")
    title = unquote(parts.username or "")
    if not web and not (0 < len(title) <= _TITLE_LENGTH and title.isascii() and title.isprintable() and title.strip()):
        raise KerasganError(f"{_shown(text)} needs the AE title of the PACS, 1 to {_TITLE_LENGTH} characters: {FORMS}.")
    if has_study and not names:
        raise KerasganError(f"{_shown(text)} names no study; expected {FORMS}.")
    if names and not has_study:
        raise KerasganError(
            f"{_shown(text)} names a study; an output is stored in the study of its input, so leave it out."
        )
    study, series = [*names, "", ""][:2]
    return Address(parts.scheme, parts.hostname, port, path, title, study, series)


def _shown(text: str) -> str:
    """The address without what may be a password."""
    scheme, _, rest = text.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
