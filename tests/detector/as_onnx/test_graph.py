"""One graph answers as its detector: with every kind of encoder, every score and every head."""

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.detector.as_onnx import graph as module
from pipeline.detector.as_onnx.graph import detector_graph, opset_of
from pipeline.networks.heads import build_head
from pipeline.networks.resnet import LatentResNet
from pipeline.params.infer import SCORES
from pipeline.params.networks import (
    AdaCosParams,
    ArcFaceParams,
    CosFaceParams,
    LinearParams,
    LogitNormParams,
    NetworkParams,
    SphereFaceParams,
)
from pipeline.posthoc.fitted import fit_scores
from pipeline.posthoc.score import NetworkOutputs, network_outputs
from pipeline.runtime.errors import MissingExtraError, ModelError
from tests.detector.as_onnx.make import answers_of, detector_of, require_same, session_of
from tests.detector.make import INFER, pictures
from tests.detector.test_encoder_kinds import KINDS

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
CLOSE = 2e-3
"""A latent that lies between two float16 values may be rounded to either, as on another device or in another batch."""
CLASSES = 5
LINEAR = LinearParams(kind="linear")
HEADS = (
    LINEAR,
    LogitNormParams(kind="logit_norm", temperature=0.1),
    SphereFaceParams(kind="sphereface", margin=2.0),
    CosFaceParams(kind="cosface", scale=16.0, margin=0.1),
    ArcFaceParams(kind="arcface", scale=16.0, margin=0.1),
    AdaCosParams(kind="adacos"),
)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_encoder_in_any_batch_and_size(kind, tmp_path):
    detector = detector_of(tmp_path, kind)
    graph = detector_graph(detector)
    onnx.checker.check_model(graph, full_check=True)
    for count, side in ((1, 32), (7, 32), (4, 20), (3, 75)):
        require_same(detector, graph, pictures(count, side), CLOSE)


class AllScores(nn.Module):
    """Logits, then features, side by side, to all scores."""

    def __init__(self, scores):
        super().__init__()
        self.scores = scores

    def forward(self, outputs):
        return tuple(self.scores(NetworkOutputs(outputs[:, :CLASSES], outputs[:, CLASSES:])).values())


class AllHeads(nn.Module):
    def __init__(self, heads):
        super().__init__()
        self.heads = nn.ModuleList(heads)

    def forward(self, features):
        return tuple(head(features) for head in self.heads)


def by_onnx(program, values, rows):
    """Return the outputs of a module, as ONNX that was exported with another number of rows."""
    names = [f"output{index}" for index in range(len(program(values)))]
    model = module._exported(program.eval(), values[:2], "values", tuple(names))
    return session_of(model).run(names, {"values": values[:rows].numpy()})


@pytest.mark.parametrize("bank", [20, 400], ids=["fewer than 25", "more"])
def test_every_score(bank):
    torch.manual_seed(0)
    network = LatentResNet(4, CLASSES, NetworkParams(width=8, blocks=(1,), latent_mean=False), LINEAR)
    outputs = network_outputs(network.eval(), torch.randn(bank, 4, 4, 4))
    validation = network_outputs(network, torch.randn(30, 4, 4, 4))
    scores = fit_scores(network, outputs, torch.arange(bank) % CLASSES, validation, INFER)
    values = torch.cat(network_outputs(network, torch.randn(60, 4, 4, 4)), dim=1)
    wanted = AllScores(scores)(values)
    for found, score, name in zip(by_onnx(AllScores(scores), values, 60), wanted, SCORES, strict=True):
        np.testing.assert_allclose(found, score.numpy(), rtol=1e-7, atol=1e-7, err_msg=name)


def test_every_head():
    torch.manual_seed(0)
    heads = AllHeads(build_head(params, 16, CLASSES) for params in HEADS)
    features = torch.randn(9, 16)
    for found, logits in zip(by_onnx(heads, features, 9), heads(features), strict=True):
        np.testing.assert_allclose(found, logits.detach().numpy(), rtol=1e-5, atol=1e-5)


def test_a_score_that_is_not_finite_is_an_outlier(tmp_path):
    detector = detector_of(tmp_path, score="energy")
    detector.network.head.bias.data[:] = float("nan")  # no bundle has such weights
    answers = answers_of(detector_graph(detector), pictures(3, 32)[0][None])
    assert answers["is_outlier"].all()
    assert answers["outlier_score"].tolist() == [float("inf")]


def test_the_threshold_is_in_the_graph(tmp_path):
    detector = detector_of(tmp_path)
    batch = pictures(9, 32)
    scores = sorted(detector.score(batch))
    detector.threshold = (scores[4] + scores[5]) / 2
    flagged = answers_of(detector_graph(detector), np.stack(batch))["is_outlier"]
    assert (flagged == (detector.score(batch) > detector.threshold)).all()
    assert flagged.sum() == 4


def test_nothing_of_this_machine_is_in_the_graph(tmp_path):
    content = detector_graph(detector_of(tmp_path, "diffusers")).SerializeToString()
    for trace in (b"site-packages", b"/pipeline/", str(tmp_path).encode()):
        assert trace not in content


@pytest.mark.parametrize("opset", [11, 21])
def test_a_users_own_network_keeps_its_operators_or_gets_newer_ones(opset, tmp_path, monkeypatch):
    written = onnx.helper.make_opsetid
    monkeypatch.setattr(onnx.helper, "make_opsetid", lambda domain, version: written(domain, opset))
    detector = detector_of(tmp_path, "onnx")
    monkeypatch.undo()
    graph = detector_graph(detector)
    assert opset_of(graph) == max(opset, 18)
    require_same(detector, graph, pictures(5, 32), CLOSE)


def test_an_encoder_that_cannot_be_exported_is_named(tmp_path, monkeypatch):
    detector = detector_of(tmp_path)

    def refuse(images):
        raise NotImplementedError("a strange operator")

    monkeypatch.setattr(detector.encoder.model, "encode", refuse)
    with pytest.raises(ModelError, match="of kind supervised, .*a strange operator"):
        detector_graph(detector)


def test_a_missing_package_is_named_with_its_extra(tmp_path, monkeypatch):
    detector = detector_of(tmp_path)

    def missing(package="onnx", asked_by="encoder.onnx"):
        if package == "onnxscript":
            raise MissingExtraError(package, "onnx", asked_by, "no module")
        return onnx

    monkeypatch.setattr(module, "import_onnx", missing)
    with pytest.raises(MissingExtraError, match=r"export-onnx needs the package onnxscript.*\[onnx\]"):
        detector_graph(detector)
