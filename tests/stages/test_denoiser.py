"""The stage trains a denoiser for a method that samples from one, and for any other only says that it needs none."""

import sys
from pathlib import Path

import pytest

from pipeline.latents.latents import load_id_train
from pipeline.networks.denoiser import load_denoiser
from pipeline.params.synthesize import METHODS
from pipeline.runtime.errors import ParamsError
from pipeline.runtime.files import folder_digest, read_json
from pipeline.store.reader import Store
from pipeline.training.curve import epochs_in
from stages.denoiser import denoiser
from stages.synthesize import synthesize
from tests.helpers.make import latents_store, tiny_params, write_params

ID, CURVE = Path("id"), Path("curves/denoiser.csv")


def made(method, **changes):
    output = Path("models/denoiser") / method
    denoiser(method, ID, output, CURVE, write_params(Path(), tiny_params(synthesize__methods=[method], **changes)))
    return output


@pytest.mark.parametrize("method", sorted({*METHODS} - {"label_mixup"}))
def test_a_method_that_needs_none_gets_a_note_and_a_curve_without_epochs(method, monkeypatch):
    monkeypatch.setitem(sys.modules, "pipeline.training.denoiser", None)
    output = made(method)  # no latents are there: they are not looked at
    assert {path.name for path in output.iterdir()} == {"none.json", "manifest.json"}
    assert read_json(output / "none.json") == {"needed": False}
    assert CURVE.read_text() == "epoch,learning_rate,loss\n"
    assert epochs_in(CURVE) == 0


@pytest.mark.parametrize("change", [{}, {"denoiser__epochs": 3}, {"seeds": [7]}])
def test_what_says_that_none_is_needed_is_the_same_bytes_whatever_changes(change):
    assert folder_digest(made("mixup", **change)) == folder_digest(made("shuffle"))


def test_a_method_that_needs_one_gets_it_trained_on_the_id_latents():
    latents_store(ID)
    output = made("label_mixup", denoiser__epochs=3)
    card = load_denoiser(output, load_id_train(ID).header).card
    assert card.class_names == ("class 0", "class 1", "class 2")
    assert not (output / "none.json").exists()
    assert epochs_in(CURVE) == 3


def test_outliers_are_made_with_the_denoiser_that_the_stage_made_and_name_it():
    latents_store(ID)
    output = made("label_mixup")
    synthesize("label_mixup", ID, output, Path("out"), workers=1)
    assert Store(Path("out")).header.provenance["models"] == {"denoiser": folder_digest(output)}
    made("mixup")
    synthesize("mixup", ID, Path("models/denoiser/mixup"), Path("mixed"), workers=1)
    assert Store(Path("mixed")).header.provenance["models"] == {}


def test_another_denoiser_makes_other_outliers():
    latents_store(ID)
    stores = []
    for seed in (0, 1):
        output = made("label_mixup", denoiser__seed=seed)
        synthesize("label_mixup", ID, output, Path(f"out-{seed}"), workers=1)
        stores.append(Store(Path(f"out-{seed}")))
    assert (stores[0].latents() != stores[1].latents()).any()


def test_a_method_that_does_not_exist_is_named():
    with pytest.raises(ParamsError, match="synthesize.methods has 'mixdown', which is not a method"):
        made("mixdown")
    assert not CURVE.exists()
