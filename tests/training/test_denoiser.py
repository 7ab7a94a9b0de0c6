"""The denoiser learns its classes, goes on where it was killed, and is read only for what it was made for."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline.latents.latents import load_id_train
from pipeline.networks.denoiser import load_denoiser, noise_schedule, untrained
from pipeline.outliers.diffusion import guided, sample
from pipeline.params.denoiser import DenoiserParams
from pipeline.runtime.errors import DivergedError, IncompatibleStoreError, ModelError, ParamsError, PipelineError
from pipeline.runtime.files import folder_digest
from pipeline.store.reader import Store
from pipeline.training import denoiser as training
from pipeline.training.curve import epochs_in
from pipeline.training.loop import ignore_history
from stages.denoiser import denoiser
from tests.helpers.make import SPACE, UNIT, changed, latents_store, section, tiny_params, write_params

METHOD = "label_mixup"
OUTPUT, CURVE = Path("models/denoiser/label_mixup"), Path("denoiser.csv")


@pytest.fixture(autouse=True)
def id_latents():
    latents_store(Path("id"))


def header():
    return Store(Path("id")).header


def make(output=OUTPUT, **changes):
    params = {f"denoiser__{name}": value for name, value in changes.items()}
    denoiser(METHOD, Path("id"), output, CURVE, write_params(Path(), tiny_params(**params)))
    return folder_digest(output)


def test_the_stage_repeats():
    first = make()
    assert make(Path("again/denoiser")) == first
    assert CURVE.read_text().startswith("epoch,learning_rate,velocity,loss\n1,")
    assert epochs_in(CURVE) == 2


def test_a_denoiser_comes_back_as_it_was_saved():
    make()
    learnt, schedule, card = load_denoiser(OUTPUT, header())
    again = load_denoiser(OUTPUT, header()).denoiser
    noisy, levels = torch.randn(4, 4, 4, 4), torch.tensor([1, 10, 500, 999])
    condition = learnt.classes(torch.tensor([0, 1, 2, 3]))
    assert torch.equal(learnt(noisy, levels, condition), again(noisy, levels, condition))
    assert not learnt.training
    assert card.class_dropout == 0.1
    torch.testing.assert_close(schedule.alphas_cumprod, noise_schedule(1000).alphas_cumprod)
    assert schedule.config.prediction_type == "v_prediction"


def test_a_killed_training_goes_on_to_the_same_weights(monkeypatch):
    monkeypatch.setattr(training, "EPOCHS_PER_CHECKPOINT", 2)
    wanted, write, epochs = make(epochs=5), training.write_bytes, []
    curve = CURVE.read_bytes()

    def write_and_die(path, content):
        write(path, content)
        raise KeyboardInterrupt

    def counted(latents, params, epoch):
        epochs.append(epoch)
        return batches(latents, params, epoch)

    batches = training._batches
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training, "write_bytes", write_and_die)
        make(Path("b/denoiser"), epochs=5)
    assert not Path("b/denoiser").exists()
    CURVE.unlink()
    monkeypatch.setattr(training, "_batches", counted)
    assert make(Path("b/denoiser"), epochs=5) == wanted
    assert epochs == [2, 3, 4]
    assert CURVE.read_bytes() == curve
    assert not [*Path("b/denoiser").glob("checkpoint*")]


@pytest.mark.slow
def test_it_learns_to_draw_the_class_it_is_asked_for():
    latents = load_id_train(latents_store(Path("apart"), per_class=60))
    params = section(DenoiserParams, changed(tiny_params()["denoiser"], channels=[16, 32], epochs=40))
    torch.manual_seed(0)
    network = untrained(SPACE, 3, params)
    labels = torch.from_numpy(latents.labels).long()
    losses = training.train_denoiser(network, latents.values, labels, params, Path(), ignore_history)
    assert losses[-1]["velocity"] < 0.6 * losses[0]["velocity"]
    centres = torch.stack([latents.values[labels == label].mean(0).flatten() for label in range(3)])
    asked = torch.arange(90) % 3
    noise = torch.randn(90, 4, 4, 4)
    predict = guided(network, network.mixed(torch.eye(3)[asked]), network.unconditional(90), 1.0)
    drawn = sample(predict, noise_schedule(1000), noise, 10).flatten(1)
    nearest = torch.cdist(drawn, centres).argmin(1)
    assert (nearest == asked).double().mean() > 0.9


def test_a_mix_of_labels_is_the_convex_combination_of_their_embeddings():
    network = untrained(SPACE, 3, section(DenoiserParams, tiny_params()["denoiser"]))
    weights = network.classes.weight
    torch.testing.assert_close(network.mixed(torch.eye(3)), weights[:3])
    wanted = 0.2 * weights[0] + 0.3 * weights[1] + 0.5 * weights[2]
    torch.testing.assert_close(network.mixed(torch.tensor([[0.2, 0.3, 0.5]]))[0], wanted)
    torch.testing.assert_close(network.unconditional(2), weights[[3, 3]])


def test_training_drops_the_class_of_some_rows():
    params = section(DenoiserParams, changed(tiny_params()["denoiser"], class_dropout=0.3))
    dropped = [step[3] for step in training._batches(torch.zeros(4000, 1, 1, 1), params, 0)]
    assert torch.cat(dropped).double().mean() == pytest.approx(0.3, abs=0.03)


def test_a_loss_that_is_not_finite_ends_the_training(monkeypatch):
    monkeypatch.setattr(training, "mse_loss", lambda found, wanted: (found - wanted).sum() * torch.nan)
    with pytest.raises(DivergedError, match="velocity is nan in epoch 1"):
        make()
    assert not OUTPUT.exists()


def test_latents_that_cannot_be_halved_are_refused():
    with pytest.raises(PipelineError, match="channels has 4 resolutions, but latents are 4 x 4 .* halved 3 times"):
        make(channels=[8, 8, 8, 8], attention=[False] * 4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channels": [4, 8]}, "denoiser.channels.0 is 4: input should be a multiple of 8"),
        ({"attention": [True]}, "denoiser: attention has 1 values for 2 channels"),
        ({"norm_groups": 3}, "norm_groups 3 does not divide every width"),
    ],
)
def test_parameters_that_do_not_fit_each_other_are_refused(change, message):
    with pytest.raises(ParamsError, match=message):
        make(**change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"class_names": ("a", "b", "c")}, "its class names is"),
        ({"space": SPACE.model_copy(update={"encoder": "x"})}, "its space is .*'abc'.*wanted .*'x'"),
        ({"standardisation": UNIT.model_copy(update={"mean": (1.0,) * 4})}, "its standardisation is"),
    ],
)
def test_a_denoiser_of_other_latents_is_refused(change, message):
    make()
    with pytest.raises(IncompatibleStoreError, match=message):
        load_denoiser(OUTPUT, header().model_copy(update=change))


FILES = (
    "denoiser.json",
    "classes.safetensors",
    "unet/config.json",
    "unet/diffusion_pytorch_model.safetensors",
    "scheduler/scheduler_config.json",
)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["missing", "half"])
def test_a_damaged_denoiser_is_refused(name, damage):
    make()
    path = OUTPUT / name
    path.unlink() if damage == "missing" else path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ModelError, match="models/denoiser/label_mixup: no denoiser could be read"):
        load_denoiser(OUTPUT, header())


def test_weights_that_lack_a_tensor_are_refused():
    make()
    path = OUTPUT / "unet/diffusion_pytorch_model.safetensors"
    weights = load_file(path)
    weights.pop("conv_in.bias")
    save_file(weights, path)
    with pytest.raises(ModelError, match=r"'conv_in.bias' has shape None, wanted \(8,\)"):
        load_denoiser(OUTPUT, header())


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("unet/config.json", {"layers_per_block": 10**9}),
        ("unet/config.json", {"block_out_channels": [2**62, 2**62]}),
        ("unet/config.json", {"in_channels": float("nan")}),
        ("unet/config.json", {"norm_num_groups": 0}),
        ("scheduler/scheduler_config.json", {"num_train_timesteps": 10**12}),
        ("scheduler/scheduler_config.json", {"trained_betas": [0.1] * 10**5}),
    ],
)
def test_a_denoiser_whose_numbers_cannot_be_is_refused_before_anything_is_allocated(name, changes):
    make()
    path = OUTPUT / name
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(ModelError, match="no denoiser could be read"):
        load_denoiser(OUTPUT, header())
