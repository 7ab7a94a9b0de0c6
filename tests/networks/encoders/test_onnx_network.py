"""An ONNX file is run as it is, and refused where it wants anything from outside of itself."""

import numpy as np
import pytest
import torch
from torch.nn.functional import conv2d

from pipeline.networks.encoders.onnx_file import needed_for
from pipeline.networks.encoders.onnx_network import OnnxNetwork, OnnxSettings
from pipeline.runtime.errors import ModelError
from tests.helpers.models import write_onnx

SETTINGS = OnnxSettings(output="map", mean=(0.5, 0.4, 0.3), std=(0.5, 0.25, 0.2))
pytest.importorskip("onnxruntime")


def test_latents_are_the_output_for_normalised_pixels(tmp_path):
    weights = torch.from_numpy(write_onnx(tmp_path / "m.onnx"))
    images = torch.rand(3, 3, 32, 32) * 2 - 1
    found = OnnxNetwork.read(tmp_path / "m.onnx", SETTINGS).encode(images)
    mean, std = (torch.tensor(values).reshape(3, 1, 1) for values in (SETTINGS.mean, SETTINGS.std))
    torch.testing.assert_close(found, conv2d(((images + 1) / 2 - mean) / std, weights, stride=8), atol=1e-4, rtol=1e-4)


def test_a_saved_network_is_the_same_file(tmp_path):
    write_onnx(tmp_path / "m.onnx")
    network = OnnxNetwork.read(tmp_path / "m.onnx", SETTINGS)
    network.save(tmp_path / "out")
    assert (tmp_path / "out/model.onnx").read_bytes() == (tmp_path / "m.onnx").read_bytes()
    again, images = OnnxNetwork.load(tmp_path / "out", SETTINGS), torch.zeros(1, 3, 32, 32)
    assert torch.equal(again.encode(images), network.encode(images))


def test_weights_in_another_file_are_refused(tmp_path):
    write_onnx(tmp_path / "m.onnx", external=True)
    with pytest.raises(ModelError, match="its weight 'w' is in another file. Wanted one file with all weights"):
        OnnxNetwork.read(tmp_path / "m.onnx", SETTINGS)


def test_operators_of_a_library_are_refused(tmp_path):
    write_onnx(tmp_path / "m.onnx", domain="my.library")
    with pytest.raises(ModelError, match="it needs the operators of 'my.library', wanted those of ONNX alone"):
        OnnxNetwork.read(tmp_path / "m.onnx", SETTINGS)


def test_an_output_that_is_not_there_is_named(tmp_path):
    write_onnx(tmp_path / "m.onnx")
    with pytest.raises(ModelError, match="found the outputs map, wanted 'features' among them"):
        OnnxNetwork.read(tmp_path / "m.onnx", SETTINGS.model_copy(update={"output": "features"}))


@pytest.mark.parametrize("content", [b"", b"no ONNX at all", b"\x08\x07" * 50])
def test_what_is_no_network_is_one_error(tmp_path, content):
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(ModelError, match=r"m.onnx: (found|onnxruntime)"):
        OnnxNetwork.read(tmp_path / "m.onnx", SETTINGS)


def test_half_a_file_is_one_error(tmp_path):
    write_onnx(tmp_path / "m.onnx")
    whole = (tmp_path / "m.onnx").read_bytes()
    (tmp_path / "m.onnx").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="m.onnx"):
        OnnxNetwork.read(tmp_path / "m.onnx", SETTINGS)


def test_a_file_that_is_not_there_is_one_error(tmp_path):
    with pytest.raises(ModelError, match="no ONNX file could be read"):
        OnnxNetwork.read(tmp_path / "m.onnx", SETTINGS)


def test_a_shape_beyond_all_memory_is_one_error_of_the_network(tmp_path):
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    shape = numpy_helper.from_array(np.array([2**20, 2**20, 2**10], np.int64), "shape")
    nodes = [helper.make_node("ConstantOfShape", ["shape"], ["map"])]
    pixels = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 3, "h", "w"])
    out = helper.make_tensor_value_info("map", TensorProto.FLOAT, [2**20, 2**20, 2**10])
    model = helper.make_model(
        helper.make_graph(nodes, "huge", [pixels], [out], [shape]),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    onnx.save_model(model, tmp_path / "m.onnx")
    with pytest.raises((ModelError, RuntimeError)):
        OnnxNetwork.read(tmp_path / "m.onnx", SETTINGS).encode(torch.zeros(1, 3, 32, 32))


def network_of_two_halves():
    """A network with the outputs `map` and, then, `last`; a branch makes `map` twice the pixels."""
    from onnx import TensorProto, helper, numpy_helper

    def values(name):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, "h", "w"])

    twice = helper.make_graph([helper.make_node("Add", ["pixels", "pixels"], ["sum"])], "twice", [], [values("sum")])
    nodes = [
        helper.make_node("If", ["yes"], ["map"], then_branch=twice, else_branch=twice),
        helper.make_node("Neg", ["map"], ["last"]),
    ]
    weights = [numpy_helper.from_array(np.array(True), "yes")]
    graph = helper.make_graph(nodes, "halves", [values("pixels")], [values("map"), values("last")], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def operators(content):
    import onnx

    return [node.op_type for node in onnx.load_model_from_string(content).graph.node]


def test_only_what_an_output_needs_is_run():
    import onnx

    model = network_of_two_halves()
    model.graph.node[0].CopyFrom(onnx.helper.make_node("Add", ["pixels", "pixels"], ["map"]))
    content = model.SerializeToString()
    assert operators(needed_for("map", content, "it")) == ["Add"]
    assert operators(needed_for("last", content, "it")) == ["Add", "Neg"]


def test_a_network_with_a_branch_is_run_whole_as_the_branch_reads_tensors_of_the_rest(tmp_path):
    (tmp_path / "m.onnx").write_bytes(network_of_two_halves().SerializeToString())
    settings = OnnxSettings(output="map", mean=(0.0,) * 3, std=(1.0,) * 3)
    found = OnnxNetwork.read(tmp_path / "m.onnx", settings).encode(torch.zeros(1, 3, 8, 8))
    assert torch.equal(found, torch.ones(1, 3, 8, 8))  # twice 0.5


def test_a_tensor_that_two_operators_make_is_one_error(tmp_path):
    model = network_of_two_halves()
    model.graph.node[1].output[0] = "map"
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=r"m.onnx: (found no valid network|onnxruntime cannot load)"):
        OnnxNetwork.read(tmp_path / "m.onnx", SETTINGS)
