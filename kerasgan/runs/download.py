"""Packs from the web: fetched once, kept, and fetched on where the line broke."""

from __future__ import annotations

import hashlib
import json
import logging
from contextlib import suppress
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from kerasgan.errors import KerasganError
from kerasgan.files import NO_SPACE, alone_in, file_digest, reason_and_remedy, replacing
from kerasgan.runs.pack import SUFFIX, read_card

HUB, HUB_FILE = "https://huggingface.co/{owner}/{name}/resolve/main/{file}", f"model{SUFFIX}"
LOOPBACK = {"localhost", "127.0.0.1", "::1"}  # what goes there leaves no machine, so it needs no TLS
LARGEST = 4 * 2**30  # bytes
PATIENCE_S = 30.0  # for a server that says nothing
TRIES = 3  # of a line that breaks
BUSY = {429, 500, 502, 503, 504}  # answers of a server that may give the file another time

logger = logging.getLogger(__name__)


def is_address_of_pack(text: str) -> bool:
    """True for the address of a pack: `hf://OWNER/NAME`, or `https://` and a path that ends in `.kgan`.

    Example:
        >>> [is_address_of_pack(text) for text in ("hf://someone/mr2ct", "https://host/a.kgan", "https://host:8501/NAME")]
        [True, True, False]
    """
    return text.startswith("hf://") or ("://" in text and urlsplit(text).path.endswith(SUFFIX))


def fetch(address: str, cache: Path) -> Path:
    """Downloads a pack unless the cache has what the server has, and says where it is from and under which licence.

    A download that was broken off goes on where it ended, now or by the next call. Without a connection the file of the
    cache is taken, with a warning.

    Args:
        address: As `is_address_of_pack` has it; `hf://OWNER/NAME` is the file `model.kgan` of a repository of the
            Hugging Face Hub, `hf://OWNER/NAME/FILE.kgan` another one.
        cache: Folder of what was fetched before.

    Returns:
        The file in the cache, a pack whose members have their digests.

    Raises:
        KerasganError: For another address, a server that does not give the file, a full disk, or what is no pack.
    """
    url = _url(address)
    folder = cache / "packs" / hashlib.sha256(url.encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    kept, part = folder / Path(urlsplit(url).path).name, folder / "part"
    with alone_in(folder, KerasganError(f"Another process fetches {url}. Wait for it.")):
        for attempt in range(1, TRIES + 1):
            try:
                _download(url, kept, part)
                break
            except HTTPError as error:
                is_busy = error.code in BUSY
                if not (is_busy and kept.exists()):
                    remedy = "Try again later." if is_busy else "Check the address."
                    raise KerasganError(f"{url} was not given: {error.code} {error.reason}. {remedy}") from error
                logger.warning("%s answers %d; taking the file that was fetched before.", url, error.code)
                break
            except (HTTPException, OSError) as error:  # URLError among them
                if isinstance(error, OSError) and error.errno in NO_SPACE:
                    raise KerasganError(f"Cannot write {part}: {reason_and_remedy(error)}") from error
                reason = error.reason if isinstance(error, URLError) else error
                if (part.exists() or isinstance(error, _OtherFileError)) and attempt < TRIES:
                    continue
                if not kept.exists():
                    raise KerasganError(
                        f"{url} cannot be fetched: {reason}. Check the connection; the same command goes on."
                    ) from error
                logger.warning("%s cannot be reached (%s); taking the file that was fetched before.", url, reason)
                break
        _, manifest = read_card(kept)
    logger.info(
        "%s, licence of its data: %s, SHA-256 %s. Its card: kerasgan info %s",
        address,
        manifest.licence or "unknown",
        file_digest(kept),
        kept,
    )
    return kept


def _url(address: str) -> str:
    parts = urlsplit(address)
    if parts.scheme == "hf":
        owner, (name, *rest) = parts.netloc, (parts.path.strip("/").split("/"))
        file = rest[0] if rest else HUB_FILE
        if not owner or not name or len(rest) > 1 or not file.endswith(SUFFIX):
            raise KerasganError(
                f"{address} is no pack of the Hugging Face Hub; name hf://OWNER/NAME or hf://OWNER/NAME/FILE{SUFFIX}."
            )
        return HUB.format(owner=owner, name=name, file=file)
    if parts.username or parts.password:
        raise KerasganError("An address with a password is not taken, as it would be shown; fetch the file otherwise.")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise KerasganError(f"{address} is not fetched: what comes without TLS can be anyone's. Name an https address.")
    return address


class _OtherFileError(ConnectionError):
    """What was fetched so far is of no use."""


class _OnlySafe(HTTPRedirectHandler):
    """Follows a server to another address under the same rules."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        _url(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _download(url: str, kept: Path, part: Path) -> None:
    """Brings `kept` up to what the server has; `part` holds what came of it so far."""
    note = part.with_suffix(".json")  # what the server said of the files: which content they are of
    said: dict[str, str] = {}
    with suppress(OSError, ValueError):
        said = json.loads(note.read_text())
    headers = {"User-Agent": "kerasgan", "Accept-Encoding": "identity"}
    if kept.exists() and (tag := said.get("kept")):
        headers |= {"If-None-Match" if '"' in tag else "If-Modified-Since": tag}
    done = part.stat().st_size if part.exists() else 0
    tag = said.get("part", "")
    if done and tag and not tag.startswith("W/"):
        headers |= {"Range": f"bytes={done}-", "If-Range": tag}
    try:
        with build_opener(_OnlySafe).open(Request(url, headers=headers), timeout=PATIENCE_S) as answer:
            tag = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
            goes_on = answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {done}-")
            done = done if goes_on else 0
            length = answer.headers.get("Content-Length")
            total = done + int(length) if length and length.isdigit() else None
            if total and total > LARGEST:
                raise KerasganError(f"{url} has {total:,} bytes; a pack has {LARGEST:,} at most. Name another address.")
            with replacing(note) as temporary:
                temporary.write_text(json.dumps(said | {"part": tag}))
            _receive(answer, url, part, done, total)
    except HTTPError as error:
        if error.code == 304:
            return
        if error.code == 416:  # the server has a shorter file, or no more of this one than came before a kill
            part.unlink(missing_ok=True)
            raise _OtherFileError("what came before is no beginning of the file") from error
        raise
    try:
        read_card(part)
    except KerasganError as error:
        part.unlink()
        raise KerasganError(str(error).replace(str(part), url)) from error
    part.replace(kept)
    with replacing(note) as temporary:
        temporary.write_text(json.dumps({"kept": tag}))


def _receive(answer: Any, url: str, part: Path, done: int, total: int | None) -> None:
    from tqdm import tqdm

    logger.info("Fetching %s%s", url, f" from byte {done:,}" if done else "")
    with (
        part.open("ab" if done else "wb") as file,
        tqdm(total=total, initial=done, unit="B", unit_scale=True, desc="Fetching") as progress,
    ):
        while block := answer.read(2**18):
            done += len(block)
            if done > LARGEST:
                raise KerasganError(f"{url} gives more than {LARGEST:,} bytes; no pack does. Name another address.")
            file.write(block)
            progress.update(len(block))
    if total is not None and done != total:
        raise ConnectionError(f"the line broke after {done:,} of {total:,} bytes")
