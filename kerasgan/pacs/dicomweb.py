"""DICOMweb: QIDO-RS finds, WADO-RS fetches, STOW-RS stores.

Written on `requests` alone. `dicomweb-client` reads an image as a whole into memory, of any size, and names no image
that a server refuses with 409.

Reference: DICOM PS3.18, Sec. 10.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from http.client import responses
from pathlib import Path
from typing import Any, NamedTuple

import requests
from requests.auth import HTTPBasicAuth
from urllib3.exceptions import HTTPError

from kerasgan.errors import PacsError
from kerasgan.pacs.address import Address, is_uid
from kerasgan.pacs.server import LARGEST_IMAGE, LARGEST_SERIES, Found, Server, UnreachableError, require_image
from kerasgan.pacs.settings import Settings

JSON, DICOM = "application/dicom+json", "application/dicom"
LARGEST_LIST = 64 * 2**20  # bytes of an answer in JSON
PAGE = 1000  # series or images that are asked for at once
CHUNK = 2**20
LONGEST_S = 1800.0  # for one answer, however steadily it drips
BUSY = {408, 425, 429, 500, 502, 503, 504}
_LISTED = ("0020000E", "0020000D", "00201209", "00080060", "00180015", "0008103E")  # of a `Listed`
_FAILED, _REASON = "00081198", "00081197"  # Failed SOP Sequence, Failure Reason
_END = 4096  # bytes in which the last boundary of a message is looked for


class Listed(NamedTuple):
    """A series as `WebServer.series_since` lists it.

    Attributes:
        uid: Series Instance UID (0020,000E).
        study: Study Instance UID (0020,000D).
        images: How many it has, Number of Series Related Instances (0020,1209).
        modality: Modality (0008,0060); `""` where the server says nothing, as for the others.
        body_part: Body Part Examined (0018,0015).
        description: Series Description (0008,103E).
    """

    uid: str
    study: str
    images: int
    modality: str
    body_part: str
    description: str


class WebServer(Server):
    """A PACS with DICOMweb.

    Args:
        address: Where it is.
        settings: As whom this machine speaks to it.
    """

    def __init__(self, address: Address, settings: Settings) -> None:
        super().__init__(address, settings)
        login, self._session = self.login, requests.Session()
        self._session.trust_env = False  # scans take no way, and show no password, that the settings do not name
        if login.token:
            self._session.headers["Authorization"] = f"Bearer {login.token.get_secret_value()}"
        elif login.user and login.password:
            self._session.auth = HTTPBasicAuth(login.user.encode(), login.password.get_secret_value().encode())
        self._session.verify = str(login.authority) if login.authority else True
        if login.certificate and login.key:
            self._session.cert = (str(login.certificate), str(login.key))

    def series_since(self, day: date, modality: str) -> list[Listed]:
        """Lists the series of studies from a day on; those with an invalid UID are left out.

        Args:
            day: The first Study Date (0008,0020).
            modality: Modality (0008,0060).

        Raises:
            PacsError: Where the server refuses, or says less than it must.
        """
        query = {"StudyDate": f"{day:%Y%m%d}-", "Modality": modality, "includefield": ",".join(_LISTED)}
        found = self._patiently(lambda: self._list("/series", *_LISTED, **query))
        found = [one for one in found if is_uid(one[0]) and is_uid(one[1])]  # a stray one must not hide the others
        if not all(one[2].isdecimal() for one in found):
            raise PacsError(f"{self.address} does not say how many images a series has (0020,1209). Ask who runs it.")
        return [Listed(uid, study, int(images), *facts) for uid, study, images, *facts in found]

    def _check(self) -> None:
        with self._answer("GET", "/studies", params={"limit": "1"}, headers={"Accept": JSON}):
            pass

    def _series(self, study: str) -> list[Found]:
        return [Found(*values) for values in self._list(f"/studies/{study}/series", "0020000E", "00080060")]

    def _images(self, study: str, series: str) -> list[str]:
        return [uid for (uid,) in self._list(f"/studies/{study}/series/{series}/instances", "00080018")]

    def _list(self, path: str, *tags: str, **matching: str) -> list[tuple[str, ...]]:
        """The values of some attributes in all answers to a query, page by page; the first one tells them apart."""
        found: dict[str, tuple[str, ...]] = {}
        while True:
            query = {"limit": str(PAGE), "offset": str(len(found))} | matching
            with self._answer("GET", path, params=query, headers={"Accept": JSON}) as answer:
                content = b"" if answer.status_code == 204 else b"".join(self._content(answer, LARGEST_LIST))
                has_more = answer.headers.get("Warning", "").lstrip().startswith("299")  # PS3.18, Sec. 8.3.4.4.1
            try:
                answers = json.loads(content or b"[]")
                page = [tuple(str(one.get(tag, {}).get("Value", [""])[0] or "") for tag in tags) for one in answers]
            except (ValueError, AttributeError, TypeError, LookupError, RecursionError) as error:
                raise PacsError(f"{self.address} answers a query with what is no DICOM JSON.") from error
            before = len(found)
            found |= {values[0]: values for values in page}
            if has_more and len(found) == before:
                raise PacsError(f"{self.address} lists only {before} of what it has. Ask who runs it for longer lists.")
            if (len(page) < PAGE and not has_more) or len(found) == before:  # the last, or a server without offsets
                return list(found.values())

    def _fetch(self, study: str, series: str, left: dict[str, Path], refused: dict[str, str]) -> None:
        accepted = f'multipart/related; type="{DICOM}"; transfer-syntax=*'  # as it is stored
        fetched = sum(file.stat().st_size for file in next(iter(left.values())).parent.iterdir())
        for uid, file in list(left.items()):
            path = f"/studies/{study}/series/{series}/instances/{uid}"
            try:
                with self._answer("GET", path, headers={"Accept": accepted}) as answer:
                    self._write_part(answer, file, min(LARGEST_IMAGE, LARGEST_SERIES - fetched))
                require_image(file, uid)
            except UnreachableError:
                raise
            except PacsError as error:
                file.unlink(missing_ok=True)
                refused[uid] = str(error)
            else:
                fetched += file.stat().st_size
            del left[uid]

    def _write_part(self, answer: requests.Response, file: Path, largest: int) -> None:
        """Writes the one part of a multipart message, without taking it into memory."""
        boundary = re.search(r'boundary="?([^";,]+)"?', answer.headers.get("Content-Type", ""))
        if not boundary:
            raise PacsError("the answer is no multipart message")
        start, opened = b"", False
        with file.open("w+b") as target:
            for chunk in self._content(answer, largest):
                if opened:
                    target.write(chunk)
                    continue
                start += chunk
                head, gap, body = start.partition(b"\r\n\r\n")
                if gap and len(head) < _END:
                    opened = target.write(body) >= 0
                elif len(start) > _END:
                    raise PacsError("the answer is no multipart message")
            end = target.seek(0, 2)
            target.seek(max(0, end - _END))
            tail = target.read()
            last = tail.rfind(b"\r\n--" + boundary[1].encode())
            if not opened or last < 0:
                raise UnreachableError(f"{self.address} broke off in the middle of an image.")
            target.truncate(max(0, end - _END) + last)

    def _store(self, left: dict[str, Path], refused: dict[str, str]) -> None:
        for uid, file in list(left.items()):
            boundary = secrets.token_hex(16)
            part = f"--{boundary}\r\nContent-Type: {DICOM}\r\n\r\n".encode()
            body = part + file.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
            media = f'multipart/related; type="{DICOM}"; boundary={boundary}'
            with self._answer(
                "POST", "/studies", (409,), data=body, headers={"Content-Type": media, "Accept": JSON}
            ) as answer:
                content = b"".join(self._content(answer, LARGEST_LIST))
                reason = _failure(content) or ("409 Conflict" if answer.status_code == 409 else "")
            if reason:
                refused[uid] = reason
            del left[uid]

    @contextmanager
    def _answer(
        self, method: str, path: str, taken: tuple[int, ...] = (), **request: Any
    ) -> Iterator[requests.Response]:
        """An answer whose status is good, or one of `taken`; its content is not read yet."""
        try:
            answer = self._session.request(
                *(method, self.address.url + path),
                timeout=self.settings.timeout_s,
                stream=True,
                allow_redirects=False,  # which would take scans and tokens elsewhere
                **request,
            )
        except requests.exceptions.SSLError as error:
            raise PacsError(
                f"{self.address}: TLS failed; its certificate is not trusted, or it wants one. Name authority, "
                f'or certificate and key, in [servers."{self.address.place}"] of the file of --pacs.'
            ) from error
        except requests.exceptions.Timeout as error:
            raise UnreachableError(f"{self.address} gave no answer within {self.settings.timeout_s:g} s.") from error
        except requests.exceptions.RequestException as error:
            raise UnreachableError(f"{self.address} cannot be reached. Check host, port and network.") from error
        with answer:
            status = f"{answer.status_code} {responses.get(answer.status_code, '')}".rstrip()
            if answer.status_code in (401, 403):
                raise PacsError(
                    f"{self.address} refuses this machine ({status}). Put its token, or user and password, into "
                    f'[servers."{self.address.place}"] of the file of --pacs.'
                )
            if answer.status_code in BUSY:
                raise UnreachableError(f"{self.address} answers {status}.")
            if not 200 <= answer.status_code < 300 and answer.status_code not in taken:
                raise PacsError(f"{self.address} answers {status}.")
            yield answer

    def _content(self, answer: requests.Response, largest: int) -> Iterator[bytes]:
        """The bytes of an answer, up to a number of them and a time."""
        size, end = 0, time.monotonic() + LONGEST_S
        try:
            for chunk in answer.iter_content(CHUNK):
                size += len(chunk)
                if size > largest:
                    raise PacsError(f"the answer has more than {largest:,} bytes")
                if time.monotonic() > end:
                    raise UnreachableError(f"{self.address} took more than {LONGEST_S:g} s for one answer.")
                yield chunk
        except (requests.exceptions.RequestException, HTTPError) as error:
            raise UnreachableError(f"{self.address} broke off in the middle of an answer.") from error


def _failure(content: bytes) -> str:
    """Why an image was not stored, by the answer to STOW-RS; `""` where it was."""
    try:
        failed = json.loads(content or b"{}").get(_FAILED, {}).get("Value") or []
        codes = [value for item in failed for value in item.get(_REASON, {}).get("Value", [])]
    except (ValueError, AttributeError, TypeError):
        return ""  # no JSON: the status of the answer says it
    if not failed:
        return ""
    return f"failure reason {codes[0]:#06x}" if codes and isinstance(codes[0], int) else "no reason given"
