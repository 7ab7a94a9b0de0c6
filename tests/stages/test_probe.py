"""The probes are what `encode` would make of the images saved by hand, however the run was interrupted."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.images.image_set import content_hash
from pipeline.networks.encoders.encoder import load_encoder
from pipeline.params.data import DataParams
from pipeline.runtime.errors import IncompatibleStoreError, UnfinishedStoreError
from pipeline.store import format as layout
from pipeline.store.reader import Store
from stages.encode import encode
from stages.probe import probe
from tests.helpers.make import interrupt_shard, latents_store, pixels, section, tiny_params, write_params
from tests.helpers.models import write_encoder
from tests.stages.test_stages import run

OUT = Path("probes")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An encoder and the ID test latents it makes, in a folder."""
    folder = tmp_path_factory.mktemp("made")
    torch.manual_seed(0)
    write_encoder(folder / "encoder")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("LATENT_OUTLIERS_DEVICE", "cpu")
        encoder = folder / "encoder"
        encode("id_test", encoder, folder / "id_test", write_params(folder, tiny_params()))
    return folder


def probes(made, output=OUT, id_test=None, **changes):
    params = write_params(Path(), tiny_params(**changes))
    probe(made / "encoder", id_test or made / "id_test", output, params)
    return {name: Store(output / name) for name in ("reencoded", "jpeg")}


def assert_store_of(store, pictures, made):
    """Check that a store holds these pictures, as `encode` makes latents of them."""
    model = load_encoder(made / "encoder").encoder
    wanted = model.encode(torch.from_numpy(np.stack([pixels(picture, 32) for picture in pictures]))).numpy()
    np.testing.assert_allclose(store.latents().astype(np.float32), wanted, rtol=2e-3, atol=1e-3)
    assert store.column("content").tolist() == [content_hash(picture) for picture in pictures]


def test_the_jpeg_probe_is_of_the_images_saved_by_hand(made):
    images, pictures = section(DataParams, tiny_params()["data"]).open("id_test"), []
    for index in range(len(images)):
        file = BytesIO()
        images.read(index).save(file, "JPEG", quality=30)
        pictures.append(Image.open(file))
    assert_store_of(probes(made, probe__jpeg_quality=30)["jpeg"], pictures, made)


def test_the_reencoded_probe_is_of_the_decoded_latents(made):
    model = load_encoder(made / "encoder").encoder.to(torch.device("cpu"))
    latents = Store(made / "id_test").latents().astype(np.float32)
    blocks = [latents[start : start + 64] for start in range(0, len(latents), 64)]
    filled = [np.concatenate([block, np.repeat(block[-1:], 64 - len(block), 0)]) for block in blocks]
    decoded = torch.cat([model.decode(torch.from_numpy(block)) for block in filled])[: len(latents)]
    pictures = ((decoded + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    assert_store_of(probes(made)["reencoded"], [Image.fromarray(picture) for picture in pictures], made)


def test_probes_have_the_labels_and_the_space_of_the_test_images(made):
    id_test = Store(made / "id_test")
    for name, store in probes(made).items():
        np.testing.assert_array_equal(store.column("label"), id_test.column("label"))
        assert store.header.class_names == id_test.header.class_names
        assert store.header.space == id_test.header.space
        assert store.header.provenance["probe"]["name"] == name
        assert store.header.provenance["latents"] == id_test.digest


def test_an_interrupted_run_resumes_to_the_same_bytes(made, monkeypatch):
    monkeypatch.setattr(layout, "SHARD_BYTES", 256 * 128)
    whole = {name: store.digest for name, store in probes(made, Path("whole")).items()}
    calls = interrupt_shard(monkeypatch, 4)
    with pytest.raises(KeyboardInterrupt):
        probes(made)
    assert not OUT.exists()
    assert {name: store.digest for name, store in probes(made).items()} == whole
    assert calls == [0, 1, 0, 1, 1]


def test_a_second_run_replaces_the_first_as_a_whole(made):
    first = probes(made)["jpeg"].digest
    (OUT / "left").touch()
    assert probes(made, probe__jpeg_quality=10)["jpeg"].digest != first
    assert {path.name for path in OUT.iterdir()} == {"reencoded", "jpeg", "manifest.json"}


def test_latents_of_another_encoder_are_refused(made):
    latents_store(Path("id_test"))
    with pytest.raises(IncompatibleStoreError, match="id_test: its latent space's encoder is 'abc'"):
        probes(made, id_test=Path("id_test"))


def test_latents_of_other_images_are_refused(made):
    with pytest.raises(IncompatibleStoreError, match="id_test: its number of rows is 433, wanted 432"):
        probes(made, data__sources__digits__held_out=[0, 9])
    with pytest.raises(IncompatibleStoreError, match="id_test: the content hash of image 1 is"):
        probes(made, data__sources__digits__seed=7)
    assert not OUT.exists()


def test_what_is_missing_is_named(made):
    with pytest.raises(UnfinishedStoreError, match="nowhere/manifest.json: not found"):
        probes(made, id_test=Path("nowhere"))


def test_an_error_is_one_line_and_exit_code_1(made):
    write_params(Path(), tiny_params(probe__jpeg_quality=100))
    code, _, err = run("stages.probe", made / "encoder", made / "id_test", OUT)
    assert (code, err.count("\n")) == (1, 1)
    assert err.startswith("error: params.yaml: probe.jpeg_quality is 100: input should be less than or equal to 95")
