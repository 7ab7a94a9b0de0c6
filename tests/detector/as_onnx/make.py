"""Bundles of every kind of encoder, and answers of a graph to compare with theirs."""

import numpy as np

from pipeline.detector.as_onnx.graph import OUTPUTS
from pipeline.detector.bundle import write_bundle
from pipeline.detector.detector import Detector
from tests.detector.make import tiny_bundle_parts
from tests.detector.test_encoder_kinds import tiny_encoder


def detector_of(folder, kind="supervised", score="knn"):
    """Return a detector of random networks with an encoder of a kind."""
    (folder / "given").mkdir(parents=True)
    encoder = tiny_encoder(kind, folder / "given")
    write_bundle(folder / "bundle", tiny_bundle_parts(folder, score=score, encoder=encoder), "")
    return Detector.load(folder / "bundle", device="cpu")


def session_of(model):
    import onnxruntime

    content = model if isinstance(model, bytes) else model.SerializeToString()
    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])


def answers_of(model, pixels):
    """Return the outputs for pixels (n, h, w, 3), by name."""
    return dict(zip(OUTPUTS, session_of(model).run(list(OUTPUTS), {"pixels": pixels}), strict=True))


def require_same(detector, model, pictures, tolerance):
    """Assert that a graph and its detector answer alike; tolerance: of scores."""
    answers, wanted = answers_of(model, np.stack(pictures)), detector.predict(pictures)
    assert [detector.class_names[index] for index in answers["label"]] == [answer.label for answer in wanted]
    scores = np.array([answer.outlier_score for answer in wanted])
    np.testing.assert_allclose(answers["outlier_score"], scores, rtol=tolerance, atol=tolerance)
    decided = np.abs(scores - detector.threshold) > tolerance * (1 + np.abs(scores))
    flagged = np.array([answer.is_outlier for answer in wanted])
    assert (answers["is_outlier"] == flagged)[decided].all()
    largest = answers["probabilities"].max(1)
    np.testing.assert_allclose(largest, [answer.probability for answer in wanted], atol=tolerance)
