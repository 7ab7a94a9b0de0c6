"""A pretrained classifier's outputs are those of its head or of a logistic regression on its features, row by row."""

import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline.networks.pretrained_teacher import load_pretrained_teacher
from pipeline.runtime.errors import ModelError, ParamsError
from pipeline.runtime.files import folder_digest
from pipeline.runtime.huggingface import quiet
from stages.pretrained_teacher import pretrained_teacher
from tests.helpers.make import tiny_params, write_params
from tests.networks.tiny import CLASSES, GIVEN, OUT, PERMUTED, header, id_train, make, outputs, save_model


def test_without_a_model_there_is_a_card_and_nothing_else():
    pretrained_teacher(OUT, write_params(Path(), tiny_params()))
    assert {path.name for path in OUT.iterdir()} == {"card.json", "manifest.json"}
    assert json.loads((OUT / "card.json").read_text()) == {
        "format": "latent-outliers-pretrained-teacher/2",
        "model": None,
    }
    assert load_pretrained_teacher(OUT, header()) is None


def test_without_a_model_transformers_is_not_imported(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    pretrained_teacher(OUT, write_params(Path(), tiny_params()))


def test_rows_and_columns_are_those_of_the_images_and_the_id_classes():
    save_model("ConvNext")
    card = make()
    images, _ = id_train()
    assert (card["classes"], card["logistic"], card["rows"]) == ("own head", None, len(images))
    assert tuple(card["class_names"]) == CLASSES
    found, (model, processor) = outputs(), as_transformers_would()
    for row in (0, 1, 17, len(images) - 1):
        pixels = processor(images=[images.read(row).convert("RGB")], return_tensors="pt")
        with torch.no_grad():
            wanted = model(**pixels).logits[0]
        by_name = {name.strip(): wanted[index] for index, name in enumerate(PERMUTED)}
        torch.testing.assert_close(found.logits[row], torch.stack([by_name[name] for name in CLASSES]))


def as_transformers_would():
    """The model and the processor, loaded without the code under test."""
    from transformers import ConvNextForImageClassification
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    with quiet():
        return ConvNextForImageClassification.from_pretrained(GIVEN).eval(), ViTImageProcessorPil.from_pretrained(GIVEN)


def test_a_head_of_other_classes_gives_way_to_a_logistic_regression():
    save_model(names=("cat", "dog", "0", "1"))
    card = make()
    images, _ = id_train()
    assert card["classes"] == "logistic regression"
    assert (card["logistic"]["c"], card["logistic"]["folds"]) == (1.0, 5)
    found = outputs()
    accuracy = float((found.logits.argmax(1).numpy() == images.labels).mean())
    assert card["accuracy"] == pytest.approx(accuracy)
    assert 0.5 < card["logistic"]["cross_validated_accuracy"] < accuracy


def test_the_second_run_gives_the_same_bytes():
    save_model(names=("cat", "dog"))
    make()
    make(Path("again"))
    assert folder_digest(Path("again")) == folder_digest(OUT)


def test_another_batch_size_changes_no_more_than_rounding():
    save_model()
    make()
    make(Path("other"), pretrained_teacher__batch_size=7)
    for one, other in zip(outputs(), outputs(Path("other")), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_the_digest_names_the_model_and_not_its_place():
    save_model()
    card = make()
    assert (card["digest"], card["commit"], card["source"]) == (folder_digest(GIVEN), None, "given")


def test_a_model_of_the_hub_is_named_by_its_commit(monkeypatch):
    commit = "0123456789abcdef0123456789abcdef01234567"
    cache = Path("hub/models--some--classifier")
    save_model(folder=cache / "snapshots" / commit)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(Path("hub").absolute()))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    card = make(pretrained_teacher__model__source="some/classifier")
    assert (card["digest"], card["commit"], card["revision"]) == (None, commit, None)


def test_answers_that_are_not_finite_are_refused():
    weights = save_model() / "model.safetensors"
    tensors = load_file(weights)
    save_file(tensors | {"classifier.bias": tensors["classifier.bias"] * torch.nan}, weights, {"format": "pt"})
    with pytest.raises(ModelError, match="^given: found logits or features that are not finite, .*weights are damaged"):
        make()


def test_parameters_of_a_model_are_closed():
    with pytest.raises(ParamsError, match="pretrained_teacher.model.revison is not a .* did you mean 'revision'"):
        make(pretrained_teacher__model__revison=None)


def test_the_terminal_is_left_to_the_stage(capfd):
    save_model()
    make()
    assert [line.split(",")[0] for line in capfd.readouterr().err.splitlines()] == ["classifying id_train"]
