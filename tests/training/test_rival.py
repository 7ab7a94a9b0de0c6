"""A plain CNN learns from crops and flips, and alike each time; rivals see the images of every set as they are."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from pipeline.images.image_set import ImageSet
from pipeline.latents.latents import load_id_train, load_latents
from pipeline.networks.plain_cnn import PlainCnn, as_pixels
from pipeline.params.infer import InferParams
from pipeline.params.rival import CnnParams
from pipeline.posthoc.rival import SCORES, SIDE, Network
from pipeline.posthoc.score import NetworkOutputs
from pipeline.runtime.errors import DivergedError, ScoreError
from pipeline.store.format import Standardisation
from pipeline.training import rival
from pipeline.training.rival import cnn_outputs, cnns, cropped, latent_regression, read_levels, rival_table, train_cnn
from tests.helpers.make import default_params, latents_store, section

CPU = torch.device("cpu")
PARAMS = CnnParams(epochs=3, batch_size=32, learning_rate=0.05)


def crops_of(smallest, flip, side=8):
    images = torch.rand((5, 3, side, side), generator=torch.Generator().manual_seed(0))
    return images, cropped(images, smallest, flip, torch.Generator().manual_seed(1))


def test_the_largest_crop_is_the_image_itself():
    images, crops = crops_of(1.0, 0.0)
    torch.testing.assert_close(crops, images)


def test_a_flip_is_the_mirror_image():
    images, crops = crops_of(1.0, 1.0)
    torch.testing.assert_close(crops, images.flip(3))


def test_a_crop_stays_inside_the_image():
    ramp = torch.linspace(0, 1, 32).expand(64, 1, 32, 32)  # of pixel centres, from left to right
    crops = cropped(ramp, 0.25, 0.5, torch.Generator().manual_seed(0))
    spans = (crops[:, 0, 0, -1] - crops[:, 0, 0, 0]).abs()
    assert crops.min() >= 0
    assert crops.max() <= 1
    assert 0.45 < spans.min() < 0.6  # a quarter of the area is half of the side
    assert spans.max() < 1
    assert len(spans.unique()) > 60


def two_colours(images=48):
    """Levels of noise, in which red is stronger in every second image, and which it is."""
    labels = torch.arange(images) % 2
    levels = 128 + 30 * torch.randn((images, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    levels[:, 0] += 100 * (labels[:, None, None] - 0.5)
    return levels.clamp(0, 255).byte(), labels


def test_it_learns_two_colours_and_the_same_again():
    levels, labels = two_colours()
    steps = []
    first, again, other = (train_cnn(levels, labels, PARAMS, seed, CPU, steps.append) for seed in (0, 0, 1))
    assert torch.equal(first(as_pixels(levels)).argmax(1), labels)
    assert torch.equal(first.head.weight, again.head.weight)
    assert not torch.equal(first.head.weight, other.head.weight)
    assert steps == [1] * 9


def test_a_rate_at_which_it_diverges_is_one_error():
    levels, labels = two_colours()
    with pytest.raises(DivergedError):
        train_cnn(levels, labels, PARAMS.model_copy(update={"learning_rate": 1e30}), 0, CPU, lambda _: None)


def coloured(count, seed, side=20):
    """An image set of three classes, each of a colour."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(count) % 3).astype(np.int32)

    def read(row):
        picture = rng.integers(0, 60, (side, side, 3))
        picture[..., labels[row]] += 150
        return Image.fromarray(picture.astype(np.uint8))

    pictures = [read(row) for row in range(count)]
    return ImageSet(labels, ("r", "g", "b"), pictures.__getitem__)


def test_levels_are_those_of_the_resized_image():
    images, steps = coloured(5, 0), []
    levels = read_levels(images, 16, steps.append)
    assert (levels.dtype, tuple(levels.shape), steps) == (torch.uint8, (5, 3, 16, 16), [1] * 5)
    picture = np.asarray(images.read(3).resize((16, 16), Image.Resampling.BICUBIC))
    for row in range(16):
        for column in range(16):
            assert levels[3, :, row, column].tolist() == picture[row, column].tolist()


def test_a_network_per_seed_names_what_it_learnt():
    sets = {"id_train": coloured(48, 0), "id_test": coloured(9, 1)}
    found = cnns(sets, 32, CnnParams(epochs=3, batch_size=16, learning_rate=0.05), (3, 5))
    assert list(found) == [3, 5]
    for network in found.values():
        logits, features = network.outputs["id_test"]
        assert (logits.argmax(1).numpy() == sets["id_test"].labels).all()
        assert features.dtype == torch.float64
        torch.testing.assert_close(network.head(features.float()).double(), logits)


def test_large_images_are_seen_reduced(monkeypatch):
    seen = []
    monkeypatch.setattr(rival, "train_cnn", lambda levels, *_: seen.append(levels.shape) or PlainCnn(3).eval())
    cnns({"id_train": coloured(6, 0)}, 224, CnnParams(epochs=1, batch_size=2, learning_rate=0.1), (0,))
    assert seen == [(6, 3, 64, 64)]


def test_a_batch_of_any_size_has_the_same_outputs():
    network = PlainCnn(3).eval()
    levels = torch.randint(0, 256, (7, 3, 16, 16), generator=torch.Generator().manual_seed(0)).byte()
    whole = cnn_outputs(network, levels, torch.device("cpu"))
    with torch.no_grad():
        for row in range(7):
            torch.testing.assert_close(whole.logits[row].float(), network(as_pixels(levels[row : row + 1]))[0])


def test_the_regression_reads_the_mean_over_places_of_what_the_encoder_made(tmp_path):
    scale = Standardisation(mean=(1.0, -2.0, 0.5, 0.0), std=(2.0, 0.5, 1.0, 3.0))
    id_train = load_id_train(latents_store(tmp_path / "id_train", standardisation=scale))
    sets = {"id_train": id_train} | {
        name: load_latents(latents_store(tmp_path / name, seed=seed, per_class=8), id_train.header)
        for name, seed in (("id_validation", 2), ("noise", 3))
    }
    network = latent_regression(sets)
    for name, latents in sets.items():
        logits, features = network.outputs[name]
        for row in (0, 5, len(latents.values) - 1):
            for channel in range(4):
                places = latents.values[row, channel].flatten().tolist()
                made = [value * scale.std[channel] + scale.mean[channel] for value in places]
                np.testing.assert_allclose(features[row, channel], np.mean(made), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(network.head(features), logits)


SIZES = {"id_train": 30, "id_validation": 12, "id_test": 9, "close": 7}
INFER = section(InferParams, default_params()["infer"] | {"knn_neighbours": 3})


def network(seed):
    torch.manual_seed(seed)
    head = nn.Linear(5, 3).double()
    features = {name: torch.randn(images, 5, dtype=torch.float64) for name, images in SIZES.items()}
    with torch.no_grad():
        return Network(head, {name: NetworkOutputs(head(of_set), of_set) for name, of_set in features.items()})


def judged(networks):
    labels = {name: (np.arange(images) % 3).astype(np.int32) for name, images in SIZES.items()}
    contents = {name: np.arange(images) for name, images in SIZES.items()}
    return rival_table(networks, labels, contents, ("a", "b", "c"), INFER)


def test_scores_are_of_the_network_of_each_seed():
    networks = {4: network(0), 9: network(1)}
    table = judged(networks)
    assert (table.seeds, table.sides, table.score_names) == ((4, 9), (SIDE,), SCORES)
    assert "id_train" not in table.labels
    for index, of_seed in enumerate(networks.values()):
        bank = [row / np.linalg.norm(row) for row in of_seed.outputs["id_train"].features.numpy()]
        for name in ("id_validation", "id_test", "close"):
            for row, (logits, feature) in enumerate(zip(*of_seed.outputs[name], strict=True)):
                shares = np.exp(logits.numpy()) / np.exp(logits.numpy()).sum()
                point = feature.numpy() / np.linalg.norm(feature.numpy())
                distances = sorted(np.linalg.norm(point - known) for known in bank)
                assert table.scores[SIDE, name, "msp"][index, row] == pytest.approx(-np.log(shares.max()))
                assert table.scores[SIDE, name, "knn"][index, row] == pytest.approx(distances[2])
                assert table.predicted[SIDE, name][index, row] == logits.argmax()


def test_a_network_that_diverged_is_one_error():
    broken = network(0)
    broken.outputs["close"].logits[2, 1] = float("nan")
    with pytest.raises(ScoreError, match=r"rival of seed 7: found outputs that are not finite. Lower rival.cnn"):
        judged({7: broken})
