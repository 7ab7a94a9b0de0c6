"""Stage `encoder` takes a model of any kind to one folder, from which everything after it reads."""

import json
from pathlib import Path

import pytest
import torch

from pipeline.networks.encoders.encoder import load_encoder
from pipeline.runtime.errors import ModelError, ParamsError
from stages.encoder import encoder
from tests.helpers.make import changed, tiny_params, write_params
from tests.helpers.models import random_kl, random_tiny, write_backbone, write_onnx

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
DIFFUSERS = {"source": "given", "subfolder": None, "revision": None, "variant": None}
OUT, CURVE = Path("out"), Path("curve.csv")


def made(kind, reduced=None, **settings):
    changes = {"encoder__kind": kind, f"encoder__{kind}": settings, "encoder__channels": reduced}
    encoder(OUT, CURVE, write_params(Path(), tiny_params(**changes)))
    return load_encoder(OUT)


@pytest.mark.parametrize("make", [random_kl, random_tiny])
def test_an_autoencoder_comes_out_unchanged(make):
    given = make()
    given.save_pretrained("given/vae")
    found = made("diffusers", **(DIFFUSERS | {"subfolder": "vae"})).encoder
    for name, weights in given.state_dict().items():
        assert torch.equal(weights, found.model.module.state_dict()[name]), name
    assert CURVE.read_text() == "epoch,learning_rate,loss\n"


def test_the_maps_of_a_backbone_are_reduced_as_asked():
    write_backbone(Path("given"), "vit")
    saved = made("transformers", reduced=5, source="given", revision=None, layer=None)
    assert saved.card.shape == (5, 2, 2)
    assert 0 < saved.card.reduction.variance < 1


def test_a_network_in_onnx_is_an_encoder():
    write_onnx(Path("m.onnx"))
    saved = made("onnx", file="m.onnx", output="map", mean=[0.0] * 3, std=[1.0] * 3)
    assert saved.card.shape == (4, 4, 4)


def test_the_digest_does_not_depend_on_where_a_model_was():
    given, digests = random_kl(), set()
    for place in ("here", "there"):
        given.save_pretrained(place)
        digests.add(made("diffusers", **(DIFFUSERS | {"source": place})).digest)
    assert len(digests) == 1


def test_a_model_that_is_nowhere_is_one_error(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match="nowhere: neither a folder here nor a repository that could be fetched"):
        made("diffusers", **(DIFFUSERS | {"source": "nowhere"}))
    assert not OUT.exists()


def test_a_subfolder_that_is_not_there_is_named():
    random_kl().save_pretrained("given")
    with pytest.raises(ModelError, match="given: found no folder 'vae' in it"):
        made("diffusers", **(DIFFUSERS | {"subfolder": "vae"}))


def test_an_autoencoder_of_one_channel_is_refused_where_it_is_loaded():
    random_kl(in_channels=1, out_channels=1).save_pretrained("given")
    with pytest.raises(ModelError, match="32 x 32 pixels cannot be encoded"):
        made("diffusers", **DIFFUSERS)
    assert not OUT.exists()


def test_parameters_of_a_model_are_closed():
    content = changed(tiny_params(), encoder__diffusers={"source": "x", "subfolder": None, "revison": None})
    with pytest.raises(ParamsError, match=r"encoder.diffusers.revison is not a parameter; did you mean 'revision'"):
        encoder(OUT, CURVE, write_params(Path(), content))


def test_a_trained_encoder_says_what_it_is():
    encoder(OUT, CURVE, write_params(Path(), tiny_params()))
    card = json.loads((OUT / "encoder.json").read_text())
    assert card["model"] == {"kind": "diffusers"}
    assert (card["image_size"], card["shape"], card["reduction"]) == (32, [4, 4, 4], None)
