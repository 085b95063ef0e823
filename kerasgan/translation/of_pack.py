"""A pack as a translator: a run that came as one file."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kerasgan.engines.names import Wanted
from kerasgan.errors import RunError
from kerasgan.runs.pack import refusal, unpack
from kerasgan.scans.contract import Direction
from kerasgan.translation.of_run import RunTranslator

if TYPE_CHECKING:
    import keras


class PackTranslator(RunTranslator):
    """Translates with the generators of a pack, which lies in a temporary folder as long as this object exists.

    Args:
        path: A `.kgan` file that `kerasgan pack` wrote, which may be a stranger's.
        engine: As for `RunTranslator`, as is `cache`.

    Raises:
        RunError: For a file that is no pack, is damaged, or holds what a pack does not.
        KerasganError: For an engine that this machine has not.

    Example:
        ::

            mr = kerasgan.read_volume("patient/T1")
            ct = PackTranslator("model.kgan").translate(mr).volume
    """

    export_command = "kerasgan pack RUN FILE.kgan"

    def __init__(self, path: str | Path, engine: Wanted = "exact", cache: Path | None = None) -> None:
        self._path = Path(path)
        self._folder = tempfile.TemporaryDirectory(prefix="kerasgan-")
        super().__init__(unpack(self._path, Path(self._folder.name)), engine, cache)
        self.name, self.origin = self._path.name, str(self._path.resolve())

    def __reduce__(self) -> tuple[object, ...]:  # another process, perhaps elsewhere, unpacks the file itself
        return PackTranslator, (self.origin, self._wanted, self._cache), self._chosen()

    def structures(self, direction: Direction) -> tuple[str, ...]:
        """Those of the run's recipe, in domain b; `RunError` where the pack lacks the segmentation network."""
        try:
            return super().structures(direction)
        except RunError as error:
            raise RunError(
                f"{self._path} came without the segmentation network of its run, as the run had none yet or a former "
                f"version of kerasgan packed it. Pack the run again: {self.export_command}, or leave --structures out."
            ) from error

    def segmenter(self, direction: Direction) -> Callable[[np.ndarray], np.ndarray]:
        """The segmentation network; `RunError` for one that is damaged or holds code."""
        try:
            return super().segmenter(direction)
        except RunError as error:
            raise refusal(self._path, error, self.run.path) from error

    def generator(self, direction: Direction) -> keras.Model:
        """The generator of a direction, loaded once; `RunError` for one that is damaged or holds code."""
        try:
            return super().generator(direction)
        except RunError as error:
            raise refusal(self._path, error, self.run.path) from error
