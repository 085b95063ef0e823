"""A TFLite file as a translator: the engine of devices, without TensorFlow."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kerasgan.errors import ExportError
from kerasgan.execution import cores
from kerasgan.scans.names import DEFAULT, IMAGE, SYNTHETIC
from kerasgan.translation.exported import ExportedTranslator
from kerasgan.translation.tflite_metadata import read_contract


class TFLiteTranslator(ExportedTranslator):
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

    export_command = "kerasgan export RUN MODEL.tflite"
    runtime = "LiteRT"
    faults = (RuntimeError, ValueError)

    def __init__(self, path: str | Path) -> None:
        from ai_edge_litert.interpreter import Interpreter

        super().__init__(path)
        self._check(read_contract(path))
        wanted = {"inputs": [IMAGE], "outputs": [SYNTHETIC]}
        try:
            interpreter = Interpreter(model_path=str(path), num_threads=cores())
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

    def compute(self, images: np.ndarray) -> np.ndarray:
        """What the file makes of a slice `[1, height, width, channels]`."""
        return np.asarray(self._run(**{IMAGE: images})[SYNTHETIC])
