"""What translators of exported files share: the contract inside, one direction, physical values in and out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from kerasgan.errors import ExportError
from kerasgan.scans.channels import inverse
from kerasgan.scans.contract import FORMAT, Contract, Direction
from kerasgan.scans.intensity import IntensityMap
from kerasgan.scans.volume import Modality
from kerasgan.text import problems
from kerasgan.translation.translator import Translator


class ExportedTranslator(Translator):
    """Translates with a file that `kerasgan export` wrote.

    A subclass opens the file, gives the JSON in it to `_check`, and computes slices.

    Args:
        path: The file.

    Attributes:
        runtime: What computes the file, such as `"LiteRT"`.
        faults: What it raises for a file that was changed.
    """

    error = ExportError
    runtime: str
    faults: tuple[type[Exception], ...] = (Exception,)

    def __init__(self, path: str | Path) -> None:
        self.name, self.origin = Path(path).name, str(Path(path).resolve())
        self._path = path

    @abstractmethod
    def compute(self, images: np.ndarray) -> np.ndarray:
        """What the file makes of slices in the source's unit: `[batch, height, width, 1]` in the target's."""

    def sources(self) -> Mapping[Direction, Modality]:
        """The modality that goes in, for the one direction."""
        return {self._contract.direction: self._contract.source.modality}

    def contract(self, direction: Direction) -> Contract:
        """The contract inside the file."""
        return self._contract

    def engine(self, direction: Direction) -> str:
        """What computes the file."""
        return f"{self.runtime} {self._contract.weights}"

    def predict(self, direction: Direction, images: np.ndarray, maps: Sequence[IntensityMap]) -> np.ndarray:
        """Translates slices `[batch, height, width, channels]` in [-1, 1] into the target's unit."""
        sources = [IntensityMap(*window) for window in self._contract.source_windows]
        try:
            values = self.compute(inverse(images, sources))
        except self.faults as error:
            raise self._damaged(error) from error
        return np.clip(values, *self._contract.target.window)

    def _check(self, content: object) -> None:
        """Takes the contract from the JSON in the file; `ExportError` where another version of kerasgan wrote it."""
        try:
            found = content.get("format") if isinstance(content, dict) else None
            if found != FORMAT:
                raise ValueError(f"format {found}")
            self._contract = Contract.model_validate(content)
        except ValueError as error:
            reason = problems(error) if isinstance(error, ValidationError) else str(error)
            raise ExportError(
                f"{self._path} was exported with another contract ({reason}); this version of kerasgan reads format "
                f"{FORMAT}. Export the run again with this version, or install the version that exported it."
            ) from error

    def _damaged(self, error: Exception) -> ExportError:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        return ExportError(f"{self._path} is damaged ({reason}); copy it again, or export the run again.")
