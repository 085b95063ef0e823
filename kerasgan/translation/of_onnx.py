"""An ONNX file as a translator: what other programs open, with what is around it here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kerasgan.errors import ExportError
from kerasgan.scans.names import IMAGE, SYNTHETIC
from kerasgan.translation.exported import ExportedTranslator

CPU = "CPUExecutionProvider"
CONTRACT_PROPERTY = "kerasgan_contract"  # of the model's metadata


class OnnxTranslator(ExportedTranslator):
    """Translates with an ONNX file, which has one direction and takes slices of any size, by ONNX Runtime.

    Args:
        path: An `.onnx` file that `kerasgan export` wrote.
        providers: What ONNX Runtime computes with, the first one preferred, such as `"CUDAExecutionProvider"`, or one
            with its options.

    Raises:
        ExportError: Where the file is missing, damaged, made by another program, or by another version of kerasgan, or
            ONNX Runtime is not installed.

    Example:
        ::

            mr = kerasgan.read_volume("patient/T1")
            ct = OnnxTranslator("model.onnx").translate(mr).volume
    """

    export_command = "kerasgan export RUN MODEL.onnx"
    runtime = "ONNX Runtime"

    def __init__(self, path: str | Path, providers: Sequence[str | tuple[str, dict[str, object]]] = (CPU,)) -> None:
        try:
            import onnxruntime
        except ModuleNotFoundError as error:
            raise ExportError("An ONNX file needs ONNX Runtime: pip install onnxruntime") from error
        super().__init__(path)
        self._providers = list(providers)
        if not Path(path).is_file():
            raise ExportError(f"{path} is missing. Name a file that {self.export_command} wrote.")
        try:
            self._session = onnxruntime.InferenceSession(str(path), providers=self._providers)
            stored = self._session.get_modelmeta().custom_metadata_map.get(CONTRACT_PROPERTY, "")
            names = [[one.name for one in side] for side in (self._session.get_inputs(), self._session.get_outputs())]
        except Exception as error:  # ONNX Runtime raises anything for a file that was changed
            raise self._damaged(error) from error
        if not stored or names != [[IMAGE], [SYNTHETIC]]:
            raise ExportError(f"{path} holds no contract of kerasgan. Name a file that {self.export_command} wrote.")
        try:
            content = json.loads(stored)
        except ValueError as error:
            raise self._damaged(error) from error
        self._check(content)

    def __reduce__(self) -> tuple[object, ...]:  # another process opens the file itself
        return OnnxTranslator, (self._path, self._providers), self._chosen()

    def compute(self, images: np.ndarray) -> np.ndarray:
        """What the file makes of slices of any number and size."""
        (values,) = self._session.run([SYNTHETIC], {IMAGE: images})
        return np.asarray(values)
