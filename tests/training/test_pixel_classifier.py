"""The classifier of pixels learns what its images show, and repeats to the bit."""

import pytest
import torch

from pipeline.latents.augmentation import ViewKey
from pipeline.params.data import DataParams
from pipeline.params.encoder import SupervisedParams
from pipeline.training import pixel_classifier
from pipeline.training.loop import ignore_history
from pipeline.training.pixel_classifier import steps, train_classifier
from tests.helpers.make import changed, pixel_batch, section, tiny_params

SMALL = {
    "widths": [8, 8, 8],
    "network": {"width": 8, "blocks": [1], "latent_mean": False},
    "epochs": 1,
    "batch_size": 32,
}
SMALL |= {"augmentation__flip": 0.0}


def params(**changes):
    return section(SupervisedParams, changed(tiny_params()["encoder"]["supervised"], **(SMALL | changes)))


def images():
    return section(DataParams, tiny_params()["data"]).open("id_validation")


def trained(on_epoch=ignore_history, **changes):
    ticks = []
    classifier = train_classifier(images(), 32, params(**changes), torch.device("cpu"), ticks.append, on_epoch)
    assert len(ticks) == steps(len(images()), params(**changes))
    return classifier


def weights(classifier):
    return classifier.encoder.trunk.state_dict() | classifier.upper.state_dict()


def test_training_repeats_to_the_bit_and_follows_its_seed():
    first, again, other = (weights(trained(seed=seed)) for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_the_memory_budget_changes_no_weight(monkeypatch):
    wanted = weights(trained())
    monkeypatch.setenv("LATENT_OUTLIERS_MEMORY", "0")
    found = weights(trained())
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_every_epoch_sees_another_view_of_every_image(monkeypatch):
    keys, view = [], pixel_classifier.view

    def noted(image, size, augmentation, key):
        keys.append(key)
        return view(image, size, augmentation, key)

    monkeypatch.setattr(pixel_classifier, "view", noted)
    trained(epochs=2, seed=5)
    assert sorted(keys) == [ViewKey(5, image, epoch) for image in range(len(images())) for epoch in range(2)]


@pytest.mark.slow
def test_it_learns_what_the_images_show():
    told = []
    small = {"widths": [8, 16, 32], "network": {"width": 32, "blocks": [1, 1], "latent_mean": False}}
    encoder, upper = trained(told.append, epochs=20, label_smoothing=0.0, **small)
    assert [*told[-1][0]] == ["learning_rate", "cross_entropy"]
    assert told[-1][-1]["cross_entropy"] < 0.5 * told[-1][0]["cross_entropy"]
    pixels = torch.from_numpy(pixel_batch(images(), range(len(images())), 32))
    with torch.no_grad():
        predicted = upper(encoder.encode(pixels)).logits.argmax(1).numpy()
    assert (predicted == images().labels).mean() > 0.8
