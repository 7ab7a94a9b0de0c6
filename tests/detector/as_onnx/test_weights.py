"""Weights in fewer bytes: what is lost is rounding, and nothing but what a layer multiplies with is touched."""

import numpy as np
import pytest

from pipeline.detector.as_onnx.weights import with_smaller_weights
from tests.detector.as_onnx.make import session_of

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
RNG = np.random.default_rng(0)
CONVOLUTION = (
    RNG.normal(size=(20, 3, 3, 3)).astype(np.float32)
    * np.geomspace(0.01, 10, 20, dtype=np.float32)[:, None, None, None]
)
PRODUCT = RNG.normal(size=(20, 30)).astype(np.float32) * np.geomspace(0.01, 10, 30, dtype=np.float32)
BIAS, BANK = RNG.normal(size=300).astype(np.float32), RNG.normal(size=(30, 20))


def network():
    """Return a network of one convolution, one product, a long bias, and one product in float64."""
    node, kinds = onnx.helper.make_node, onnx.TensorProto
    nodes = [
        node("Conv", ["x", "convolution"], ["maps"]),
        node("ReduceMean", ["maps", "places"], ["features"], keepdims=0),
        node("MatMul", ["features", "product"], ["short"]),
        node("Tile", ["short", "times"], ["long"]),
        node("Add", ["long", "bias"], ["added"]),
        node("Cast", ["short"], ["double"], to=kinds.DOUBLE),
        node("MatMul", ["double", "bank"], ["score"]),
    ]
    constants = {
        "convolution": CONVOLUTION, "product": PRODUCT, "bias": BIAS, "bank": BANK,
        "places": np.array([2, 3]), "times": np.array([1, 10]),
    }  # fmt: skip
    graph = onnx.helper.make_graph(
        nodes,
        "test",
        [onnx.helper.make_tensor_value_info("x", kinds.FLOAT, ["n", 3, 8, 8])],
        [
            onnx.helper.make_tensor_value_info("short", kinds.FLOAT, ["n", 30]),
            onnx.helper.make_tensor_value_info("added", kinds.FLOAT, ["n", 300]),
            onnx.helper.make_tensor_value_info("score", kinds.DOUBLE, ["n", 20]),
        ],
        [onnx.numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)


def outputs(model):
    images = np.random.default_rng(1).normal(size=(5, 3, 8, 8)).astype(np.float32)
    return session_of(model).run(["short", "added", "score"], {"x": images})


def stored(model):
    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def test_float32_changes_nothing():
    model = network()
    assert with_smaller_weights(model, "float32").SerializeToString() == network().SerializeToString()


@pytest.mark.parametrize(("weights", "loss", "share"), [("float16", 2e-3, 0.55), ("int8", 3e-2, 0.5)])
def test_outputs_differ_by_rounding_alone(weights, loss, share):
    """Weights of the smallest output are a thousandth of those of the largest: one scale for all would lose them."""
    whole, smaller = network(), with_smaller_weights(network(), weights)
    onnx.checker.check_model(smaller, full_check=True)
    for wanted, found in zip(outputs(whole), outputs(smaller), strict=True):
        assert found.dtype == wanted.dtype
        assert (np.abs(found - wanted).max(0) <= loss * np.abs(wanted).max(0) + 1e-3 * loss).all()
    assert smaller.ByteSize() < share * whole.ByteSize() + 1000


def test_int8_has_a_level_for_every_weight_and_a_scale_for_every_output():
    found = stored(with_smaller_weights(network(), "int8"))
    for name, weight, scales in (("convolution", CONVOLUTION, (20, 1, 1, 1)), ("product", PRODUCT, (1, 30))):
        levels, scale = found[f"{name}/stored"], found[f"{name}/stored/scale"]
        assert (levels.dtype, scale.shape) == (np.int8, scales)
        assert np.abs(levels).max() == 127
        assert (np.abs(levels * scale - weight) <= scale * 0.5001).all()
    assert (found["bias"] == BIAS).all()
    assert found["bank/stored"].dtype == np.float32


def test_a_layer_of_zeros_stays_zero():
    model = network()
    (zeros,) = (tensor for tensor in model.graph.initializer if tensor.name == "product")
    zeros.CopyFrom(onnx.numpy_helper.from_array(np.zeros_like(PRODUCT), "product"))
    assert not outputs(with_smaller_weights(model, "int8"))[0].any()


def test_a_weight_beyond_float16_is_refused():
    model = network()
    (large,) = (tensor for tensor in model.graph.initializer if tensor.name == "product")
    large.CopyFrom(onnx.numpy_helper.from_array(PRODUCT * 1e6, "product"))
    with pytest.raises(ValueError, match="beyond the range of float16"):
        with_smaller_weights(model, "float16")
