"""What scores learn from the ID training images is what their papers say, also where features do not vary."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from pipeline.params.infer import SCORES, CombinedParams, GenParams, InferParams
from pipeline.posthoc.covariance import class_covariance
from pipeline.posthoc.fitted import fit_scores, score_class
from pipeline.posthoc.score import NetworkOutputs
from pipeline.posthoc.scores.combined import evenly_spaced
from pipeline.posthoc.scores.scale import scale_factors
from pipeline.posthoc.scores.vim import fit_vim
from tests.helpers import oracles_scores

RNG = np.random.default_rng(0)
WEIGHT, BIAS = RNG.standard_normal((3, 5)), RNG.standard_normal(3)
LABELS = np.arange(30) % 3
BANK = RNG.standard_normal((30, 5)) + 2 * WEIGHT[LABELS]
IMAGES = RNG.standard_normal((4, 5))
HELD_BACK = RNG.standard_normal((9, 5)) + 2 * WEIGHT[LABELS[:9]]
PARAMS = InferParams(
    knn_neighbours=3,
    gen=GenParams(gamma=0.1, classes=None),
    mahalanobis_pp_shrinkage=0.3,
    vim_principal=0.4,
    combined=CombinedParams(images_per_class=4, neighbours=2),
)


def outputs_of(features):
    return NetworkOutputs(torch.tensor(features @ WEIGHT.T + BIAS), torch.tensor(features))


def fitted_scores(bank=BANK, params=PARAMS, names=SCORES):
    return fit_scores(network(), outputs_of(bank), torch.tensor(LABELS), outputs_of(HELD_BACK), params, names)


def network(bias=BIAS):
    head = SimpleNamespace(weight=torch.tensor(WEIGHT))
    if bias is not None:
        head.bias = torch.tensor(bias)
    return SimpleNamespace(head=head)


def wanted_of_images(of):
    """Return what a function of a feature and its logits gives for each of IMAGES."""
    logits, features = (rows.tolist() for rows in outputs_of(IMAGES))
    return [of(feature, its) for feature, its in zip(features, logits, strict=True)]


@pytest.fixture
def scores():
    return fitted_scores()(outputs_of(IMAGES))


def test_there_is_every_score_in_float64(scores):
    assert tuple(scores) == SCORES
    assert all(values.dtype == torch.float64 and values.shape == (4,) for values in scores.values())


@pytest.mark.parametrize("score", SCORES)
def test_a_score_by_itself_learns_what_it_needs_and_is_the_same(score, scores):
    alone = fitted_scores(names=(score,))
    assert tuple(alone.tensors) == score_class(score).learns
    assert torch.equal(alone(outputs_of(IMAGES))[score], scores[score])


def test_mahalanobis_is_the_distance_to_the_nearest_class(scores):
    wanted = [oracles_scores.mahalanobis(row, BANK, LABELS) for row in IMAGES]
    np.testing.assert_allclose(scores["mahalanobis"], wanted, rtol=1e-9)


def test_relative_mahalanobis_is_less_the_distance_to_all(scores):
    wanted = [oracles_scores.relative_mahalanobis(row, BANK, LABELS) for row in IMAGES]
    np.testing.assert_allclose(scores["relative_mahalanobis"], wanted, rtol=1e-9)


@pytest.mark.parametrize("shrinkage", [0.0, 0.3, 1.0])
def test_mahalanobis_plus_plus_is_of_features_of_unit_length_with_a_shrunk_covariance(shrinkage):
    params = PARAMS.model_copy(update={"mahalanobis_pp_shrinkage": shrinkage})
    fitted = fitted_scores(params=params, names=("mahalanobis_pp",))
    scores = fitted(outputs_of(IMAGES))
    wanted = [oracles_scores.mahalanobis_pp(row, BANK, LABELS, shrinkage) for row in IMAGES]
    np.testing.assert_allclose(scores["mahalanobis_pp"], wanted, rtol=1e-9)


def test_how_long_a_feature_is_makes_no_difference_to_mahalanobis_plus_plus(scores):
    longer = fitted_scores(7 * BANK)(outputs_of(3 * IMAGES))
    np.testing.assert_allclose(longer["mahalanobis_pp"], scores["mahalanobis_pp"], rtol=1e-9)


@pytest.mark.parametrize("neighbours", [1, 2])
def test_the_combined_score_is_a_sum_of_two_on_one_scale(neighbours):
    nearest = PARAMS.combined.model_copy(update={"neighbours": neighbours})
    params = PARAMS.model_copy(update={"combined": nearest})
    scores = fitted_scores(params=params, names=("combined",))(outputs_of(IMAGES))
    held_back = [rows.tolist() for rows in outputs_of(HELD_BACK)]
    kept = [row for label in range(3) for row in np.flatnonzero(label == LABELS)[[0, 2, 5, 7]]]
    known = (BANK.tolist(), outputs_of(BANK).logits.tolist(), kept)
    wanted = wanted_of_images(
        lambda feature, logits: oracles_scores.combined(feature, logits, known, LABELS, held_back, (neighbours, 0.3))
    )
    np.testing.assert_allclose(scores["combined"], wanted, rtol=1e-9)


def test_logits_that_all_grow_alike_change_nothing_about_the_combined_score(scores):
    shifted = outputs_of(BANK)._replace(logits=outputs_of(BANK).logits - 30)
    fitted = fit_scores(network(), shifted, torch.tensor(LABELS), outputs_of(HELD_BACK), PARAMS, ("combined",))
    images = outputs_of(IMAGES)
    found = fitted(images._replace(logits=images.logits + 20))["combined"]
    torch.testing.assert_close(found, scores["combined"], rtol=1e-9, atol=0)


def test_a_part_of_the_combined_score_that_does_not_vary_has_no_say():
    alike = NetworkOutputs(torch.ones(9, 3, dtype=torch.float64), torch.ones(9, 5, dtype=torch.float64))
    held_back = alike._replace(features=torch.arange(1.0, 10).double()[:, None] * alike.features)  # of one direction
    fitted = fit_scores(network(), outputs_of(BANK), torch.tensor(LABELS), held_back, PARAMS)
    assert fitted.tensors["spreads"].tolist() == [0, 0]
    images = outputs_of(IMAGES)
    others = images._replace(logits=7 * images.logits)
    torch.testing.assert_close(fitted(images)["combined"], fitted(others)["combined"])


def test_images_of_every_class_are_kept_at_even_steps():
    labels = torch.tensor([2, 2, 0, 0, 0, 0, 0, 2, 0, 0])  # none of class 1
    assert evenly_spaced(labels, 3).tolist() == [0, 1, 2, 4, 6, 7]
    assert evenly_spaced(labels, 99).tolist() == list(range(10))


def test_neighbours_are_no_more_than_the_images_that_are_kept():
    few = PARAMS.combined.model_copy(update={"images_per_class": 1, "neighbours": 9})
    params = PARAMS.model_copy(update={"combined": few})
    fitted = fitted_scores(params=params, names=("combined",))
    assert fitted.tensors["kept"].shape == (3, 5)
    assert fitted(outputs_of(IMAGES))["combined"].isfinite().all()


@pytest.mark.parametrize("bias", [BIAS, None])
def test_vim_is_the_scaled_residual_plus_the_energy(bias):
    shift = np.zeros(3) if bias is None else bias
    id_outputs, images = (
        NetworkOutputs(torch.tensor(rows @ WEIGHT.T + shift), torch.tensor(rows)) for rows in (BANK, IMAGES)
    )
    vim = fit_scores(network(bias), id_outputs, torch.tensor(LABELS), outputs_of(HELD_BACK), PARAMS)(images)["vim"]
    wanted = [
        oracles_scores.vim(row, logits, (BANK, id_outputs.logits.tolist()), WEIGHT, shift, kept=2)
        for row, logits in zip(IMAGES, images.logits.tolist(), strict=True)
    ]
    np.testing.assert_allclose(vim, wanted, rtol=1e-9)


def test_react_is_the_energy_of_features_that_are_cut_off(scores):
    wanted = wanted_of_images(lambda feature, _: oracles_scores.react(feature, BANK, WEIGHT, BIAS))
    np.testing.assert_allclose(scores["react"], wanted, rtol=1e-9)


def test_scale_is_the_energy_of_features_that_are_made_stronger(scores):
    wanted = wanted_of_images(lambda feature, _: oracles_scores.scale(feature, WEIGHT, BIAS))
    np.testing.assert_allclose(scores["scale"], wanted, rtol=1e-9)


def test_scale_leaves_a_feature_without_a_positive_value_as_it_is():
    negative = torch.tensor(-np.abs(IMAGES))
    assert torch.equal(scale_factors(negative), torch.ones(4, dtype=torch.float64))


def test_fdbd_is_the_mean_distance_to_boundaries_over_that_to_the_mean(scores):
    wanted = wanted_of_images(lambda feature, logits: oracles_scores.fdbd(feature, logits, BANK.tolist(), WEIGHT))
    np.testing.assert_allclose(scores["fdbd"], wanted, rtol=1e-9)


def test_fdbd_leaves_out_a_class_of_the_same_weights_and_is_finite_at_the_mean():
    weight = WEIGHT.copy()
    weight[2] = weight[0]
    images = np.concatenate([IMAGES, BANK.mean(0, keepdims=True)])
    outputs = NetworkOutputs(torch.tensor(images @ weight.T), torch.tensor(images))
    head = SimpleNamespace(head=SimpleNamespace(weight=torch.tensor(weight)))
    fitted = fit_scores(head, outputs_of(BANK), torch.tensor(LABELS), outputs_of(HELD_BACK), PARAMS, ("fdbd",))
    wanted = [
        oracles_scores.fdbd(feature, logits, BANK.tolist(), weight)
        for feature, logits in zip(images.tolist(), outputs.logits.tolist(), strict=True)
    ]
    found = fitted(outputs)["fdbd"].numpy()
    np.testing.assert_allclose(found[:4], wanted[:4], rtol=1e-9)
    assert np.isfinite(found).all()


def test_nnguide_is_the_energy_times_that_of_the_nearest_images(scores):
    known = [rows.tolist() for rows in outputs_of(BANK)][::-1]
    wanted = wanted_of_images(lambda feature, logits: oracles_scores.nnguide(feature, logits, known, 3))
    np.testing.assert_allclose(scores["nnguide"], wanted, rtol=1e-9)


def test_nnguide_of_blocks_of_images_is_that_of_all_at_once(scores, monkeypatch):
    monkeypatch.setattr("pipeline.posthoc.scores.nnguide.BLOCK_VALUES", 31)  # one image a block
    fitted = fitted_scores(names=("nnguide",))
    torch.testing.assert_close(fitted(outputs_of(IMAGES))["nnguide"], scores["nnguide"], rtol=1e-12, atol=0)


def test_a_class_without_images_is_nearest_to_nothing():
    two = LABELS != 1
    means = class_covariance(torch.tensor(BANK[two]), torch.tensor(LABELS[two])).means
    np.testing.assert_allclose(means, [oracles_scores.mean(BANK[label == LABELS]) for label in (0, 2)])


def test_a_direction_without_variance_has_no_say():
    flat = BANK.copy()
    flat[:, 4] = 1.0
    flat_whitening = class_covariance(torch.tensor(flat), torch.tensor(LABELS)).whitening
    whitening = class_covariance(torch.tensor(flat[:, :4]), torch.tensor(LABELS)).whitening
    np.testing.assert_allclose((flat_whitening @ flat_whitening.T)[:4, :4], whitening @ whitening.T, atol=1e-9)
    np.testing.assert_allclose(flat_whitening[4], 0, atol=1e-9)


def test_vim_is_the_energy_where_nothing_lies_outside():
    line = np.outer(np.arange(1.0, 31), [1.0, 0, 0, 0, 0])
    vim = fit_vim(
        NetworkOutputs(torch.ones(30, 3).double(), torch.tensor(line)),
        torch.tensor(WEIGHT),
        torch.zeros(3).double(),
        0.4,
    )
    assert float(vim.alpha) == 0


def test_every_score_is_higher_for_a_feature_of_no_class():
    weight = torch.eye(3, 5, dtype=torch.float64)
    rows = 9 * weight[torch.tensor(LABELS)] + 0.1 * torch.tensor(RNG.standard_normal((30, 5)))
    odd = torch.tensor([[9.0, 0, 0, 0, 0], [0.5, 0.5, 0.5, 6, 0]], dtype=torch.float64)
    head = SimpleNamespace(head=SimpleNamespace(weight=weight))
    fitted = fit_scores(
        head, NetworkOutputs(rows @ weight.T, rows), torch.tensor(LABELS), outputs_of(HELD_BACK), PARAMS
    )
    for score, (typical, outlier) in fitted(NetworkOutputs(odd @ weight.T, odd)).items():
        assert outlier > typical, score
