"""A client of a served model, by gRPC or by REST: slices go out in batches, and come back in their order."""

from __future__ import annotations

import logging
import random
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydantic import ValidationError

from kerasgan.config import Window
from kerasgan.errors import ServingError
from kerasgan.export.pixels import decode, request
from kerasgan.export.serving_contract import ServingContract
from kerasgan.scans import names
from kerasgan.scans.contract import Contract, Direction
from kerasgan.serving.protocol import GRPC_CLIENT, REST_CLIENT, Address, Inputs, Transport, parse_address, require

DEADLINE_S = 60.0
MESSAGE_BYTES = 4 * 2**20  # what gRPC takes by default, in either direction
OVERHEAD = 2**14  # of a message beside its pixels
BATCH = 8  # slices; more would make a request long without making it cheaper
IN_FLIGHT = 2  # requests; the server works on one while the other is on its way
SWITCHES = 3  # of the version that a translation lives through
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
LOGGED_AFTER_S = 2.0  # what lasts no longer is nobody's concern

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Client:
    """A client of one model on a server.

    Images go as float32 over gRPC, and as 16-bit pixels over REST, where numbers would be slow; the step is then
    1/65,535 of their range, and synthetic CT comes in whole HU.

    Args:
        address: `grpc://host:8500/NAME` or `http://host:8501/NAME`; `grpcs` and `https` for TLS.
        token: The token that the server asks for.
        certificate: PEM file of a server, or of an authority, that the system does not trust by itself.
        deadline_s: Seconds for one request with all its repetitions.
        message_bytes: Size of a message; one slice goes even if it is longer.

    Raises:
        ServingError: For an invalid address, or if a package is missing.

    Example:
        With a server from `kerasgan serve models`::

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
        self._connection = token, certificate
        self._transport = connect(self.address, token, certificate)

    def __reduce__(self) -> tuple[object, ...]:  # another process makes connections of its own
        return Client, (str(self.address), *self._connection, self.deadline_s, self.message_bytes)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connections."""
        self._transport.close()

    def contract(self) -> ServingContract:
        """Asks for the contract of the version that the server has now.

        Raises:
            ServingError: If the server cannot be reached, or the model was not exported by kerasgan.
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

    def translate(
        self, images: np.ndarray, direction: Direction = "ab", window: Window | Sequence[Window] | None = None
    ) -> np.ndarray:
        """Translates slices, all by one version of the model.

        Args:
            images: Finite, `[slices, height, width, channels]` in HU or the MR's own unit, at the contract's
                `pixel_mm`; the channels are those that it names, in that order, or one.
            direction: `"ab"` or `"ba"`.
            window: `low, high` of an MR scan, the values that become -1 and 1; of several channels, one for each. None
                if the source is CT or has a fixed window; for other MR, the server then finds one for all slices, which
                it gets in one message.

        Returns:
            float32 `[slices, height, width, 1]` in the target's unit.

        Raises:
            ValueError: For images that are not finite or of another shape, or a window that does not fit.
            ServingError: If the server cannot be reached or refuses.
        """
        return self.with_one_version(
            lambda described: np.concatenate(list(self.stream(images, described, direction, window)))
        )

    def stream(
        self,
        images: np.ndarray,
        described: ServingContract,
        direction: Direction,
        window: Window | Sequence[Window] | None = None,
    ) -> Iterator[np.ndarray]:
        """Translates slices and gives them batch by batch, in their order, by one version of the model.

        Args:
            images: As for `translate`.
            described: The contract, whose `version` is asked for.
            direction: As for `translate`.
            window: As for `translate`.

        Raises:
            ValueError: As for `translate`.
            ServingError: As for `translate`; NOT_FOUND if the server has gone on to another version.
        """
        if direction not in described.directions:
            either = described.either
            raise ServingError(
                f"{self.address} translates {either.source.modality} to {either.target.modality} only, direction "
                f"{either.direction}; got direction {direction}."
            )
        one = described.directions[direction]
        if self.address.is_grpc:
            name = names.DEFAULT if window is None else names.WINDOWED
        else:
            name = names.BYTES if window is None else names.BYTES_WINDOWED
        name = names.directed(name, direction)
        if name not in one.signatures:
            raise ValueError(f"Direction {direction} takes {one.source}, whose window is fixed; leave window out.")
        channels = len(one.source_windows)
        if images.ndim != 4 or images.shape[-1] != channels or not images.size:
            named = f", channels {', '.join(channel.name for channel in one.channels)}" if one.channels else ""
            raise ValueError(
                f"Needs images of shape [slices, height, width, {channels}]{named}; got {list(images.shape)}."
            )
        windows: list[Window] | None = None
        if window is not None:
            if np.size(window) != 2 * channels:
                raise ValueError(f"Needs {channels} windows (low, high), one for each channel; got {window}.")
            windows = [(float(low), float(high)) for low, high in np.reshape(window, (-1, 2))]
        with np.errstate(over="ignore"):  # becomes infinite
            converted = images.astype(np.float32)
        if wrong := images.size - np.isfinite(converted).sum():
            raise ValueError(
                f"{wrong} of {images.size} pixel values in `images` are NaN or infinite; replace them with finite "
                "values before translating."
            )
        size = max(1, min(BATCH, (self.message_bytes - OVERHEAD) // converted[0].nbytes))
        if one.signatures[name].batch == "volume":
            size = len(images)

        def ask(first: int) -> np.ndarray:
            return self._translated(converted[first : first + size], one, name, windows, described.version)

        with ThreadPoolExecutor(IN_FLIGHT) as pool:
            waiting: deque[Future[np.ndarray]] = deque()
            try:
                for first in range(0, len(images), size):
                    waiting.append(pool.submit(ask, first))
                    if len(waiting) == IN_FLIGHT:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for answer in waiting:
                    answer.cancel()

    def with_one_version(self, action: Callable[[ServingContract], T]) -> T:
        """Does something by one version of the model, and again if the server has meanwhile gone on to another.

        Args:
            action: Takes the contract of that version.

        Returns:
            The result of the action.

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

    def _translated(
        self, images: np.ndarray, one: Contract, name: str, windows: Sequence[Window] | None, version: int
    ) -> np.ndarray:
        offered = request(images, windows)
        output = self._ask(name, {tensor: offered[tensor] for tensor in one.signatures[name].inputs}, version)
        if output.dtype == object:
            assert one.encoding is not None  # a served model has one
            try:
                output = decode(output.tolist(), images.shape[1], images.shape[2], one.encoding)
            except ValueError as error:
                raise ServingError(f"{self.address}: {error}") from error
        if output.shape != (*images.shape[:-1], 1) or not np.isfinite(output).all():
            raise ServingError(f"{self.address} gave images of shape {output.shape} or not finite; it is not usable.")
        return output

    def _ask(self, signature: str, inputs: Inputs, version: int | None) -> np.ndarray:
        return until_deadline(
            lambda timeout_s: self._transport.predict(signature, inputs, version, timeout_s), self.deadline_s
        )


def connect(address: Address, token: str | None, certificate: Path | None) -> Transport:
    """Makes the transport for an address; nothing is sent yet.

    Args:
        address: Address of a model.
        token: The token for `Authorization: Bearer`; None for none.
        certificate: PEM file with what to trust; None: the authorities that the system trusts.

    Raises:
        ServingError: If a package is missing, or the certificate cannot be read.
    """
    if certificate:
        try:
            ssl.create_default_context(cafile=certificate)
        except OSError as error:
            raise ServingError(
                f"{certificate} cannot be read as a PEM certificate ({error}). Check the file."
            ) from error
    if address.is_grpc:
        require(GRPC_CLIENT)
        from kerasgan.serving.grpc_transport import GrpcTransport

        return GrpcTransport(address, token, certificate)
    require(REST_CLIENT)
    from kerasgan.serving.rest_transport import RestTransport

    return RestTransport(address, token, certificate)


def until_deadline(attempt: Callable[[float], T], deadline_s: float) -> T:
    """Tries a request again with growing pauses while the server is unavailable: it starts, stops or is overloaded.

    What lasts for more than a moment is logged once.

    Args:
        attempt: Takes the seconds that are left.
        deadline_s: Seconds for all attempts and pauses together.

    Returns:
        The result of the first attempt that succeeds.

    Raises:
        ServingError: The last one; at once if another attempt would not help.

    Example:
        >>> until_deadline(lambda timeout_s: "answer", deadline_s=1.0)
        'answer'
    """
    begun, pause, logged = time.monotonic(), FIRST_PAUSE_S, False
    end = begun + deadline_s
    while True:
        try:
            return attempt(max(end - time.monotonic(), 0.001))
        except ServingError as error:
            wait = pause * random.uniform(0.5, 1)  # so that many clients do not come back at once
            if error.code != "UNAVAILABLE" or time.monotonic() + wait >= end:
                raise
            if not logged and time.monotonic() - begun > LOGGED_AFTER_S:
                logger.warning("%s Trying again for %.0f s.", error, end - time.monotonic())
                logged = True
        time.sleep(wait)
        pause = min(2 * pause, LONGEST_PAUSE_S)
