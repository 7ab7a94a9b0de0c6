"""Every method is trained as its name says, and nothing beside our default depends on its settings."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from benchmarks.leaderboard.methods import (
    BASELINE,
    CANDIDATES,
    CONTROLS,
    METHODS,
    OUR_WEIGHTS,
    OURS,
    SIZES,
    SYNTHESIS_METHODS,
    Head,
    Library,
    Peer,
    by_size,
    chosen,
    synthesis_methods,
    train_params,
    with_weights,
)
from benchmarks.leaderboard.peers.train import PEERS
from pipeline.losses.outlier_exposure import outlier_exposure
from pipeline.params.train import TrainParams
from tests.helpers.make import default_params, section


@pytest.fixture
def default():
    return section(TrainParams, default_params()["train"])


def test_ours_is_the_train_section_as_it_stands(default):
    assert train_params(METHODS[OURS].how, default) == default
    assert METHODS[OURS].how == Library()


@pytest.mark.parametrize(
    "how", [method.how for method in (METHODS | CANDIDATES).values() if isinstance(method.how, Head)]
)
def test_logit_norm_is_cross_entropy_with_its_head_and_nothing_else(how, default):
    found = train_params(how, default)
    assert (found.head.kind, found.head.temperature, found.start) == ("logit_norm", 0.04, "scratch")
    assert not found.uses_outliers
    assert (found.distillation.logits.weight, found.distillation.features.weight) == (0, 0)


def test_a_candidate_has_the_weights_it_names_and_no_others(default):
    for how in (method.how for method in CANDIDATES.values() if isinstance(method.how, Library)):
        found = train_params(how, default)
        if how.weights is None:
            assert found.model_copy(update={"mixing": default.mixing}) == default
            continue
        losses = {
            name: getattr(found, name) for name in ("mixing", "outlier_exposure", "energy_bound", "reconstruction")
        }
        losses |= {name: getattr(found.micl, name) for name in ("info_nce", "club", "paper")}
        losses |= {name: getattr(found.distillation, name) for name in ("logits", "features")}
        assert {name: loss.weight for name, loss in losses.items() if loss.weight} == {
            name: weight for name, weight in how.weights if weight
        }
        assert found.optimiser == default.optimiser


def test_a_candidate_mixes_in_the_kinds_it_names(default):
    assert train_params(CANDIDATES["masked_mixing"].how, default).mixing.kinds == ("masked",)
    assert train_params(CANDIDATES["with_mixup"].how, default).mixing == default.mixing


def test_our_weights_are_those_of_the_default(default):
    assert with_weights(default, dict(OUR_WEIGHTS)) == default


def test_what_needs_no_outliers_of_our_default_reads_none(default):
    found = train_params(METHODS["no_outliers"].how, default)
    assert not found.uses_outliers
    assert (found.mixing, found.reconstruction) == (default.mixing, default.reconstruction)


def test_contrast_alone_keeps_what_needs_no_outliers_and_draws_one(default):
    found = train_params(METHODS["contrast_alone"].how, default)
    assert found.outlier_batch_size == 1
    exposed = with_weights(default, {name: value for name, value in OUR_WEIGHTS if name != "outlier_exposure"})
    assert found.model_copy(update={"outlier_batch_size": default.outlier_batch_size}) == exposed


def test_to_be_unsure_of_copies_is_to_smooth_labels():
    how, weight = METHODS["smoothed_labels"].how, dict(OUR_WEIGHTS)["outlier_exposure"]
    assert how.methods == ("copies",)
    assert dict(how.weights) == {name: value for name, value in OUR_WEIGHTS if name != "info_nce"}
    rng = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(7, 5, generator=rng, requires_grad=True), torch.arange(7) % 5
    of_copies = cross_entropy(logits, labels) + weight * outlier_exposure(logits, torch.full((7, 5), 1 / 5)).mean()
    of_smoothed = (1 + weight) * cross_entropy(logits, labels, label_smoothing=weight / (1 + weight))
    (found,), (wanted,) = torch.autograd.grad(of_copies, logits), torch.autograd.grad(of_smoothed, logits)
    torch.testing.assert_close(found, wanted)


def test_a_weight_of_no_loss_is_a_bug(default):
    with pytest.raises(ValueError, match="no loss mixup"):
        with_weights(default, {"mixup": 1.0})


def test_a_synthesis_method_alone_has_our_losses_and_its_own_outliers(default):
    for name in (*SYNTHESIS_METHODS, *CONTROLS):
        how = METHODS[f"only_{name}"].how
        assert how.methods == (name,)
        assert train_params(how, default) == default


def test_every_peer_is_compared_with():
    assert {method.how.name for method in METHODS.values() if isinstance(method.how, Peer)} == set(PEERS)


def test_every_method_names_its_source_and_published_ones_their_score():
    assert all(method.source for method in METHODS.values())
    assert all((method.score is None) == isinstance(method.how, Library) for method in METHODS.values())


def test_ours_and_its_baseline_are_always_there():
    assert [*chosen(["vos"])] == [OURS, BASELINE, "vos"]


def test_sizes_are_our_default_with_other_numbers_of_outliers():
    ours, baseline, *sized = by_size().values()
    assert [ours, baseline] == [METHODS[OURS], METHODS[BASELINE]]
    assert [method.how for method in sized] == [Library(rows=rows) for rows in SIZES]


def test_only_outliers_that_a_method_names_are_synthesized():
    assert synthesis_methods(chosen(["only_label_mixup", "only_copies"])) == ["copies", "label_mixup"]
    assert synthesis_methods({"logit_norm": METHODS["logit_norm"]}) == []
    assert isinstance(METHODS["logit_norm"].how, Head)
