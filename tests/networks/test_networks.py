"""A network on disk is the network that was trained, and only read for what it was trained for."""

import math

import pytest
import torch
from safetensors.torch import save_file

from pipeline.latents.standardising import to_standardised
from pipeline.networks.outputs import OUTPUTS, load_outputs, save_outputs
from pipeline.networks.resnet import LatentResNet
from pipeline.networks.saved_network import NetworkCard, load_network, predict, save_network
from pipeline.params.networks import AdaCosParams, LinearParams, NetworkParams, OptimiserParams
from pipeline.runtime.errors import DivergedError, IncompatibleStoreError, ModelError
from pipeline.store.format import Standardisation
from pipeline.training.gradients import Step
from pipeline.training.loop import fit, ignore_history
from tests.helpers.make import SPACE, UNIT

NAMES = ("a", "b", "c")
PARAMS = NetworkParams(width=8, blocks=(1, 1), latent_mean=False)
LINEAR = LinearParams(kind="linear")
CARD = NetworkCard(
    role="teacher", seed=0, network=PARAMS, head=LINEAR, space=SPACE, standardisation=UNIT, class_names=NAMES
)


@pytest.fixture
def folder(tmp_path):
    save_network(tmp_path, CARD.build(), CARD, [{"loss": 1.0}])
    return tmp_path


def test_a_network_comes_back_as_it_was_saved(folder):
    network = CARD.build()
    save_network(folder, network, CARD, [])
    found = load_network(folder, SPACE, NAMES)
    assert found.card == CARD
    latents = torch.randn(5, 4, 4, 4)
    torch.testing.assert_close(found.network(latents).logits, network(latents).logits)


def test_the_mean_of_the_latent_over_places_can_be_among_the_features():
    """Scaled latents have scaled features then, where those of a normalised map stay as they are."""
    both = PARAMS.model_copy(update={"latent_mean": True})
    network = LatentResNet(4, 3, both, LINEAR).eval()
    latents = torch.randn(5, 4, 4, 4)
    features = network(latents).features
    assert features.shape == (5, network.features) == (5, 4 + 16)
    for row, latent in zip(features, latents, strict=True):
        for channel in range(4):
            assert row[channel].item() == pytest.approx(sum(latent[channel].flatten().tolist()) / 16, abs=1e-6)
    assert torch.equal(features[:, 4:], network.body(latents).mean((2, 3)))
    assert network.head.weight.shape == (3, 20)


def test_the_mean_among_the_features_is_that_of_the_latent_before_it_was_centred():
    """Channels are divided by the root of their deviation, all by one number; the deviation of a constant one is 1."""
    standardisation = Standardisation(mean=(3.0, -1.0, 0.5, 2.0), std=(2.0, 0.5, 1.0, 0.0))
    both = PARAMS.model_copy(update={"latent_mean": True})
    card = CARD.model_copy(update={"network": both, "standardisation": standardisation})
    network, scaled = card.build().eval(), torch.randn(5, 4, 4, 4)
    features = network(to_standardised(scaled, standardisation)).features
    for row, latent in zip(features, scaled, strict=True):
        for channel, deviation in enumerate((2.0, 0.5, 1.0, 1.0)):
            mean = sum(latent[channel].flatten().tolist()) / 16
            assert row[channel].item() == pytest.approx(mean / (deviation * 4.5 / 4) ** 0.5, abs=1e-5)
    assert not {"zero", "scale"} & network.state_dict().keys()
    again = card.load(network.state_dict())(to_standardised(scaled, standardisation)).features
    assert torch.equal(again, features)


@pytest.mark.parametrize(
    ("space", "names", "message"),
    [
        (SPACE.model_copy(update={"encoder": "x"}), NAMES, "its space is .*'abc'.*wanted .*'x'"),
        (SPACE, ("a", "b"), r"its class list is \('a', 'b', 'c'\), wanted \('a', 'b'\)"),
    ],
)
def test_a_network_for_something_else_is_refused(folder, space, names, message):
    with pytest.raises(IncompatibleStoreError, match=message):
        load_network(folder, space, names)


@pytest.mark.parametrize("name", ["network.json", "model.safetensors"])
@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "garbage"])
def test_a_damaged_network_is_refused(folder, name, damage):
    path = folder / name
    content = path.read_bytes()
    path.write_bytes(
        {"empty": b"", "truncated": content[: len(content) // 2], "garbage": b"\xff" * 99}.get(damage, b"")
    )
    if damage == "missing":
        path.unlink()
    with pytest.raises(ModelError, match="no trained network could be read"):
        load_network(folder, SPACE, NAMES)


def test_outputs_come_back_as_they_were(tmp_path):
    logits, features = torch.randn(5, 3), torch.randn(5, 8)
    save_outputs(tmp_path, logits, features)
    found = load_outputs(tmp_path, rows=5, classes=3)
    assert torch.equal(found.logits, logits)
    assert torch.equal(found.features, features)


@pytest.mark.parametrize(
    ("logits", "features", "message"),
    [
        (torch.zeros(4, 3), torch.zeros(5, 8), r"found logits of shape \(4, 3\), wanted \(5, 3\)"),
        (torch.zeros(5, 2), torch.zeros(5, 8), r"found logits of shape \(5, 2\), wanted \(5, 3\)"),
        (torch.zeros(5, 3), torch.zeros(6, 8), r"found features of shape \(6, 8\), wanted \(5, any\)"),
        (torch.zeros(5, 3), torch.zeros(5, 8, 1), r"found features of shape \(5, 8, 1\), wanted \(5, any\)"),
        (torch.zeros(5, 3).half(), torch.zeros(5, 8), r"found logits of torch.float16, wanted torch.float32"),
    ],
)
def test_outputs_of_other_rows_or_classes_are_refused(tmp_path, logits, features, message):
    save_outputs(tmp_path, logits, features)
    with pytest.raises(ModelError, match=message):
        load_outputs(tmp_path, rows=5, classes=3)


@pytest.mark.parametrize("damage", ["missing", "truncated", "no features"])
def test_damaged_outputs_are_refused(tmp_path, damage):
    save_outputs(tmp_path, torch.zeros(5, 3), torch.zeros(5, 8))
    path = tmp_path / OUTPUTS
    if damage == "no features":
        save_file({"logits": torch.zeros(5, 3)}, path)
    else:
        path.write_bytes(path.read_bytes()[:100])
    if damage == "missing":
        path.unlink()
    with pytest.raises(ModelError, match="outputs.safetensors: no teacher outputs could be read"):
        load_outputs(tmp_path, rows=5, classes=3)


@pytest.mark.parametrize("shape", [(4, 2, 2), (4, 4, 4), (3, 8, 16)])
def test_logits_and_features_have_their_shapes(shape):
    network = LatentResNet(shape[0], 3, PARAMS, LINEAR)
    logits, features = predict(network, torch.randn(7, *shape), batch_size=3)
    assert (logits.shape, features.shape) == ((7, 3), (7, 16))


def test_a_prediction_does_not_depend_on_the_rest_of_the_batch():
    network, latents = LatentResNet(4, 3, PARAMS, LINEAR).train(), torch.randn(6, 4, 4, 4)
    torch.testing.assert_close(network(latents).logits[:2], network(latents[:2]).logits)


def test_a_network_with_another_head_takes_over_the_body_and_the_class_weights():
    teacher, network = LatentResNet(4, 3, PARAMS, LINEAR), LatentResNet(4, 3, PARAMS, AdaCosParams(kind="adacos"))
    scale = network.head.scale.clone()
    network.take_over(teacher)
    latents = torch.randn(5, 4, 4, 4)
    torch.testing.assert_close(network(latents).features, teacher(latents).features)
    assert torch.equal(network.head.weight, teacher.head.weight)
    assert network.head.scale == scale


def one_batch(rows):
    return (rows,)


def test_fitting_lowers_the_loss_and_logs_every_epoch():
    torch.manual_seed(0)
    network, latents = LatentResNet(4, 2, PARAMS, LINEAR), torch.randn(40, 4, 4, 4)
    labels = (latents[:, 0].mean((1, 2)) > 0).long()

    def losses(rows):
        return {"ce": torch.nn.functional.cross_entropy(network(latents[rows]).logits, labels[rows])}

    params = OptimiserParams(epochs=8, batch_size=16, learning_rate=0.05, momentum=0.9, weight_decay=0.0)
    told = []
    order = torch.Generator().manual_seed(0)
    history = fit(network, 40, Step(one_batch, losses), params, order, lambda history: told.append(len(history)))
    assert told == [1, 2, 3, 4, 5, 6, 7, 8]
    assert len(history) == 8
    assert history[-1]["ce"] < 0.5 * history[0]["ce"]
    assert not network.training


@pytest.mark.parametrize(("rows", "batch_size", "sizes"), [(9, 4, [4, 4, 1]), (8, 4, [4, 4])])
def test_every_row_is_seen_once_an_epoch_and_the_rate_ends_at_zero(rows, batch_size, sizes, monkeypatch):
    network, seen, rates = LatentResNet(4, 2, PARAMS, LINEAR), [], []
    step = torch.optim.SGD.step

    def watched(self, *args, **kwargs):
        rates.append(self.param_groups[0]["lr"])
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.SGD, "step", watched)

    def losses(batch):
        seen.append(batch.tolist())
        return {"one": network(torch.zeros(len(batch), 4, 4, 4)).logits.mean()}

    params = OptimiserParams(epochs=2, batch_size=batch_size, learning_rate=0.1, momentum=0.0, weight_decay=0.0)
    fit(network, rows, Step(one_batch, losses), params, torch.Generator(), ignore_history)
    assert [len(batch) for batch in seen] == 2 * sizes
    assert sorted(row for batch in seen[: len(sizes)] for row in batch) == list(range(rows))
    wanted = [0.05 * (1 + math.cos(math.pi * step / len(rates))) for step in range(len(rates))]
    assert rates == pytest.approx(wanted)


def test_a_diverged_training_is_stopped_and_says_what_to_lower():
    network = LatentResNet(4, 2, PARAMS, LINEAR)
    params = OptimiserParams(epochs=3, batch_size=4, learning_rate=7.5, momentum=0.0, weight_decay=0.0)
    step = Step(one_batch, lambda _: {"ce": network.head.weight.sum() * math.nan})
    with pytest.raises(DivergedError, match="ce is nan in epoch 1.*learning_rate, which is 7.5"):
        fit(network, 4, step, params, torch.Generator(), ignore_history)
