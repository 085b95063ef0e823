"""OpenVINO: a network converted once, read from its file again, and compiled for the size of a scan's slices."""

from __future__ import annotations

import sys
import tempfile
import threading
from collections import OrderedDict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from kerasgan.files import file_digest, replacing

if TYPE_CHECKING:
    from kerasgan.engines.graph import Frozen

MOST_SIZES = 4  # compiled at once: scans of a cohort are under way at the same time

Precision = Literal["bf16", "f32"]


def openvino() -> Any:
    """The package, imported without its telemetry: a program that reads patients' scans sends nothing to anybody.

    OpenVINO reports each import to its maker unless the user has objected in a file of the home folder; where the
    package of that code cannot be imported it goes on without. Conversion (`convert_model`) reports, too, and is not
    used.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None: an import fails
    import openvino

    return openvino


_loading = threading.Lock()


def core() -> Any:
    """The `openvino.Core` of this process, which all engines share and which is never given back.

    Its plugin for processors puts a signal stack of its own in place of the thread's, and takes it away when it goes.
    Where several cores go in another order than they came, or one goes in another thread, the thread keeps the address
    of a stack that is gone, and its next signal, be it Ctrl-C, ends the process by a segmentation fault.
    """
    with _loading:
        return _core()


@cache
def _core() -> Any:
    return openvino().Core()


def convert(network: Frozen) -> Any:
    """A network as OpenVINO's model, for images of any number and size.

    Raises:
        RuntimeError: For a graph with an operation that OpenVINO lacks.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frozen.pb"
        path.write_bytes(network.graph.as_graph_def().SerializeToString())
        return core().read_model(path)


def save(model: Any, path: Path) -> str:
    """Writes a model as `path` and, beside it, a `.bin` file with its weights in float32.

    Returns:
        The digest of both files.
    """
    with replacing(path.with_suffix(".bin")) as weights, replacing(path) as graph:
        openvino().serialize(model, graph, weights)
    return digest(path)


def digest(path: Path) -> str:
    """The SHA-256 digests of a saved model's files; `""` where one is missing."""
    files = path, path.with_suffix(".bin")
    return "-".join(map(file_digest, files)) if all(file.is_file() for file in files) else ""


class OpenVino:
    """A network under OpenVINO on the processor, one slice after the other.

    Several threads may call it; they take turns, since one slice occupies all cores.

    Args:
        model: What `convert` gave, or the path of a saved one.
        precision: `"f32"`, or `"bf16"` for convolutions in bfloat16.
    """

    def __init__(self, model: Any, precision: Precision) -> None:
        self._model = core().read_model(model) if isinstance(model, Path) else model.clone()
        self._settings = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
        self._requests: OrderedDict[tuple[int, ...], Any] = OrderedDict()
        self._turn = threading.Lock()

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Runs the network over images.

        Args:
            images: float32 `[batch, height, width, channels]` in [-1, 1].

        Returns:
            float32 `[batch, height, width, channels]`, in that range.
        """
        with self._turn:
            request = self._request(images.shape[1:])
            found = []
            for image in images:
                request.infer({0: np.ascontiguousarray(image[None], np.float32)})
                found.append(np.array(request.get_output_tensor(0).data))  # a copy: the tensor is written again
        return np.concatenate(found)

    def _request(self, shape: tuple[int, ...]) -> Any:
        """The request for images of a shape. A model for one shape is a fifth faster than one for all."""
        if shape not in self._requests:
            self._model.reshape([1, *shape])
            compiled = core().compile_model(self._model, "CPU", self._settings)
            self._requests[shape] = compiled.create_infer_request()
            if len(self._requests) > MOST_SIZES:
                self._requests.popitem(last=False)
        self._requests.move_to_end(shape)
        return self._requests[shape]
