"""Encoding gives a whole store of the latents of exactly the images asked for, however it was interrupted."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.images.image_set import ImageSet, content_hash
from pipeline.latents.encoding import Encoder, write_latents
from pipeline.latents.latents import load_id_train, load_latents, to_scaled
from pipeline.networks.autoencoder import load_stage_output
from pipeline.params.data import DataParams
from pipeline.runtime.errors import ModelError, ParamsError
from pipeline.store import format as layout
from pipeline.store.reader import Store
from stages.autoencoder import autoencoder as make_autoencoder
from stages.encode import encode
from tests.helpers.make import interrupt_shard, pixel_batch, section, tiny_params, write_params
from tests.training.test_autoencoder import random_kl

OUT = Path("out")


@pytest.fixture(scope="module")
def autoencoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("autoencoder")
    torch.manual_seed(0)
    random_kl().save_pretrained(folder / "given")
    source = {"source": str(folder / "given"), "subfolder": None, "revision": None}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        params = write_params(folder, tiny_params(autoencoder__pretrained=source))
        make_autoencoder(folder / "made", folder / "curve.csv", params)
    return folder / "made"


def encoded(name, autoencoder, output=OUT, **changes):
    encode(name, autoencoder, output, write_params(Path(), tiny_params(**changes)))
    return Store(output)


def test_rows_are_the_images_in_order_with_their_labels(autoencoder):
    store = encoded("id_validation", autoencoder)
    images = section(DataParams, tiny_params()["data"]).open("id_validation")
    model, digest = load_stage_output(autoencoder)
    wanted = model.encode(torch.from_numpy(pixel_batch(images, range(len(images)), 32))).numpy()
    np.testing.assert_allclose(store.latents().astype(np.float32), wanted, rtol=2e-3, atol=1e-4)
    np.testing.assert_array_equal(store.column("label"), images.labels)
    assert store.column("content").tolist() == [content_hash(images.read(index)) for index in range(len(images))]
    assert store.header.class_names == images.class_names
    assert store.header.space.autoencoder == digest


def test_each_image_is_read_once(autoencoder, tmp_path):
    images, read = section(DataParams, tiny_params()["data"]).open("noise"), []

    def counted(index):
        read.append(index)
        return images.read(index)

    encoder = Encoder.load(autoencoder, image_size=32, batch_size=16)
    write_latents(tmp_path / "out", ImageSet(images.labels, (), counted), encoder, {}, "noise")
    assert sorted(read) == list(range(40))


def test_the_size_of_a_batch_is_what_the_autoencoder_meets_even_where_few_are_left(autoencoder, monkeypatch):
    encoder, met = Encoder.load(autoencoder, image_size=32, batch_size=16), []
    encode_batch = encoder.autoencoder.encode
    monkeypatch.setattr(encoder.autoencoder, "encode", lambda batch: met.append(len(batch)) or encode_batch(batch))
    assert encoder(np.zeros((3, 32, 32, 3), np.uint8), "images").shape == (3, 4, 4, 4)
    assert met == [16]


def test_the_recorded_statistics_standardise(autoencoder):
    encoded("id_train", autoencoder)
    latents = load_id_train(OUT)
    np.testing.assert_allclose(latents.values.mean((0, 2, 3)), np.zeros(4), atol=1e-4)
    np.testing.assert_allclose(latents.values.std((0, 2, 3), correction=0), np.ones(4), atol=1e-4)
    back = to_scaled(latents.values, latents.header.standardisation)
    np.testing.assert_allclose(back, Store(OUT).latents().astype(np.float32), atol=1e-4)


def test_other_sets_are_standardised_with_the_training_statistics(autoencoder):
    encoded("id_train", autoencoder, Path("train"))
    encoded("noise", autoencoder, Path("noise"))
    header = load_id_train(Path("train")).header
    back = to_scaled(load_latents(Path("noise"), header).values, header.standardisation)
    np.testing.assert_allclose(back, Store(Path("noise")).latents().astype(np.float32), atol=1e-4)


def test_an_interrupted_run_resumes_to_the_same_bytes(autoencoder, monkeypatch):
    monkeypatch.setattr(layout, "SHARD_BYTES", 256 * 128)
    whole = encoded("id_train", autoencoder, Path("whole")).digest
    calls = interrupt_shard(monkeypatch, 3)
    with pytest.raises(KeyboardInterrupt):
        encoded("id_train", autoencoder)
    assert not OUT.exists()
    assert encoded("id_train", autoencoder).digest == whole
    assert calls == [0, 1, 2, 2, 3]


def test_a_set_that_is_not_in_the_parameters_is_refused(autoencoder):
    with pytest.raises(ParamsError, match="data.sets has no 'id_tset'; it has id_train, id_validation"):
        encoded("id_tset", autoencoder)


def test_latents_that_overflow_are_refused(autoencoder, tmp_path):
    broken = random_kl(scaling_factor=1e9)
    broken.save_pretrained(tmp_path / "broken")
    with pytest.raises(ModelError, match="latents of images .*: values reach .*, wanted finite ones within float16"):
        encoded("noise", tmp_path / "broken")
