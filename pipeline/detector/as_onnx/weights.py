"""Store the weights of a graph in fewer bytes. What is computed from them stays float32, and scores stay float64."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.networks.encoders.onnx_file import import_onnx

Weights = Literal["float32", "float16", "int8"]
FEWEST = 256
"""Values of a tensor from which it is stored in fewer bytes."""
LEVELS = 127
"""Of int8 on either side of 0."""


def with_smaller_weights(model: Any, weights: Weights) -> Any:
    """Return a model whose float32 weights are stored as float16 or as int8, and its float64 ones as float32.

    Every weight is followed by its way back to what it was, which runtimes compute once when they load a model. So it
    is smaller to send, and neither faster nor slower. int8 has a scale for each output of a layer, the largest absolute
    value / 127; tensors of one dimension stay as they are. float32 changes nothing.

    Raises ValueError when a weight is beyond the range of float16.
    """
    if weights == "float32":
        return model
    onnx, restoring = import_onnx(), []
    for tensor in list(model.graph.initializer):
        values = onnx.numpy_helper.to_array(tensor)
        if values.size < FEWEST or values.dtype not in (np.float32, np.float64):
            continue
        if values.dtype == np.float64:
            parts = {"": values.astype(np.float32)}
        elif weights == "float16":
            parts = {"": _as_float16(values)}
        elif values.ndim > 1:
            parts = dict(zip(("", "/scale"), _as_int8(values, _axis(model.graph, tensor.name)), strict=True))
        else:
            continue
        model.graph.initializer.remove(tensor)
        restoring += _stored(model.graph, tensor.name, parts, values.dtype)
    for node in reversed(restoring):
        model.graph.node.insert(0, node)
    return model


def _stored(graph: Any, name: str, parts: dict[str, NDArray[Any]], kind: np.dtype[Any]) -> list[Any]:
    """Add the parts of a weight to a graph, and return the operators that make the weight of them."""
    onnx = import_onnx()
    for ending, values in parts.items():
        graph.initializer.append(onnx.numpy_helper.from_array(values, f"{name}/stored{ending}"))
    target = name if len(parts) == 1 else f"{name}/levels"
    whole = onnx.helper.np_dtype_to_tensor_dtype(kind)
    nodes = [onnx.helper.make_node("Cast", [f"{name}/stored"], [target], to=whole)]
    if len(parts) > 1:
        nodes.append(onnx.helper.make_node("Mul", [target, f"{name}/stored/scale"], [name]))
    return nodes


def _as_float16(values: NDArray[np.float32]) -> NDArray[np.float16]:
    if np.abs(values).max() > np.finfo(np.float16).max:
        raise ValueError("a weight is beyond the range of float16")
    return values.astype(np.float16)


def _as_int8(values: NDArray[np.float32], axis: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return levels of -127..127 and the scale of each index along an axis, so that their product is nearest."""
    others = tuple(other for other in range(values.ndim) if other != axis % values.ndim)
    scale = np.abs(values).max(others, keepdims=True) / LEVELS
    scale = np.where(scale > 0, scale, 1).astype(np.float32)
    return np.round(values / scale).astype(np.int8), scale


def _axis(graph: Any, name: str) -> int:
    """Return the axis of a weight that counts the outputs of its layer."""
    for node in graph.node:
        if list(node.input)[1:2] == [name]:
            transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
            if node.op_type == "MatMul" or (node.op_type == "Gemm" and not transposed):
                return -1
    return 0
