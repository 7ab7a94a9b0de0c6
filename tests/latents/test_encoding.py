"""Encoding gives a whole store of the latents of exactly the images asked for, however it was interrupted."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.images.image_set import ImageSet, content_hash
from pipeline.latents.encoding import load_batch_encoder, write_latents
from pipeline.latents.latents import load_id_train, load_latents
from pipeline.latents.standardising import to_scaled
from pipeline.networks.encoders.encoder import load_encoder
from pipeline.params.data import DataParams
from pipeline.runtime.errors import ModelError, ParamsError
from pipeline.store import format as layout
from pipeline.store.reader import Store
from stages.encode import encode
from tests.helpers.make import interrupt_shard, pixel_batch, section, tiny_params, write_params
from tests.helpers.models import random_kl, write_encoder

OUT = Path("out")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("encoder")
    write_encoder(folder)
    return folder


def encoded(name, encoder, output=OUT, **changes):
    encode(name, encoder, output, write_params(Path(), tiny_params(**changes)))
    return Store(output)


def test_rows_are_the_images_in_order_with_their_labels(encoder):
    store = encoded("id_validation", encoder)
    images = section(DataParams, tiny_params()["data"]).open("id_validation")
    saved = load_encoder(encoder)
    wanted = saved.encoder.encode(torch.from_numpy(pixel_batch(images, range(len(images)), 32))).numpy()
    np.testing.assert_allclose(store.latents().astype(np.float32), wanted, rtol=2e-3, atol=1e-4)
    np.testing.assert_array_equal(store.column("label"), images.labels)
    assert store.column("content").tolist() == [content_hash(images.read(index)) for index in range(len(images))]
    assert store.header.class_names == images.class_names
    assert store.header.space.encoder == saved.digest


def test_each_image_is_read_once(encoder, tmp_path):
    images, read = section(DataParams, tiny_params()["data"]).open("noise"), []

    def counted(index):
        read.append(index)
        return images.read(index)

    batches = load_batch_encoder(encoder, image_size=32, batch_size=16)
    write_latents(tmp_path / "out", ImageSet(images.labels, (), counted), batches, {}, "noise")
    assert sorted(read) == list(range(40))


def test_the_size_of_a_batch_is_what_the_encoder_meets_even_where_few_are_left(encoder, monkeypatch):
    batches, met = load_batch_encoder(encoder, image_size=32, batch_size=16), []
    encode_batch = batches.encoder.encode
    monkeypatch.setattr(batches.encoder, "encode", lambda batch: met.append(len(batch)) or encode_batch(batch))
    assert batches(np.zeros((3, 32, 32, 3), np.uint8), "images").shape == (3, 4, 4, 4)
    assert met == [16]


def test_the_recorded_statistics_standardise(encoder):
    encoded("id_train", encoder)
    latents = load_id_train(OUT)
    np.testing.assert_allclose(latents.values.mean((0, 2, 3)), np.zeros(4), atol=1e-4)
    np.testing.assert_allclose(latents.values.std((0, 2, 3), correction=0), np.ones(4), atol=1e-4)
    back = to_scaled(latents.values, latents.header.standardisation)
    np.testing.assert_allclose(back, Store(OUT).latents().astype(np.float32), atol=1e-4)


def test_other_sets_are_standardised_with_the_training_statistics(encoder):
    encoded("id_train", encoder, Path("train"))
    encoded("noise", encoder, Path("noise"))
    header = load_id_train(Path("train")).header
    back = to_scaled(load_latents(Path("noise"), header).values, header.standardisation)
    np.testing.assert_allclose(back, Store(Path("noise")).latents().astype(np.float32), atol=1e-4)


def test_an_interrupted_run_resumes_to_the_same_bytes(encoder, monkeypatch):
    monkeypatch.setattr(layout, "SHARD_BYTES", 256 * 128)
    whole = encoded("id_train", encoder, Path("whole")).digest
    calls = interrupt_shard(monkeypatch, 3)
    with pytest.raises(KeyboardInterrupt):
        encoded("id_train", encoder)
    assert not OUT.exists()
    assert encoded("id_train", encoder).digest == whole
    assert calls == [0, 1, 2, 2, 3]


def test_a_set_that_is_not_in_the_parameters_is_refused(encoder):
    with pytest.raises(ParamsError, match="data.sets has no 'id_tset'; it has id_train, id_validation"):
        encoded("id_tset", encoder)


def test_an_encoder_for_images_of_another_size_is_refused(encoder):
    with pytest.raises(ModelError, match="found an encoder of images of 32 pixels, wanted 64"):
        load_batch_encoder(encoder, image_size=64, batch_size=16)


def test_latents_that_overflow_are_refused(encoder, tmp_path):
    write_encoder(tmp_path / "broken", random_kl(scaling_factor=1e6))
    with pytest.raises(ModelError, match="latents of images .*: values reach .*, wanted finite ones within float16"):
        encoded("noise", tmp_path / "broken")
