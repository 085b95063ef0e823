"""A TFLite file as a translator: the engine of devices, without TensorFlow."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from kerasgan.errors import ExportError
from kerasgan.scans.channels import inverse
from kerasgan.scans.contract import FORMAT, Contract, Direction
from kerasgan.scans.intensity import IntensityMap
from kerasgan.scans.names import DEFAULT, IMAGE, SYNTHETIC
from kerasgan.scans.volume import Modality
from kerasgan.text import problems
from kerasgan.translation.tflite_metadata import read_contract
from kerasgan.translation.translator import Translator


class TFLiteTranslator(Translator):
    """Translates with a TFLite file, which has one direction and one size of slices, on all processor cores.

    Args:
        path: A `.tflite` file that `kerasgan export` wrote.

    Raises:
        ExportError: Where the file is missing, damaged, made by another program, or by another version of kerasgan.

    Example:
        ::

            mr = kerasgan.read_volume("patient/T1")
            ct = TFLiteTranslator("model.tflite").translate(mr).volume
    """

    error = ExportError
    export_command = "kerasgan export RUN MODEL.tflite"

    def __init__(self, path: str | Path) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self.name, self.origin = Path(path).name, str(Path(path).resolve())
        content = read_contract(path)
        try:
            if content.get("format") != FORMAT:
                raise ValueError(f"format {content.get('format')}")
            self._contract = Contract.model_validate(content)
        except ValueError as error:
            reason = problems(error) if isinstance(error, ValidationError) else str(error)
            raise ExportError(
                f"{path} was exported with another contract ({reason}); this version of kerasgan reads format "
                f"{FORMAT}. Export the run again with this version, or install the version that exported it."
            ) from error
        self._path, wanted = path, {"inputs": [IMAGE], "outputs": [SYNTHETIC]}
        try:
            interpreter = Interpreter(model_path=str(path), num_threads=os.cpu_count())
            signatures = interpreter.get_signature_list()
            if signatures.get(DEFAULT) == wanted:
                shape = self._contract.signatures[DEFAULT].inputs[IMAGE].shape
                self._run = interpreter.get_signature_runner(DEFAULT)
                found = tuple(self._run.get_input_details()[IMAGE]["shape"].tolist())
        except Exception as error:  # the interpreter raises anything for a file that was changed
            raise self._damaged(error) from error
        if signatures.get(DEFAULT) != wanted:
            raise ExportError(
                f"{path} lacks the signature {DEFAULT!r} with input {IMAGE!r} and output {SYNTHETIC!r}; it has "
                f"{', '.join(map(repr, signatures)) or 'none'}. Export the run again."
            )
        if found != shape:
            raise ExportError(f"{path} takes {found}, and its contract says {shape}. Export the run again.")

    def __reduce__(self) -> tuple[object, ...]:  # another process opens the file itself
        return TFLiteTranslator, (self._path,), self._chosen()

    def sources(self) -> Mapping[Direction, Modality]:
        """The modality that goes in, for the one direction."""
        return {self._contract.direction: self._contract.source.modality}

    def contract(self, direction: Direction) -> Contract:
        """The contract inside the file."""
        return self._contract

    def predict(self, direction: Direction, images: np.ndarray, maps: Sequence[IntensityMap]) -> np.ndarray:
        """Translates a slice `[1, height, width, channels]` in [-1, 1] into the target's unit."""
        sources = [IntensityMap(*window) for window in self._contract.source_windows]
        target = IntensityMap(*self._contract.target.window)
        try:
            values = self._run(**{IMAGE: inverse(images, sources)})[SYNTHETIC]
        except (RuntimeError, ValueError) as error:
            raise self._damaged(error) from error
        return np.clip(values, target.low, target.high)

    def _damaged(self, error: Exception) -> ExportError:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        return ExportError(f"{self._path} is damaged ({reason}); copy it again, or export the run again.")
