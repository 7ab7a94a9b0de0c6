"""Scores on anybody's features: those of the run, from NumPy and PyTorch alike, and clear errors."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from pipeline.params.infer import SCORES
from pipeline.posthoc.estimators import KNN, MSP, PARAMS, Combined, Head, MahalanobisPP, OutlierScore, ViM
from pipeline.posthoc.fitted import fit_scores
from pipeline.posthoc.score import NetworkOutputs
from pipeline.schema.text import plain_yaml
from tests.helpers.make import ROOT

RNG = np.random.default_rng(0)
WEIGHT, BIAS = RNG.standard_normal((4, 12)), RNG.standard_normal(4)
NETWORK = SimpleNamespace(head=SimpleNamespace(weight=torch.tensor(WEIGHT), bias=torch.tensor(BIAS)))
LABELS = np.arange(80) % 4
KINDS = {kind.name: kind for kind in OutlierScore.__subclasses__()}


def features_of(count, seed, shift=2.0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((count, 12)) + shift * WEIGHT[np.arange(count) % 4]


def logits_of(features):
    return features @ WEIGHT.T + BIAS


BANK, HELD_BACK, OTHERS = features_of(80, 1), features_of(40, 2), features_of(15, 3, shift=0.0)


def fitted(kind, **options):
    validation = (HELD_BACK, logits_of(HELD_BACK))
    return kind(**options).fit(BANK, LABELS, logits_of(BANK), validation=validation)


def test_there_is_a_class_for_every_score():
    assert sorted(KINDS) == list(SCORES)


def test_without_settings_they_are_those_of_params_yaml():
    infer = plain_yaml((ROOT / "params.yaml").read_text())["infer"]
    assert PARAMS.model_dump(mode="json") == infer


@pytest.mark.parametrize("name", SCORES)
def test_a_score_is_that_of_the_run(name):
    """Also where the last layer is found from features and logits."""
    outputs, held_back, others = (
        NetworkOutputs(torch.tensor(logits_of(rows)), torch.tensor(rows)) for rows in (BANK, HELD_BACK, OTHERS)
    )
    run = fit_scores(NETWORK, outputs, torch.tensor(LABELS), held_back, PARAMS, (name,))
    (wanted,) = run(others).values()
    found = fitted(KINDS[name]).score(OTHERS, logits_of(OTHERS))
    assert isinstance(found, np.ndarray)
    np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-8)


@pytest.mark.parametrize("name", SCORES)
def test_pytorch_gives_what_numpy_gives(name):
    arrays = [torch.tensor(values).float() for values in (BANK, logits_of(BANK), OTHERS, logits_of(OTHERS))]
    found = KINDS[name]().fit(arrays[0], torch.tensor(LABELS), arrays[1], head=Head(WEIGHT, BIAS)).score(*arrays[2:])
    assert (found.dtype, found.shape) == (torch.float64, (15,))
    wanted = KINDS[name]().fit(BANK, LABELS, logits_of(BANK), head=Head(WEIGHT, BIAS)).score(OTHERS, logits_of(OTHERS))
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-3, atol=1e-4)


def test_settings_count():
    near, far = (fitted(KNN, neighbours=k).score(OTHERS, logits_of(OTHERS)) for k in (1, 40))
    assert (near < far).all()
    plain, shrunk = (fitted(MahalanobisPP, shrinkage=a).score(OTHERS, logits_of(OTHERS)) for a in (0.0, 1.0))
    assert not np.allclose(plain, shrunk)


def test_settings_that_params_yaml_may_not_have_are_refused():
    with pytest.raises(ValueError, match="knn_neighbours"):
        KNN(neighbours=0)


def test_without_validation_images_combined_takes_the_training_images():
    found = Combined().fit(BANK, LABELS, logits_of(BANK)).score(OTHERS, logits_of(OTHERS))
    wanted = Combined().fit(BANK, LABELS, logits_of(BANK), validation=(BANK, logits_of(BANK)))
    np.testing.assert_array_equal(found, wanted.score(OTHERS, logits_of(OTHERS)))


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ((BANK, LABELS[:9], logits_of(BANK)), "found 9 labels from 0 to 3, wanted 80 from 0 to 3"),
        ((BANK, LABELS + 1, logits_of(BANK)), "found 80 labels from 1 to 4"),
        ((BANK[:9], LABELS, logits_of(BANK)), r"features \(9, 12\) and logits \(80, 4\)"),
        ((BANK[0], LABELS, logits_of(BANK)), "wanted .n, d. and .n, k."),
        ((BANK * np.nan, LABELS, logits_of(BANK)), "not finite"),
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(arguments, wanted):
    with pytest.raises(ValueError, match=wanted):
        MSP().fit(*arguments)


def test_logits_that_are_not_linear_need_the_head():
    bent = np.tanh(logits_of(BANK))
    with pytest.raises(ValueError, match=r"not linear in the features .* head=Head"):
        ViM().fit(BANK, LABELS, bent)
    assert ViM().fit(BANK, LABELS, bent, head=Head(WEIGHT, BIAS)).score(OTHERS, logits_of(OTHERS)).shape == (15,)


def test_scores_before_fit_are_refused():
    with pytest.raises(ValueError, match="this KNN is not fitted"):
        KNN().score(OTHERS, logits_of(OTHERS))
