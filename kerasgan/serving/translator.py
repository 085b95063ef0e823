"""A served model as a translator: scans are prepared and put back here, the server sees slices alone."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from kerasgan.errors import ServingError
from kerasgan.export.serving_contract import ServingContract
from kerasgan.scans.channels import inverse
from kerasgan.scans.contract import Contract, Direction
from kerasgan.scans.intensity import IntensityMap
from kerasgan.scans.volume import Modality, Volume
from kerasgan.serving.client import Client
from kerasgan.translation.translate import Source
from kerasgan.translation.translate import translate as translate_by_any
from kerasgan.translation.translator import Translation, Translator


class ServerTranslator(Translator):
    """Translates with a model behind a port, each scan by one version of it.

    Args:
        client: The client of the model.

    Example:
        ::

            with Client("grpc://localhost:8500/heads") as client:
                ct = ServerTranslator(client).translate(kerasgan.read_volume("patient/T1")).volume
    """

    error = ServingError
    batch_size = 64  # the client sends several messages at once

    def __init__(self, client: Client) -> None:
        self.client, self.name, self.origin = client, str(client.address), str(client.address)
        self._local = threading.local()  # each thread translates its scan by one version

    def __reduce__(self) -> tuple[object, ...]:
        return ServerTranslator, (self.client,)

    def translate(
        self,
        volume: Volume | Mapping[str, Volume],
        direction: Direction | None = None,
        overwrite: bool = False,
        flip: bool = False,
        strict: bool = False,
        structures: bool = False,
    ) -> Translation:
        """Translates as `Translator.translate` does, and again where the server has gone on to another version.

        For that it keeps the volume's values, whatever `overwrite` allows.
        """

        def by_one_version(described: ServingContract) -> Translation:
            self._local.described, self.name = described, described.name
            return super(ServerTranslator, self).translate(
                volume, direction, flip=flip, strict=strict, structures=structures
            )

        return self.client.with_one_version(by_one_version)

    @property
    def described(self) -> ServingContract:
        """The contract of the version that translates the present scan of this thread."""
        if not hasattr(self._local, "described"):
            self._local.described = self.client.contract()
        found: ServingContract = self._local.described
        return found

    def sources(self) -> Mapping[Direction, Modality]:
        """The modality that goes in, for each direction."""
        return {direction: contract.source.modality for direction, contract in self.described.directions.items()}

    def contract(self, direction: Direction) -> Contract:
        """The contract of one direction, from the server."""
        return self.described.directions[direction]

    def predict(self, direction: Direction, images: np.ndarray, maps: Sequence[IntensityMap]) -> np.ndarray:
        """Translates `[batch, height, width, channels]` in [-1, 1] into the target's unit."""
        is_mr = self.contract(direction).source.modality == "MR"
        windows = [(one.low, one.high) for one in maps] if is_mr else None
        return np.concatenate(list(self.client.stream(inverse(images, maps), self.described, direction, windows)))


def translate(
    client: Client,
    source_path: Source,
    output: str | Path,
    direction: Direction | None = None,
    strict: bool = False,
    flip: bool = False,
) -> Path:
    """Translates one scan from disk to disk by a served model; all but `client` is as in `kerasgan.translate`.

    Raises:
        KerasganError: Where the server, the input or the output cannot be used.
    """
    return translate_by_any(ServerTranslator(client), source_path, output, direction, strict, flip=flip)


def translate_volume(
    client: Client, volume: Volume | Mapping[str, Volume], direction: Direction | None = None, flip: bool = False
) -> Volume:
    """Translates a volume by a served model, as `kerasgan.translate_volume` does by a run.

    Raises:
        ServingError: Where the server cannot be reached or refuses, or the model does not take that modality.
    """
    return ServerTranslator(client).translate(volume, direction, flip=flip)[0]
