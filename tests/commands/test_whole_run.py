"""The time and disk that a new project announces follow from what was measured, and from what a run makes."""

from itertools import count

import pytest
import torch

from pipeline.commands import whole_run as module
from pipeline.commands.encoder_speed import Amount, Speed, seconds_of_encoding, seconds_of_training
from pipeline.commands.whole_run import disk_bytes, seconds_of_networks, whole_run_sentence
from pipeline.networks.resnet import LatentResNet
from pipeline.params.all_params import AllParams
from pipeline.params.networks import LinearParams
from pipeline.runtime.device import STAGE_THREADS
from pipeline.runtime.shortage import as_size
from tests.helpers.make import changed, default_params, section

SPEED = Speed(read=1.0, encode=10.0, train=2.0, latent=(4, 2, 2), size=10**6)
AMOUNT = Amount(train=100, test=20, others=(25, 5))
SMALL = {
    "teacher__network": {"width": 8, "blocks": [1], "latent_mean": True},
    "teacher__optimiser__epochs": 10,
    "teacher__optimiser__batch_size": 5,
    "train__optimiser__epochs": 20,
    "train__optimiser__batch_size": 5,
    "train__outlier_batch_size": 10,
}


def params(**changes):
    return section(AllParams, changed(default_params(), **(SMALL | changes)))


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """Two cores, and a clock that is a second later whenever it is looked at."""
    ticks = count()
    monkeypatch.setattr(module, "perf_counter", lambda: float(next(ticks)))
    monkeypatch.setattr(module, "default_workers", lambda _: 2)


@pytest.mark.parametrize(
    ("changes", "rows"),
    [
        ({}, 10 * 100 + 20 * 100 * (1 + 2 + 1)),  # ten outliers and five mixed rows beside a batch of five
        ({"train__mixing__weight": 0.0}, 10 * 100 + 20 * 100 * (1 + 2)),
        (
            {f"train__{loss}__weight": 0.0 for loss in ("mixing", "outlier_exposure", "micl__info_nce")},
            10 * 100 + 20 * 100,
        ),
    ],
)
@pytest.mark.parametrize(("seeds", "rounds"), [([0, 1], 1), ([0, 1, 2], 2)])
def test_networks_take_as_long_as_the_rows_that_they_see(changes, rows, seeds, rounds):
    """A short epoch has ten rows and takes a second; two seeds are trained side by side."""
    found = seconds_of_networks(params(seeds=seeds, **changes), (4, 2, 2), 3, 100)
    assert found == pytest.approx(rounds * rows / 10)
    assert torch.get_num_threads() == STAGE_THREADS


def test_the_whole_is_the_sum_of_its_parts(monkeypatch):
    monkeypatch.setattr(module, "about", "{:.0f} s".format)
    fitted = params(seeds=[0])
    encoder = seconds_of_training(fitted, SPEED, AMOUNT) + seconds_of_encoding(fitted, SPEED, AMOUNT)
    networks = seconds_of_networks(fitted, SPEED.latent, 3, AMOUNT.train)
    told = whole_run_sentence(fitted, SPEED, AMOUNT, 3, rival=7.0)
    starts = module.STARTS + (100 * (1 + fitted.views.count) + 20 + 25 + 5) / module.IMAGES_PER_START
    assert f"takes about {encoder + networks + 7 + starts:.0f} s and " in told
    assert f"{as_size(disk_bytes(fitted, SPEED, AMOUNT, 3))} of disk" in told


def test_disk_holds_stores_networks_and_an_encoder_per_bundle_twice():
    fitted = params(seeds=[0, 1], synthesize__methods=["mixup", "shuffle"], views__count=2)
    rows = 100 + 200 + 20 + 25 + 5 + fitted.synthesize.mixup.rows + fitted.synthesize.shuffle.rows
    network = LatentResNet(4, 3, fitted.teacher.network, LinearParams(kind="linear"))
    weights = sum(len(weights.flatten()) for weights in network.parameters())
    features = 4 + 8
    seed = 3 * 4 * weights + 4 * 100 * features + 8 * (features**2 + 100 * features) + 10**6
    assert disk_bytes(fitted, SPEED, AMOUNT, 3) == 2 * (rows * 16 * 2 + 10**6 + 2 * seed)
