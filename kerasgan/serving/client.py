"""A client of a served model, by gRPC or by REST: slices go out in batches, and come back in their order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydantic import ValidationError

from kerasgan.errors import ServingError
from kerasgan.export.pixels import decode, encode
from kerasgan.export.serving_contract import ServingContract
from kerasgan.scans import names
from kerasgan.scans.contract import Contract, Direction, Window
from kerasgan.serving.address import Address, parse_address
from kerasgan.serving.retry import until_deadline
from kerasgan.serving.transports import Inputs, Transport

DEADLINE_S = 60.0
MESSAGE_BYTES = 4 * 2**20  # what gRPC takes by default, in either direction
OVERHEAD = 2**14  # of a message beside its pixels
BATCH = 8  # slices; more would make a request long without making it cheaper
IN_FLIGHT = 2  # requests; the server works on one while the other is on its way
SWITCHES = 3  # of the version that a translation lives through

T = TypeVar("T")


class Client:
    """Asks one model of a server.

    Images go as float32 over gRPC, and as 16-bit pixels over REST, where numbers would be slow; the step is then
    1/65,535 of their range, and synthetic CT comes in whole HU.

    Args:
        address: `grpc://host:8500/NAME` or `http://host:8501/NAME`; `grpcs` and `https` for TLS.
        token: That the server asks for.
        certificate: PEM file of a server, or of an authority, that the system does not trust by itself.
        deadline_s: Seconds for one request with all its repetitions.
        message_bytes: Size of a message; one slice goes even where it is longer.

    Raises:
        ServingError: For a bad address, or where a package is missing.

    Example:
        with Client("grpc://localhost:8500/hiasa2018") as client:
            hounsfield = client.translate(slices, window=(0.0, 420.0))
    """

    def __init__(
        self,
        address: str,
        token: str | None = None,
        certificate: Path | None = None,
        deadline_s: float = DEADLINE_S,
        message_bytes: int = MESSAGE_BYTES,
    ) -> None:
        self.address = parse_address(address)
        self.deadline_s, self.message_bytes = deadline_s, message_bytes
        self._transport = connect(self.address, token, certificate)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connections."""
        self._transport.close()

    def contract(self) -> ServingContract:
        """What the model takes and gives, as the server has it now.

        Raises:
            ServingError: Where the server cannot be reached, or the model is none of kerasgan's.
        """
        try:
            content = self._ask(names.CONTRACT, {names.INDEX: np.zeros(1, np.int32)}, None)[0]
            return ServingContract.model_validate_json(content)
        except ValidationError as error:
            message = f"{self.address} was exported by another version of kerasgan; use that one here, too."
            raise ServingError(message) from error
        except ServingError as error:
            if error.code in ("FAILED_PRECONDITION", "INVALID_ARGUMENT"):
                raise ServingError(f"{self.address} is no model that kerasgan exported: {error}", error.code) from error
            raise

    def translate(self, images: np.ndarray, direction: Direction = "ab", window: Window | None = None) -> np.ndarray:
        """Translates slices.

        Args:
            images: Finite, `[slices, height, width, 1]` in HU or the MR's own unit, at the contract's `pixel_mm`.
            direction: `"ab"` or `"ba"`.
            window: `low, high` of an MR scan, the values that become -1 and 1. None where the source is CT or has a
                fixed window; for other MR, the server then finds one for all slices, which it gets in one message.

        Returns:
            float32 of the same shape, in the target's unit.

        Raises:
            ValueError: For images that are not finite or of another shape, or a window that does not fit.
            ServingError: Where the server cannot be reached or refuses.
        """
        return self.with_one_version(
            lambda described: np.concatenate(list(self.stream(images, described, direction, window)))
        )

    def stream(
        self, images: np.ndarray, described: ServingContract, direction: Direction, window: Window | None = None
    ) -> Iterator[np.ndarray]:
        """Translates slices and gives them batch by batch, in their order, by one version of the model.

        Args:
            images: As for `translate`.
            described: Its `version` is asked for.
            direction: As for `translate`.
            window: As for `translate`.

        Raises:
            ValueError: As for `translate`.
            ServingError: As for `translate`; NOT_FOUND where the server has gone on to another version.
        """
        one = described.directions[direction]
        name = self._signature(one, window)
        images = _checked(images)
        size = len(images) if one.signatures[name].batch == "volume" else self._batch_size(images)

        def ask(first: int) -> np.ndarray:
            return self._translated(images[first : first + size], one, name, window, described.version)

        yield from _in_order(ask, range(0, len(images), size))

    def with_one_version(self, action: Callable[[ServingContract], T]) -> T:
        """Does something by one version of the model, and again where the server has meanwhile gone on to another.

        Args:
            action: Gets the contract of that version.

        Raises:
            ServingError: As the action does.
        """
        described = self.contract()
        for _ in range(SWITCHES):
            try:
                return action(described)
            except ServingError as error:
                if error.code != "NOT_FOUND":
                    raise
                former, described = described, self.contract()
                if former.version == described.version:
                    raise
        return action(described)

    def _signature(self, one: Contract, window: Window | None) -> str:
        plain, windowed = (
            (names.DEFAULT, names.WINDOWED) if self.address.is_grpc else (names.BYTES, names.BYTES_WINDOWED)
        )
        name = names.directed(windowed if window else plain, one.direction)
        if name not in one.signatures:
            raise ValueError(f"Direction {one.direction} takes {one.source}, whose window is fixed; leave window out.")
        return name

    def _batch_size(self, images: np.ndarray) -> int:
        return max(1, min(BATCH, (self.message_bytes - OVERHEAD) // images[0].nbytes))

    def _translated(
        self, images: np.ndarray, one: Contract, name: str, window: Window | None, version: int
    ) -> np.ndarray:
        offered = _inputs(images, window)
        output = self._ask(name, {tensor: offered[tensor] for tensor in one.signatures[name].inputs}, version)
        if output.dtype == object:
            output = self._decoded(output, images, one)
        if output.shape != images.shape or not np.isfinite(output).all():
            raise ServingError(f"{self.address} gave images of shape {output.shape} or not finite; it is not usable.")
        return output

    def _decoded(self, output: np.ndarray, images: np.ndarray, one: Contract) -> np.ndarray:
        assert one.encoding is not None  # a served model has one
        try:
            return decode(output.tolist(), images.shape[1], images.shape[2], one.encoding)
        except ValueError as error:
            raise ServingError(f"{self.address}: {error}") from error

    def _ask(self, signature: str, inputs: Inputs, version: int | None) -> np.ndarray:
        def attempt(timeout_s: float) -> np.ndarray:
            return self._transport.predict(signature, inputs, version, timeout_s)

        return until_deadline(attempt, self.deadline_s)


def _checked(images: np.ndarray) -> np.ndarray:
    if images.ndim != 4 or images.shape[-1] != 1 or not images.size:
        raise ValueError(f"Needs images of shape [slices, height, width, 1]; got {list(images.shape)}.")
    with np.errstate(over="ignore"):  # becomes infinite
        converted = images.astype(np.float32)
    if wrong := images.size - np.isfinite(converted).sum():
        raise ValueError(f"{wrong} of {images.size} values are NaN or infinite; replace them first.")
    return converted


def _inputs(images: np.ndarray, window: Window | None) -> dict[str, np.ndarray]:
    """Every tensor that a signature may take."""
    pixels, count = encode(images), len(images)
    content = np.empty(count, object)
    content[:] = pixels.content
    found = {
        names.IMAGE: images,
        names.PIXELS_BYTES: content,
        names.ROWS: np.full(count, pixels.rows, np.int32),
        names.COLUMNS: np.full(count, pixels.columns, np.int32),
        names.SLOPE: np.full(count, pixels.encoding.slope, np.float32),
        names.INTERCEPT: np.full(count, pixels.encoding.intercept, np.float32),
    }
    return found | ({names.WINDOW: np.full((count, 2), window, np.float32)} if window else {})


def _in_order(ask: Callable[[int], np.ndarray], firsts: range) -> Iterator[np.ndarray]:
    """The answers in the order of the questions, a few of which are under way at any time."""
    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        waiting: deque[Future[np.ndarray]] = deque()
        try:
            for first in firsts:
                waiting.append(pool.submit(ask, first))
                if len(waiting) == IN_FLIGHT:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for answer in waiting:
                answer.cancel()


def connect(address: Address, token: str | None, certificate: Path | None) -> Transport:
    """The transport for an address; nothing is sent yet.

    Args:
        address: Of a model.
        token: For `Authorization: Bearer`.
        certificate: PEM file with what to trust; None: the authorities that the system trusts.

    Raises:
        ServingError: Where a package is missing.
    """
    from kerasgan.serving.extra import GRPC_CLIENT, REST_CLIENT, require

    if address.is_grpc:
        require(GRPC_CLIENT)
        from kerasgan.serving.grpc_transport import GrpcTransport

        return GrpcTransport(address, token, certificate)
    require(REST_CLIENT)
    from kerasgan.serving.rest_transport import RestTransport

    return RestTransport(address, token, certificate)
