"""The first part of a graph: pictures of any size to the encoder's size, as Pillow resizes them."""

from typing import Any

from pipeline.networks.encoders.onnx_file import import_onnx

OPSET = 18
"""Version of ONNX's operators; the first in which Resize averages over the pixels that a smaller one covers."""
PIXELS, RESIZED = "pixels", "resized"


def resizing_graph(size: int) -> Any:
    """Return an ONNX model from PIXELS (n, h, w, 3) uint8 to RESIZED (n, 3, size, size) uint8.

    It computes what `pipeline.images.image_set.resized` does: bicubic interpolation in two passes, the first of which
    is rounded to 8 bits. Pillow 13 takes columns first where 2 w < h + size and h > size, since that is less work, and
    rows first elsewhere. Here and there a pixel differs by one level.
    """
    onnx = import_onnx()
    node, kinds = onnx.helper.make_node, onnx.TensorProto
    nodes = [
        node("Transpose", [PIXELS], ["planes"], perm=[0, 3, 1, 2]),
        node("Shape", ["planes"], ["images_and_colours"], start=0, end=2),
        node("Shape", ["planes"], ["height"], start=2, end=3),
        node("Shape", ["planes"], ["width"], start=3, end=4),
        node("Greater", ["height", "size"], ["is_higher"]),
        node("Add", ["width", "width"], ["two_widths"]),
        node("Add", ["height", "size"], ["height_and_size"]),
        node("Less", ["two_widths", "height_and_size"], ["is_narrow"]),
        node("And", ["is_higher", "is_narrow"], ["columns_first"]),
        node("Where", ["columns_first", "size", "height"], ["first_height"]),
        node("Where", ["columns_first", "width", "size"], ["first_width"]),
        node("Concat", ["images_and_colours", "first_height", "first_width"], ["first_shape"], axis=0),
        node("Concat", ["images_and_colours", "size", "size"], ["last_shape"], axis=0),
        _bicubic(onnx, "planes", "first_shape", "once_resized"),
        _bicubic(onnx, "once_resized", "last_shape", RESIZED),
    ]
    graph = onnx.helper.make_graph(
        nodes,
        "resizing",
        [onnx.helper.make_tensor_value_info(PIXELS, kinds.UINT8, ["n", "h", "w", 3])],
        [onnx.helper.make_tensor_value_info(RESIZED, kinds.UINT8, ["n", 3, size, size])],
        [onnx.helper.make_tensor("size", kinds.INT64, [1], [size])],
    )
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", OPSET)])


def _bicubic(onnx: Any, source: str, shape: str, target: str) -> Any:
    """Return an operator that resizes to a shape; of the same shape it changes nothing."""
    return onnx.helper.make_node(
        "Resize",
        [source, "", "", shape],
        [target],
        mode="cubic",
        cubic_coeff_a=-0.5,
        antialias=1,
        exclude_outside=1,
        coordinate_transformation_mode="half_pixel",
    )
