"""The stage writes a bundle per seed, each with the network, the threshold and the bank of its seed."""

from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard

from pipeline.detector.bundle import read_bundle
from pipeline.detector.detector import Detector
from pipeline.latents.latents import load_id_train
from pipeline.networks.saved_network import load_network
from pipeline.params.all_params import load_all
from pipeline.params.score import ScoreParams
from pipeline.posthoc.decision import decide
from pipeline.posthoc.score import network_outputs
from pipeline.report.metrics_json import build_report
from pipeline.runtime.errors import MissingInputError, ParamsError, PipelineError
from pipeline.runtime.files import file_digest, folder_digest, read_json, write_json
from stages.bundle import bundle
from tests.detector.make import pictures, tiny_models
from tests.helpers.make import default_params, score_table, section, tiny_params, write_params
from tests.helpers.models import random_kl
from tests.images.hub_server import NAME, the_hub
from tests.images.hugging import COMMIT

ID_TRAIN, ID_VALIDATION, MODELS, METRICS, OUT = map(
    Path, ("id_train", "id_validation", "models", "metrics.json", "models/bundle")
)


@pytest.fixture(autouse=True)
def inputs():
    tiny_models(Path(), seeds=(0, 1))
    params = section(ScoreParams, default_params()["score"] | {"bootstrap": {"replicates": 100, "seed": 0}})
    table = score_table({"held_out": 1.0})
    write_json(METRICS, build_report(table, {"near": ["held_out"], "far": []}, decide(table, "knn", 0.05), params))


def made(**changes):
    bundle(ID_TRAIN, ID_VALIDATION, MODELS, METRICS, OUT, write_params(Path(), tiny_params(**changes)))
    return OUT


def test_there_is_a_bundle_for_each_seed_with_its_own_network_and_bank():
    folder, id_train = made(), load_id_train(ID_TRAIN)
    assert sorted(path.name for path in folder.iterdir()) == ["0", "1", "manifest.json"]
    for seed in (0, 1):
        found = read_bundle(folder / str(seed))
        trained = Path(f"models/detector/{seed}")
        assert file_digest(folder / f"{seed}/network.safetensors") == file_digest(trained / "model.safetensors")
        assert (found.card.decision.seed, found.card.id_train) == (seed, id_train.digest)
        network, _ = load_network(trained, id_train.header.space, id_train.class_names)
        wanted = torch.nn.functional.normalize(network_outputs(network, id_train.values).features, dim=1)
        assert torch.equal(found.scorer.tensors["bank"], wanted)


def test_a_bundle_answers():
    assert len(Detector.load(made() / "0").predict(pictures(3))) == 3


def test_weights_on_the_hub_are_left_out_and_the_model_card_says_where_they_are(tmp_path, monkeypatch):
    Path("published").mkdir()
    torch.manual_seed(0)
    random_kl().save_pretrained("published")
    place = {"source": NAME, "revision": COMMIT, "subfolder": None, "variant": None}
    with the_hub(Path("published"), tmp_path / "cache", monkeypatch):
        folder = made(bundle__copy_encoder=False, encoder__kind="diffusers", encoder__diffusers=place) / "1"
        assert not (folder / "encoder/model/diffusion_pytorch_model.safetensors").exists()
        told = f"not in this folder, but in `{NAME}` on the hub, at commit `{COMMIT}`"
        assert told in (folder / "README.md").read_text()
        assert len(Detector.load(folder, fetch_encoder=True).predict(pictures(3))) == 3


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, "encoder.kind is 'trained'; wanted 'diffusers' or 'transformers', or bundle.copy_encoder: true"),
        ({"source": "../vae"}, "encoder.diffusers.source is '../vae'; wanted an id on the hub, or bundle.copy_encoder"),
        ({"source": "vae"}, "encoder.diffusers.source is 'vae'; wanted an id on the hub"),
        ({"revision": None}, "encoder.diffusers.revision is None; wanted a full commit"),
        ({"revision": "main"}, "encoder.diffusers.revision is 'main'; wanted a full commit"),
        ({"revision": COMMIT[:12]}, "wanted a full commit"),
    ],
)
def test_an_encoder_that_is_not_pinned_on_the_hub_is_not_left_out(changes, found):
    place = {"source": NAME, "revision": COMMIT, "subfolder": None, "variant": None} | changes
    encoder = {"encoder__kind": "diffusers", "encoder__diffusers": place} if changes else {}
    with pytest.raises(ParamsError, match=f"bundle.copy_encoder is false, but .*{found}"):
        made(bundle__copy_encoder=False, **encoder)
    assert not OUT.exists()
    with pytest.raises(ParamsError, match=f"bundle.copy_encoder is false, but .*{found}"):
        load_all(write_params(Path(), tiny_params(bundle__copy_encoder=False, **encoder)))


def test_the_same_inputs_are_the_same_bytes():
    first, again = folder_digest(made()), folder_digest(made())
    assert first == again


def test_the_model_card_is_one_of_the_hub_and_tells_what_was_measured():
    card = ModelCard.load(made(bundle__title="Some digits", bundle__licence="mit") / "1/README.md")
    assert (card.data.license, card.data.library_name) == ("mit", "latent-outliers")
    assert card.data.pipeline_tag == "image-classification"
    for told in ("# Some digits", "class 0, class 1, class 2", "| held_out |", "this one is seed 1", "above 0.0497"):
        assert told in card.text, told


LOSSES = ("outlier_exposure", "energy_bound", "micl__info_nce", "micl__club", "micl__paper")
NO_OUTLIERS = {f"train__{loss}__weight": 0.0 for loss in LOSSES}
MADE = "with outliers synthesized in latent space"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, f"{MADE} (`perturb`, `mixup`, `shuffle`)."),
        ({"synthesize__imported": ["theirs"], "synthesize__methods": ["gaussian"]}, f"{MADE} (`gaussian`, `theirs`)."),
        (NO_OUTLIERS, "without outliers."),
        (NO_OUTLIERS | {"synthesize__methods": ["copies"]}, "without outliers."),
        ({"synthesize__methods": ["copies"]}, "with copies of training latents in the place of outliers, a null"),
        ({"synthesize__methods": ["copies", "mixup"]}, f"{MADE} (`mixup`) and copies of training latents in the"),
    ],
)
def test_the_model_card_says_which_outliers_the_losses_looked_at(changes, said):
    card = ModelCard.load(made(**changes) / "0/README.md")
    assert f"The network was trained by latent-outliers, {said}" in card.text
    assert ("outlier-exposure" in card.data.tags) == (MADE in said)


def test_the_model_card_of_a_run_without_ood_images_has_its_caution():
    write_json(METRICS, read_json(METRICS) | {"stand_in": {"caution": "Mind this."}})
    assert "\n\n**Mind this.**\n\n## Limits" in (made() / "0/README.md").read_text()


def test_a_card_without_a_licence_names_none():
    assert "license" not in (made(bundle__licence=None) / "0/README.md").read_text()


@pytest.mark.parametrize("title", ["", "  ", "two\nlines"])
def test_a_title_is_a_line(title):
    with pytest.raises(ParamsError, match="bundle.title"):
        made(bundle__title=title)


def test_a_seed_without_a_decision_is_named():
    Path("models/decision/1.json").unlink()
    with pytest.raises(MissingInputError, match="models/decision/1.json: not found. Run `dvc repro`"):
        made()
    assert not OUT.exists()


def test_a_damaged_decision_is_named():
    Path("models/decision/1.json").write_text("{}")
    with pytest.raises(
        PipelineError, match="models/decision/1.json: found no decision .* run `dvc repro --force score`"
    ):
        made()
