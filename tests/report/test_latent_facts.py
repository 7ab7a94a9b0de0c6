"""The report says what the latents are: how wide, how large on disk, and what the encoder kept."""

import numpy as np
import pytest

from pipeline.networks.encoders.encoder import Encoder
from pipeline.networks.encoders.reduction import fit_reduction
from pipeline.report.latent_facts import latent_facts, latent_sentences, seconds_per_image
from pipeline.store.format import Standardisation
from tests.helpers.make import SPACE, write_store
from tests.helpers.models import encoder_of, random_kl, write_encoder

FACTS = {
    "encoder": "transformers", "image_size": 224, "shape": [64, 7, 7], "bytes_per_image": 6272,
    "variance_kept": 0.8712, "mean": 0.01234, "std": 1.5,
}  # fmt: skip


@pytest.fixture
def values():
    rng = np.random.default_rng(0)
    scale, shift = rng.uniform(0.5, 2, (2, 1, SPACE.shape[0], 1, 1))
    return (rng.standard_normal((50, *SPACE.shape)) * scale + shift).astype(np.float16)


def test_mean_and_deviation_are_those_of_all_values(tmp_path, values):
    write_encoder(tmp_path / "encoder")
    columns = {"label": np.zeros(50, np.int32)}
    channels = values.swapaxes(0, 1).astype(float)
    recorded = Standardisation(
        mean=tuple(map(float, channels.mean((1, 2, 3)))), std=tuple(map(float, channels.std((1, 2, 3))))
    )
    store = write_store(tmp_path / "s", values, columns, "latents", ("cat",), standardisation=recorded)
    facts = latent_facts(store, tmp_path / "encoder")
    assert facts["bytes_per_image"] == values[0].nbytes
    assert facts["shape"] == [*SPACE.shape]
    assert facts["variance_kept"] is None
    flat = [float(value) for value in values.flatten()]
    mean = sum(flat) / len(flat)
    assert facts["mean"] == pytest.approx(mean, abs=1e-3)
    assert facts["std"] == pytest.approx((sum((value - mean) ** 2 for value in flat) / len(flat)) ** 0.5, rel=1e-3)


def test_what_a_reduction_keeps_is_told(tmp_path, values):
    import torch

    model = encoder_of(random_kl()).model
    reduction = fit_reduction([model.encode(torch.rand(4, 3, 32, 32))], 2, None)
    Encoder(model, reduction).save(tmp_path / "encoder", 32)
    store = write_store(tmp_path / "s", values, {"label": np.zeros(50, np.int32)}, "latents", ("cat",))
    assert latent_facts(store, tmp_path / "encoder")["variance_kept"] == reduction.variance < 1


def entry(output, seconds, ended="ok"):
    return {"output": output, "seconds": seconds, "ended": ended}


def test_time_per_image_is_over_the_sets_that_the_log_has():
    log = [
        entry("data/latents/id_train", 99.0),  # an earlier time
        entry("data/latents/id_train", 6.0),
        entry("data/latents/id_train", 50.0, "error"),
        entry("data/latents/noise", 1.0),
        entry("models/encoder", 70.0),
    ]
    assert seconds_per_image(log, {"id_train": 30, "noise": 5, "fetched": 100}) == pytest.approx(7 / 35)
    assert seconds_per_image(log, {"fetched": 100}) is None


def test_the_sentences_say_only_what_is_known():
    told = latent_sentences(FACTS, 0.0241)
    assert "of kind transformers, makes 64 x 7 x 7 values of an image of 224 pixels a side, 6,272 bytes" in told
    assert "keep 87.1 % of the variance" in told
    assert "mean 0.0123 and std 1.5" in told
    assert told.endswith("Stage encode took 24.1 ms per image, reading included.")
    short = latent_sentences(FACTS | {"variance_kept": None}, None)
    assert "variance" not in short
    assert "Stage encode" not in short
