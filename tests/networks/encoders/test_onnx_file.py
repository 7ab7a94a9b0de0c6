"""A stranger's ONNX file is refused in one line, before anything runs it and before memory is taken."""

import json
import resource
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from pipeline.detector.detector import Detector
from pipeline.networks.encoders.encoder import load_encoder
from pipeline.networks.encoders.onnx_file import MOST_NODES
from pipeline.networks.encoders.onnx_network import OnnxNetwork, OnnxSettings
from pipeline.runtime.errors import BundleError, ModelError
from pipeline.runtime.files import folder_digest
from stages.encoder import encoder
from tests.detector.make import forged, tiny_bundle
from tests.helpers.make import tiny_params, write_params

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
helper, FLOAT, BOOL, INT64 = onnx.helper, onnx.TensorProto.FLOAT, onnx.TensorProto.BOOL, onnx.TensorProto.INT64
SETTINGS = OnnxSettings(output="map", mean=(0.0,) * 3, std=(1.0,) * 3)
FILE = Path("m.onnx")
MOST_BYTES = 2**28


def constant(name, values, kind=np.int64):
    return onnx.numpy_helper.from_array(np.array(values, kind), name)


def external(place):
    weight = onnx.TensorProto(name="w", data_type=FLOAT, dims=[4, 3, 8, 8], data_location=onnx.TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value=place)
    return weight


def model(nodes, weights=(), **others):
    pixels = helper.make_tensor_value_info("pixels", FLOAT, ["n", 3, "h", "w"])
    out = helper.make_tensor_value_info("map", FLOAT, [1, 1, 1, 1])  # which is not true
    graph = helper.make_graph(list(nodes), "hostile", [pixels], [out], list(weights))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, **others)


CONVOLUTION = helper.make_node("Conv", ["pixels", "w"], ["map"], strides=[8, 8])


def of_a_shape(*shape):
    return model([helper.make_node("ConstantOfShape", ["shape"], ["map"])], [constant("shape", shape)])


def weight_that_lies():
    weight = onnx.TensorProto(name="w", data_type=FLOAT, dims=[2**40, 3, 8, 8], raw_data=b"1234")
    return model([CONVOLUTION], [weight])


def endless(*, nested=False):
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["go_on"]), helper.make_node("Identity", ["x"], ["y"])],
        "body",
        [value("i", INT64, []), value("go", BOOL, []), value("x", FLOAT, None)],
        [value("go_on", BOOL, []), value("y", FLOAT, None)],
    )
    output = "inner" if nested else "map"
    nodes = [helper.make_node("Loop", ["steps", "yes", "pixels"], [output], body=body)]
    if nested:
        branch = helper.make_graph(nodes, "branch", [], [value("inner", FLOAT, None)])
        nodes = [helper.make_node("If", ["yes"], ["map"], then_branch=branch, else_branch=branch)]
    return model(nodes, [constant("steps", 2**62), constant("yes", True, bool)])


def doubled():
    """Three operators, 3 x 2^36 values."""
    first = helper.make_node("Concat", ["pixels"] * 1024, ["a"], axis=2)
    second = helper.make_node("Concat", ["a"] * 1024, ["b"], axis=3)
    return model([first, second, helper.make_node("GlobalAveragePool", ["b"], ["map"])])


def tiled():
    return model([helper.make_node("Tile", ["pixels", "r"], ["map"])], [constant("r", [1, 64, 64, 64])])


def of_many_operators():
    names = ["pixels", *(f"v{number}" for number in range(MOST_NODES)), "map"]
    return model([helper.make_node("Identity", [a], [b]) for a, b in pairwise(names)])


def recursive():
    node = helper.make_node("R", ["a"], ["b"])
    function = helper.make_function("", "R", ["a"], ["b"], [node], [helper.make_opsetid("", 17)])
    return model([helper.make_node("R", ["pixels"], ["map"])], functions=[function])


def outside_in_a_constant():
    node = helper.make_node("Constant", [], ["w"], value=external("/etc/passwd"))
    return model([node, CONVOLUTION])


def sparse(*, place=None, dims=(4, 3, 8, 8), nested=False):
    """A weight that lies in another file, or is dense beyond all memory."""
    values = external(place) if place else onnx.numpy_helper.from_array(np.ones(1, np.float32), "w")
    values.dims[:] = [1]
    weight = helper.make_sparse_tensor(values, constant("", [0]), list(dims))
    if nested:
        return model([helper.make_node("Constant", [], ["w"], sparse_value=weight), CONVOLUTION])
    found = model([CONVOLUTION])
    found.graph.sparse_initializer.append(weight)
    return found


HOSTILE = {
    "a sparse weight in another file": (lambda: sparse(place="secret"), "it has a sparse tensor"),
    "a sparse weight beyond all memory": (lambda: sparse(dims=[2**40]), "it has a sparse tensor"),
    "a sparse value of an operator": (lambda: sparse(nested=True), "it has a sparse tensor"),
    "a path out of the folder": (lambda: model([CONVOLUTION], [external("../../etc/passwd")]), "is in another file"),
    "an absolute path": (outside_in_a_constant, "its weight 'w' is in another file"),
    "an output beyond all memory": (lambda: of_a_shape(2**20, 2**20, 2**10), "'map' has 1048576 x 1048576 x 1024"),
    "an output of 4 GiB": (lambda: of_a_shape(1, 4, 2**14, 2**14), "'map' has 1 x 4 x 16384 x 16384 values"),
    "a weight larger than the file": (weight_that_lies, "'w' has 1099511627776 x 3 x 8 x 8 values"),
    "an endless loop": (endless, "found the operator Loop, which may run without end"),
    "an endless loop in a branch": (lambda: endless(nested=True), "found the operator Loop"),
    "values that double": (doubled, "'b' has 1 x 3 x 65536 x 65536 values"),
    "values that are repeated": (tiled, "'map' has 1 x 192 x 4096 x 4096 values"),
    "too many operators": (of_many_operators, "found more than 16,384 operators"),
    "a function that calls itself": (recursive, "it has 1 functions of its own, 'R' first"),
    "an unknown operator": (lambda: model([helper.make_node("Nothing", ["pixels"], ["map"])]), "Nothing"),
    "a domain that is not imported": (
        lambda: model([helper.make_node("Foo", ["pixels"], ["map"], domain="evil")]),
        "found no valid network",
    ),
}


@pytest.fixture(params=HOSTILE)
def hostile(request):
    """Write a hostile file; return what is said of it."""
    make, message = HOSTILE[request.param]
    FILE.write_bytes(make().SerializeToString())
    return message


def refused(kind, message, read):
    """Expect one short line of error, soon, without memory for what the file asks for."""
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(kind, match=message) as raised:
        read()
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 800
    assert time.process_time() - began < 20
    assert 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) < MOST_BYTES


def test_the_stage_refuses_it_and_leaves_nothing(hostile):
    settings = {"file": str(FILE), "output": "map", "mean": [0.0] * 3, "std": [1.0] * 3}
    params = write_params(Path(), tiny_params(encoder__kind="onnx", encoder__onnx=settings))
    refused(ModelError, hostile, lambda: encoder(Path("out"), Path("curve.csv"), params))
    assert not Path("out").exists()


def with_hostile_model(folder):
    """Put the file where an encoder's model is, as somebody who knows the format would."""
    for file in (folder / "model").iterdir():
        file.unlink()
    FILE.rename(folder / "model/model.onnx")
    card = json.loads((folder / "encoder.json").read_text()) | {"model": SETTINGS.model_dump(mode="json")}
    (folder / "encoder.json").write_text(json.dumps(card))


def test_a_saved_encoder_and_a_bundle_of_it_are_refused(hostile):
    folder = tiny_bundle(Path("bundle"))
    with_hostile_model(folder / "encoder")
    refused(ModelError, hostile, lambda: load_encoder(folder / "encoder"))
    before = folder_digest(folder / "encoder")
    refused(BundleError, hostile, lambda: Detector.load(forged(folder)))
    assert folder_digest(folder / "encoder") == before


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_file_that_is_cut_is_refused(share):
    whole = model([CONVOLUTION], [constant("w", np.ones((4, 3, 8, 8)), np.float32)]).SerializeToString()
    FILE.write_bytes(whole[: int(share * len(whole))])
    refused(ModelError, "m.onnx: ", lambda: OnnxNetwork.read(FILE, SETTINGS))
