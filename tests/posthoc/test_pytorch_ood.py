"""Scores agree with pytorch-ood's, which others know; what it computes in float32 up to that."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from pipeline.params.infer import GenParams, InferParams
from pipeline.posthoc.fitted import fit_scores
from pipeline.posthoc.score import NetworkOutputs
from tests.helpers.make import default_params, section
from tests.helpers.pytorch_ood import GAMMA, NEIGHBOURS, PRINCIPAL, recorded

RECORDED = recorded()
INFER = section(InferParams, default_params()["infer"])


def outputs_of(features):
    logits = features @ RECORDED["weight"].T + RECORDED["bias"]
    return NetworkOutputs(torch.tensor(logits), torch.tensor(features))


@pytest.fixture(scope="module")
def scores():
    head = SimpleNamespace(weight=torch.tensor(RECORDED["weight"]), bias=torch.tensor(RECORDED["bias"]))
    bank, labels = outputs_of(RECORDED["bank"]), torch.tensor(RECORDED["labels"])
    settings = {
        "knn_neighbours": NEIGHBOURS,
        "gen": GenParams(gamma=GAMMA, classes=None),
        "vim_principal": PRINCIPAL / bank.features.shape[1],
    }
    fitted = fit_scores(SimpleNamespace(head=head), bank, labels, bank, INFER.model_copy(update=settings))
    found = fitted(outputs_of(RECORDED["images"]))
    return found | {"gen": found["gen"] / len(RECORDED["weight"])}  # theirs is the mean over the classes


@pytest.mark.parametrize("name", RECORDED["scores"])
def test_a_score_is_that_of_pytorch_ood(name, scores):
    np.testing.assert_allclose(scores[name], RECORDED["scores"][name], rtol=1e-5)
