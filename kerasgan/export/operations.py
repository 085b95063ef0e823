"""The operations that a served model may hold: arithmetic on tensors, and nothing that reads, writes or runs more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from kerasgan.errors import ServingError

GRAPH_FILE = "saved_model.pb"

ARITHMETIC = frozenset(
    """
    Abs Acos Acosh Add AddN AddV2 All Any ArgMax ArgMin Asin Asinh Atan Atan2 Atanh AvgPool AvgPool3D BatchMatMul
    BatchMatMulV2 BatchMatMulV3 BatchToSpaceND BiasAdd Bincount BitwiseAnd BitwiseOr BitwiseXor BroadcastArgs
    BroadcastTo Bucketize Cast Ceil CheckNumerics CheckNumericsV2 ClipByValue Concat ConcatV2 Conv2D Conv2DBackpropInput
    Conv3D Conv3DBackpropInputV2 Cos Cosh CropAndResize Cumprod Cumsum DenseBincount DepthToSpace DepthwiseConv2dNative
    Diag DiagPart Div DivNoNan Einsum Elu Empty EnsureShape Equal Erf Erfc Erfinv EuclideanNorm Exp ExpandDims Expm1
    ExtractImagePatches FFT FFT2D Fill Floor FloorDiv FloorMod FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 Gather
    GatherNd GatherV2 Greater GreaterEqual HistogramFixedWidth IFFT IFFT2D IRFFT IRFFT2D ImageProjectiveTransformV3 Inv
    InvertPermutation IsFinite IsInf IsNan L2Loss LRN LeakyRelu Less LessEqual LinSpace Log Log1p LogSoftmax LogicalAnd
    LogicalNot LogicalOr LowerBound MatMul MatrixBandPart MatrixDiagV3 Max MaxPool MaxPool3D MaxPoolV2 Maximum Mean Min
    Minimum MirrorPad Mod Mul MulNoNan Neg NotEqual OneHot OnesLike Pack Pad PadV2 Pow Prod RFFT RFFT2D Range Rank
    RealDiv Reciprocal Relu Relu6 Reshape ResizeArea ResizeBicubic ResizeBilinear ResizeNearestNeighbor Reverse
    ReverseSequence ReverseV2 Rint Round Rsqrt ScaleAndTranslate ScatterNd SegmentSum Select SelectV2 Selu Shape ShapeN
    Sigmoid Sign Sin Sinh Size Slice Softmax Softplus Softsign SpaceToBatchND SpaceToDepth Split SplitV Sqrt Square
    SquaredDifference Squeeze StridedSlice Sub Sum Tan Tanh TensorScatterAdd TensorScatterUpdate Tile TopKV2 Transpose
    TruncateDiv TruncateMod Unique UniqueV2 Unpack UnravelIndex UnsortedSegmentSum UpperBound Where Xdivy Xlogy
    ZerosLike
    Const Identity IdentityN NoOp Placeholder PlaceholderV2 PlaceholderWithDefault PreventGradient Snapshot StopGradient
    Assert Case If PartitionedCall StatefulPartitionedCall StatelessCase StatelessIf
    DisableCopyOnRead ReadVariableOp VarHandleOp VarIsInitializedOp VariableShape
    DecodeRaw SerializeTensor StaticRegexFullMatch StringJoin StringLength Substr
    """.split()  # noqa: SIM905
)
# The functions that save and restore weights hold these; TensorFlow writes them into every SavedModel.
CHECKPOINT = frozenset(("AssignVariableOp", "MergeV2Checkpoints", "RestoreV2", "SaveV2", "ShardedFilename"))
OBJECTS = frozenset(("bare_concrete_function", "captured_tensor", "constant", "function", "user_object", "variable"))


def foreign_operations(version_folder: Path) -> list[str]:
    """Finds what could do more than arithmetic in a SavedModel, without loading any of it.

    A graph can read and write files as well. The functions that save and restore weights do, which are in every
    SavedModel; they pass as long as nothing else calls them.

    Args:
        version_folder: The folder of the SavedModel.

    Returns:
        Names of operations, of objects and of functions; none in what kerasgan exports.

    Raises:
        ServingError: If there is no SavedModel.
    """
    path = version_folder / GRAPH_FILE
    try:
        saved = SavedModel.FromString(path.read_bytes())
    except DecodeError as error:
        raise ServingError(f"{path} is no SavedModel ({error}). Export the run again.") from error
    found: set[str] = set()
    for graph in saved.meta_graphs:
        functions = {function.signature.name: function.node_def for function in graph.graph_def.library.function}
        savers = {name for name, nodes in functions.items() if any(node.op in CHECKPOINT for node in nodes)}
        found |= {node.op for node in graph.graph_def.node} - ARITHMETIC
        for name, nodes in functions.items():
            found |= {node.op for node in nodes} - ARITHMETIC - (CHECKPOINT if name in savers else frozenset())
            if name not in savers:
                found |= savers & {called for node in nodes for called in _called(node)}
        found |= savers & set(graph.object_graph_def.concrete_functions)
        found |= {str(node.WhichOneof("kind")) for node in graph.object_graph_def.nodes} - OBJECTS
    return sorted(found)


def _called(node: Any) -> list[str]:
    """The functions that a node names."""
    attributes = node.attr.values()
    return [one.func.name for one in attributes] + [called.name for one in attributes for called in one.list.func]
