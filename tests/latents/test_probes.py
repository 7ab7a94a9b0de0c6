"""A probe is the same pictures after a decoder, or after JPEG, whichever image is read first."""

from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.images.image_set import ImageSet
from pipeline.latents.probes import reencoded, saved_as_jpeg
from pipeline.runtime.errors import ModelError
from tests.helpers.models import encoder_of, random_kl

RNG = np.random.default_rng(0)
COUNT = 5
LATENTS = RNG.standard_normal((COUNT, 4, 2, 3)).astype(np.float16)


def image_set(mode="RGB"):
    images = [Image.fromarray(RNG.integers(0, 256, (10, 14, 3), np.uint8)).convert(mode) for _ in range(COUNT)]
    return ImageSet(np.arange(COUNT, dtype=np.int32), tuple("abcde"), images.__getitem__)


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    return encoder_of(random_kl())


def test_reencoded_images_are_the_decoded_latents_in_8_bits(encoder):
    images = reencoded(image_set(), LATENTS, encoder, batch_size=2)
    for index in range(COUNT):
        decoded = encoder.decode(torch.from_numpy(LATENTS[index : index + 1].astype(np.float32)))[0]
        wanted = [
            [[(float(value) + 1) * 127.5 for value in pixel] for pixel in line] for line in decoded.permute(1, 2, 0)
        ]
        assert images.read(index).size == (24, 16)
        np.testing.assert_allclose(np.asarray(images.read(index), float), wanted, atol=0.501)


def test_an_image_does_not_depend_on_which_was_read_before(encoder):
    images = reencoded(image_set(), LATENTS, encoder, batch_size=3)
    forwards = [images.read(index).tobytes() for index in range(COUNT)]
    assert [images.read(index).tobytes() for index in reversed(range(COUNT))] == forwards[::-1]


def test_a_decoder_that_diverged_is_refused():
    broken = random_kl()
    broken.decoder.conv_out.bias.data.fill_(torch.nan)
    with pytest.raises(ModelError, match="images decoded of latents 2 and on are not finite"):
        reencoded(image_set(), LATENTS, encoder_of(broken), batch_size=2).read(3)


@pytest.mark.parametrize(("mode", "saved"), [("RGB", "RGB"), ("L", "L"), ("RGBA", "RGB"), ("P", "RGB"), ("1", "RGB")])
def test_jpeg_images_are_what_pillow_reads_back(mode, saved):
    images, file = image_set(mode), BytesIO()
    images.read(2).convert(saved).save(file, "JPEG", quality=70)
    with Image.open(file) as wanted:
        found = saved_as_jpeg(images, 70).read(2)
        assert (found.mode, found.size) == (saved, (14, 10))
        assert found.tobytes() == wanted.tobytes()


def test_labels_and_names_stay(encoder):
    images = image_set()
    for probe in (saved_as_jpeg(images, 90), reencoded(images, LATENTS, encoder, 2)):
        assert probe.labels is images.labels
        assert probe.class_names == images.class_names
