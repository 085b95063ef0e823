"""A float TFLite file with integer convolutions: they hold nearly all work, and nearly all weights of a large network.

Normalisation, residual sums, the change of units and the last convolution stay in float32. Instance normalisation
divides by a deviation that 8 or 16 bits of one scale for all channels cannot hold, and each step of the last
convolution's 8-bit output would be 10 HU. Measured on a ResNet of 32 filters and 9 blocks, in HU of error inside the
body against true CT: Keras 101.5, all operations in 8 bits 822, all convolutions 109.9, all but the last 101.7.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from types import ModuleType
from typing import Literal

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from kerasgan.errors import ExportError
from kerasgan.scans.names import DEFAULT, IMAGE

IntegerPrecision = Literal["int8", "int16x8"]

ACTIVATION_BITS: dict[IntegerPrecision, int] = {"int8": 8, "int16x8": 16}
WEIGHT_BITS = 8
CONVOLUTIONS = {  # code in a file: name in the quantizer
    schema.BuiltinOperator.CONV_2D: "CONV_2D",
    schema.BuiltinOperator.DEPTHWISE_CONV_2D: "DEPTHWISE_CONV_2D",
    schema.BuiltinOperator.TRANSPOSE_CONV: "CONV_2D_TRANSPOSE",
}


def quantized(content: bytes, precision: IntegerPrecision, images: Iterable[np.ndarray]) -> bytes:
    """Gives a float32 TFLite file integer convolutions, with a scale for each channel of weights.

    Args:
        content: The file, with the signature `serving_default`.
        precision: `"int8"`, or `"int16x8"` for 8-bit weights and 16-bit activations.
        images: `[1, height, width, 1]` in the unit of the file's input; the activations' scales come from them.

    Returns:
        The new file; its input and output stay float32.

    Raises:
        ExportError: Where `ai-edge-quantizer` is not installed.
    """
    library = quantizer_library(precision)
    quantizer, names = library.Quantizer(content), library.qtyping.TFLOperationName
    last = f"^{re.escape(_last_convolution(content))};$"
    for name in CONVOLUTIONS.values():
        quantizer.add_static_config(".*", names(name), ACTIVATION_BITS[precision], WEIGHT_BITS)
        quantizer.update_quantization_recipe(last, names(name), algorithm_key="no_quantize")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's own use of the interpreter
        calibration = quantizer.calibrate({DEFAULT: [{IMAGE: image} for image in images]})
        result = quantizer.quantize(calibration, enable_progress_bar=False, enable_progress_report=False)
    return bytes(result.quantized_model)


def quantizer_library(precision: str) -> ModuleType:
    """`ai-edge-quantizer`, which is an extra.

    Raises:
        ExportError: Where it is not installed.
    """
    try:
        import ai_edge_quantizer
        import ai_edge_quantizer.qtyping
    except ImportError as error:
        raise ExportError(
            f"--precision {precision} needs ai-edge-quantizer, which is not installed: "
            "pip install 'kerasgan[quantization]'. float32 and float16 do without."
        ) from error
    return ai_edge_quantizer


def _last_convolution(content: bytes) -> str:
    """The name of the tensor that the last convolution writes."""
    model = schema.ModelT.InitFromPackedBuf(content)
    graph = model.subgraphs[0]
    codes = [code.builtinCode for code in model.operatorCodes]
    outputs = [operator.outputs[0] for operator in graph.operators if codes[operator.opcodeIndex] in CONVOLUTIONS]
    name: bytes = graph.tensors[outputs[-1]].name
    return name.decode()
