"""Every head trains on the logits of its paper, predicts without a margin, and is defined on any batch."""

import math

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch.nn.functional import cross_entropy

from pipeline.networks.heads import build_head
from pipeline.params.networks import HeadParams
from pipeline.runtime.errors import HeadError
from tests.helpers import oracles, oracles_heads

RNG = np.random.default_rng(0)
FEATURES, LABELS = torch.tensor(RNG.standard_normal((7, 5))), torch.tensor([0, 0, 0, 1, 1, 2, 3])
ALL = {
    "linear": {},
    "logit_norm": {"temperature": 0.1},
    "sphereface": {"margin": 2.5},
    "cosface": {"scale": 8.0, "margin": 0.3},
    "arcface": {"scale": 8.0, "margin": 0.5},
    "adacos": {},
}
BATCHES = {
    "empty": [],
    "one row": [6],
    "one row per class": [0, 3, 5, 6],
    "one class only": [0, 1, 2],
    "a class missing": [0, 3, 4, 6],
    "all": [*range(7)],
}
ANGULAR = ("sphereface", "cosface", "arcface", "adacos")
every_head = pytest.mark.parametrize("kind", ALL)


def params(head, **changes):
    return TypeAdapter(HeadParams).validate_python({"kind": head} | ALL[head] | changes)


def make_head(kind, classes=4, **changes):
    torch.manual_seed(0)
    head = build_head(params(kind, **changes), 5, classes).double()
    if kind == "adacos":
        head.scale.fill_(math.sqrt(2) * math.log(classes - 1))  # it was made in float32
    return head


def weights(head):
    return [value.tolist() for value in head.parameters()]


def by_loops(kind, head, features, labels, step=1):
    """The oracle's training logits after `step` training steps on the same batch."""
    x, y, (weight, *bias) = features.tolist(), labels.tolist(), weights(head)
    settings = ALL[kind].values()
    if kind in ANGULAR:
        settings = [*settings, step] if kind in ("sphereface", "adacos") else settings
        return getattr(oracles_heads, kind)(x, weight, y, *settings)
    return getattr(oracles_heads, kind)(x, weight, *bias, *settings)


@every_head
@pytest.mark.parametrize("rows", BATCHES.values(), ids=BATCHES)
def test_training_logits_equal_their_equation(kind, rows):
    head, features, labels = make_head(kind), FEATURES[rows], LABELS[rows]
    found = head.training_logits(features, labels).detach()
    wanted = by_loops(kind, head, features, labels) if len(features) else np.zeros((0, 4))
    np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12)


@every_head
def test_predictions_are_the_logits_without_labels(kind):
    head, scale = make_head(kind), {"cosface": 8.0, "arcface": 8.0, "adacos": math.sqrt(2) * math.log(3)}
    x, (weight, *bias) = FEATURES.tolist(), weights(head)
    wanted = (
        [[(scale.get(kind) or math.hypot(*row)) * oracles.cosine(row, w) for w in weight] for row in x]
        if kind in ANGULAR
        else oracles_heads.linear(x, weight, *bias)
    )
    np.testing.assert_allclose(head(FEATURES).detach(), wanted, rtol=1e-6)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [("linear", {}), ("sphereface", {"margin": 1}), ("cosface", {"margin": 0}), ("arcface", {"margin": 0})],
)
def test_without_a_margin_training_and_prediction_agree(kind, changes):
    head = make_head(kind, **changes)
    torch.testing.assert_close(head.training_logits(FEATURES, LABELS), head(FEATURES))


@pytest.mark.parametrize("kind", ["sphereface", "cosface", "arcface"])
def test_a_margin_lowers_the_own_class_only(kind):
    head = make_head(kind)
    change = (head.training_logits(FEATURES, LABELS) - head(FEATURES)).detach()
    own = torch.nn.functional.one_hot(LABELS, 4).bool()
    assert change[own].max() < 0
    assert change[~own].abs().max() == 0


@every_head
def test_training_logits_have_the_gradient_of_their_value(kind):
    head = make_head(kind).eval()  # in training a step moves the state that the value depends on
    for name, weight in head.named_parameters():

        def logits(features, value, name=name):
            return torch.func.functional_call(_Training(head), {f"head.{name}": value}, (features, LABELS))

        inputs = (FEATURES.clone().requires_grad_(), weight.detach().clone().requires_grad_())
        assert torch.autograd.gradcheck(logits, inputs)


class _Training(torch.nn.Module):
    def __init__(self, head):
        super().__init__()
        self.head = head

    def forward(self, features, labels):
        return self.head.training_logits(features, labels)


@every_head
@pytest.mark.parametrize("size", [1e-4, 1.0, 1e4])
@pytest.mark.parametrize("sign", [-1, 1])
def test_aligned_and_opposite_features_have_finite_gradients_in_float32(kind, sign, size):
    head = make_head(kind).float()
    features = (sign * size * head.weight.detach()).requires_grad_()
    cross_entropy(head.training_logits(features, torch.arange(4)), torch.arange(4)).backward()
    assert all(torch.isfinite(value.grad).all() for value in [features, *head.parameters()])


@every_head
def test_an_empty_batch_has_a_gradient_and_moves_no_state(kind):
    head = make_head(kind)
    before = {name: value.clone() for name, value in head.state_dict().items()}
    head.training_logits(FEATURES[:0], LABELS[:0]).sum().backward()
    torch.testing.assert_close(dict(head.state_dict()), before)


@pytest.mark.parametrize(("kind", "margin"), [("sphereface", 4), ("sphereface", 1.7), ("arcface", 0.5), ("arcface", 3)])
def test_the_own_logit_falls_with_the_angle_all_the_way(kind, margin):
    head, angles = make_head(kind, margin=margin), torch.linspace(0, math.pi, 1001).double()
    head.weight.data = torch.eye(4, 5).double()
    features = torch.nn.functional.pad(torch.stack([angles.cos(), angles.sin()], 1), (0, 3))
    own = head.training_logits(features, torch.zeros(1001).long())[:, 0]
    assert own.diff().max() < 0
    assert own.diff().abs().max() < 0.1


def test_logit_norm_trains_at_one_norm():
    found = make_head("logit_norm").training_logits(FEATURES, LABELS)
    torch.testing.assert_close(found.norm(dim=1), torch.full((7,), 10.0).double())


@pytest.mark.parametrize("kind", ["linear", "logit_norm"])
def test_linear_heads_keep_the_names_of_their_weights(kind):
    assert list(make_head(kind).state_dict()) == ["weight", "bias"]
    assert isinstance(make_head(kind), torch.nn.Linear)


@pytest.mark.parametrize("kind", ["sphereface", "adacos"])
def test_state_follows_training_only(kind):
    head = make_head(kind)
    for _ in range(3):
        found = head.training_logits(FEATURES, LABELS).detach()
    np.testing.assert_allclose(found, by_loops(kind, head, FEATURES, LABELS, step=3), rtol=1e-6)
    torch.testing.assert_close(head.eval().training_logits(FEATURES[:2], LABELS[:2]).detach(), found[:2])


@pytest.mark.parametrize("kind", ["sphereface", "adacos"])
def test_state_is_saved_with_the_weights(kind):
    head, other = make_head(kind), build_head(params(kind), 5, 4).double().eval()
    head.training_logits(FEATURES, LABELS)
    other.load_state_dict(head.eval().state_dict())
    torch.testing.assert_close(other.training_logits(FEATURES, LABELS), head.training_logits(FEATURES, LABELS))


def test_two_adacos_steps_before_a_gradient_are_allowed():
    head = make_head("adacos")
    (head.training_logits(FEATURES, LABELS).sum() + head.training_logits(FEATURES, LABELS).sum()).backward()
    assert torch.isfinite(head.weight.grad).all()


def test_adacos_keeps_its_scale_where_the_formula_gives_none():
    head = make_head("adacos")
    before = float(head.scale)
    head.weight.data = torch.eye(1, 5).double().repeat(4, 1)
    head.training_logits(-torch.eye(1, 5).double(), LABELS[:1])
    assert float(head.scale) == before


def test_adacos_wants_three_classes():
    with pytest.raises(HeadError, match=r"head.kind is 'adacos' with 2 classes, wanted at least 3 classes. Choose"):
        make_head("adacos", classes=2)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("sphereface", {"margin": 0.9}),
        ("cosface", {"scale": 0.0}),
        ("arcface", {"margin": 3.2}),
        ("logit_norm", {"temperature": -1.0}),
        ("linear", {"margin": 1.0}),
        ("linear", {"kind": "soft"}),
    ],
)
def test_impossible_parameters_are_refused(kind, changes):
    with pytest.raises(ValidationError):
        params(kind, **changes)
