"""The times that a new project announces follow from what was measured, and from how often each image is encoded."""

from itertools import count

import numpy as np
import pytest

from pipeline.commands import encoder_speed as module
from pipeline.commands.encoder_speed import Amount, Speed, about, estimate, measured_speed, seconds_to_encode
from pipeline.images.image_set import ImageSet
from pipeline.params.all_params import AllParams
from tests.helpers.make import changed, default_params, section
from tests.helpers.models import encoder_of, random_kl
from tests.images.odd import picture


def params(**changes):
    return section(AllParams, changed(default_params(), **changes))


def images(number=5):
    read = []

    def opened(index):
        read.append(index)
        return picture(index, (40, 50))

    return ImageSet(np.arange(number, dtype=np.int32) % 2, ("a", "b"), opened), read


@pytest.fixture
def clock(monkeypatch):
    """A clock that is a second later whenever it is looked at."""
    ticks = count()
    monkeypatch.setattr(module, "perf_counter", lambda: float(next(ticks)))


SPEED = Speed(read=1.0, encode=10.0, train=2.0, latent=(4, 4, 4), size=1000)
AMOUNT = Amount(train=100, test=20, others=(25, 5))


def test_every_image_is_counted_as_often_as_a_run_encodes_it(monkeypatch):
    """In batches of 10: 160 of the sets, the 20 to test on as JPEG and, where decoded, once more; and views."""
    monkeypatch.setattr(module, "about", "{:.0f} s".format)
    backbone = {"encoder__transformers": {"source": "x", "revision": None, "layer": None}, "encode__batch_size": 10}
    plain = params(encoder__kind="transformers", **backbone)
    assert f"encoding 150 images will take about {(160 + 20) * 11} s on" in estimate(plain, SPEED, AMOUNT)
    reduced = plain.model_copy(update={"encoder": plain.encoder.model_copy(update={"channels": 3, "fitted_to": 40})})
    assert f"{(160 + 20 + 40) * 11} s on" in estimate(reduced, SPEED, AMOUNT)
    seen = plain.model_copy(update={"views": plain.views.model_copy(update={"count": 3})})
    assert f"and 300 views of them will take about {(160 + 20) * 11 + 3000} s" in estimate(seen, SPEED, AMOUNT)
    trained = estimate(params(encode__batch_size=10), SPEED, AMOUNT)
    assert f"training the encoder will take about {100 * (1 + 24 * 2)} s" in trained
    assert f"{(160 + 40) * 11} s on" in trained


def test_time_per_image_leaves_the_first_pass_out(clock, monkeypatch):
    monkeypatch.setattr(module, "ENOUGH", 2.5)
    model, met = encoder_of(random_kl()).model, []
    encode = model.encode
    monkeypatch.setattr(model, "encode", lambda batch: met.append(len(batch)) or encode(batch))
    seconds = seconds_to_encode(model, np.zeros((8, 32, 32, 3), np.uint8))
    assert met[0] == module.WARM_UP
    assert seconds == pytest.approx((len(met) + 0.0) / (8 * (len(met) - 1)), rel=0.5)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", ["trained", "supervised"])
def test_a_few_of_the_images_are_trained_on_and_timed(kind, monkeypatch):
    monkeypatch.setattr(module, "ENOUGH", 0.0)
    given, read = images(300)
    found = measured_speed(params(encoder__kind=kind), None, given)
    assert min(found.read, found.encode, found.train) > 0
    assert len(set(read)) <= 32 + 128
    assert max(read) == 299
    fitted = params(encoder__kind=kind)
    channels = fitted.encoder.trained.latent_channels if kind == "trained" else fitted.encoder.supervised.widths[-1]
    assert found.latent == (channels, *[fitted.data.image_size // 8] * 2)
    assert found.size > 4 * channels


def test_a_latent_is_as_large_as_the_reduction_leaves_it(monkeypatch):
    monkeypatch.setattr(module, "ENOUGH", 0.0)
    reduced = params(encoder__channels=2, encoder__side=1)
    assert measured_speed(reduced, encoder_of(random_kl()).model, images()[0]).latent == (2, 1, 1)


def test_a_pretrained_model_is_not_trained(monkeypatch):
    monkeypatch.setattr(module, "ENOUGH", 0.0)
    given, read = images()
    assert measured_speed(params(), encoder_of(random_kl()).model, given).train == 0
    assert sorted(read) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "10 s"), (11, "20 s"), (50, "50 s"), (51, "1 min"), (61, "2 min"), (5400, "90 min"), (5401, "1.6 h")],
)
def test_durations_are_rounded_up(seconds, text):
    assert about(seconds) == text
