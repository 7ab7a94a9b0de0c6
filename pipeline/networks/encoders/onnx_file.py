"""Check the content of an ONNX file before anything runs it: it may be a stranger's."""

import math
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from pipeline.runtime.errors import MissingExtraError, ModelError, reason

EXTRA = "onnx"
DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")
"""The sets of operators that onnxruntime has. Others need a library, and no library of a model is loaded."""
REPEATING = ("Loop", "Scan", "SequenceMap")
"""Operators that run a graph many times, perhaps without end. No network of single images needs them."""
MOST_NODES = 2**14
"""Most operators of a network; the largest vision models have some thousands."""
MOST_VALUES = 2**28
"""Most values of one tensor while an image of SIDE pixels is encoded, 1 GiB in float32."""
SIDE = 64
"""Height and width that are assumed where the file gives none."""
LARGEST_CONSTANT = 2**16
"""Most bytes of a weight that is kept while shapes are inferred. Shapes are smaller."""


def require_harmless(content: bytes, source: str) -> None:
    """Raise ModelError for a file that wants other files, operators of a library, endless time, or too much memory.

    onnxruntime itself would read other files by paths in this one, wherever they point.
    """
    model = _parsed(content, source)
    for tensor in import_onnx().external_data_helper._get_all_tensors(model):  # noqa: SLF001
        if tensor.data_location == tensor.EXTERNAL:
            raise ModelError(
                f"{source}: its weight {tensor.name!r} is in another file. Wanted one file with all weights: save it "
                f"with onnx.save_model(model, file, save_as_external_data=False)."
            )
    if any(_has_sparse_tensor(graph) for graph in _graphs(model.graph)):
        raise ModelError(f"{source}: it has a sparse tensor, wanted dense weights alone. Export it without.")
    for entry in model.opset_import:
        if entry.domain not in DOMAINS:
            raise ModelError(f"{source}: it needs the operators of {entry.domain!r}, wanted those of ONNX alone.")
    if model.functions:
        found = f"{len(model.functions):,} functions of its own, {model.functions[0].name!r} first"
        raise ModelError(f"{source}: it has {found}, wanted the operators of ONNX alone. Export it with them inlined.")
    _require_few_nodes(model, source)
    _require_small_tensors(model, source)


def needed_for(output: str, content: bytes, source: str) -> bytes:
    """Return the part of a harmless file that computes one of its outputs; onnxruntime would compute all of them.

    Raises ModelError when there is no such output. A file with graphs within its graph is returned whole, since these
    read tensors that are not among the inputs of their operators.
    """
    onnx, model = import_onnx(), _parsed(content, source)
    if output not in (outputs := [entry.name for entry in model.graph.output]):
        raise ModelError(f"{source}: found the outputs {', '.join(outputs)}, wanted {output!r} among them.")
    if len(list(_graphs(model.graph))) > 1:
        return content
    model.graph.ClearField("quantization_annotation")  # which Extractor refuses, and nothing here reads
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [entry.name for entry in model.graph.input if entry.name not in weights]
    try:
        part: bytes = onnx.utils.Extractor(model).extract_model(inputs, [output]).SerializeToString()
    except Exception as error:  # its errors have no common class
        raise ModelError(f"{source}: found no valid network ({reason(error)}). Export it again.") from error
    return part


def import_onnx(package: str = "onnx", asked_by: str = "encoder.onnx") -> Any:
    """Return a package of the extra; raises MissingExtraError where it is not installed.

    asked_by: the parameter or command that needs it.
    """
    try:
        return import_module(package)
    except ImportError as error:
        raise MissingExtraError(package, EXTRA, asked_by, reason(error)) from error


def _parsed(content: bytes, source: str) -> Any:
    try:
        return import_onnx().load_model_from_string(content)
    except MissingExtraError:
        raise
    except Exception as error:  # protobuf's errors have no public class
        raise ModelError(
            f"{source}: found no ONNX ({reason(error)}); the file is damaged, or is another kind."
        ) from error


def _require_few_nodes(model: Any, source: str) -> None:
    """Raise ModelError when there are too many operators, or one that repeats a graph; stops at the first."""
    for number, node in enumerate(_nodes(model.graph), start=1):
        if node.op_type in REPEATING:
            raise ModelError(
                f"{source}: found the operator {node.op_type}, which may run without end. Wanted a network that "
                f"computes every image in the same steps: export it with loops unrolled."
            )
        if number > MOST_NODES:
            raise ModelError(f"{source}: found more than {MOST_NODES:,} operators, wanted as many as an image takes.")


def _graphs(graph: Any) -> Iterator[Any]:
    """Yield a graph, and the graphs within it."""
    graphs = [graph]
    while graphs:
        yield (current := graphs.pop())
        for node in current.node:
            for attribute in node.attribute:
                graphs.extend([*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs])


def _nodes(graph: Any) -> Iterator[Any]:
    """Yield the operators of a graph, and those of graphs within it."""
    return (node for inner in _graphs(graph) for node in inner.node)


def _has_sparse_tensor(graph: Any) -> bool:
    """Return whether a graph has a sparse tensor: it may lie in another file, and be dense beyond all memory."""
    attributes = (attribute for node in graph.node for attribute in node.attribute)
    return len(graph.sparse_initializer) > 0 or any(
        attribute.HasField("sparse_tensor") or attribute.sparse_tensors for attribute in attributes
    )


def _require_small_tensors(model: Any, source: str) -> None:
    """Raise ModelError when a tensor would be larger than any map, as far as shapes follow from the file.

    Changes `model`: weights lose their values, and open dimensions of the input are set.
    """
    for tensor in import_onnx().external_data_helper._get_all_tensors(model):  # noqa: SLF001
        _require_small(tensor.name, list(tensor.dims), source)
        if tensor.ByteSize() > LARGEST_CONSTANT:
            tensor.ClearField("raw_data")
            tensor.ClearField("float_data")
    for entry in model.graph.input:
        for axis, dimension in enumerate(entry.type.tensor_type.shape.dim):
            if not dimension.dim_value:
                dimension.dim_value = (1, 3, SIDE, SIDE)[min(axis, 3)]
    for entry in [*model.graph.output, *model.graph.value_info]:
        entry.type.tensor_type.ClearField("shape")  # what the file says of them need not be true
    try:
        inferred = import_onnx().shape_inference.infer_shapes(model, data_prop=True)
    except Exception as error:  # its errors have no common class
        raise ModelError(f"{source}: found no valid network ({reason(error)}). Export it again.") from error
    for entry in [*inferred.graph.value_info, *inferred.graph.output]:
        _require_small(entry.name, [dimension.dim_value for dimension in entry.type.tensor_type.shape.dim], source)


def _require_small(name: str, shape: list[int], source: str) -> None:
    """Raise ModelError for a tensor with more values than MOST_VALUES; dimensions that are not known count as 1."""
    if math.prod(max(1, length) for length in shape) > MOST_VALUES:
        found = " x ".join(map(str, shape[:8]))
        raise ModelError(
            f"{source}: the tensor {name[:100]!r} has {found} values, wanted at most {MOST_VALUES:,} for one image. "
            f"The file is damaged, or is no network of images."
        )
