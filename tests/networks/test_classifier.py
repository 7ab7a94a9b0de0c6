"""Any transformers image classifier is read through its own head, and what is none is refused."""

import json
import sys

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from pipeline.networks.classifier import Classifier, columns_of_classes
from pipeline.runtime.errors import MissingExtraError, ModelError
from tests.networks.tiny import GIVEN, OUT, PERMUTED, make, processor, save_model, tiny_model

CPU = torch.device("cpu")
ARCHITECTURES = ("ViT", "DeiT", "Beit", "Swin", "ConvNext", "ResNet", "MobileNetV2")


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_features_are_what_the_head_reads(kind):
    classifier, identity = Classifier.load(str(save_model(kind)), None, CPU)
    assert identity.kind == f"{kind}ForImageClassification"
    logits, features = classifier([Image.radial_gradient("L"), Image.linear_gradient("L")])
    assert logits.shape == (2, len(PERMUTED))
    assert features.ndim == 2
    torch.testing.assert_close(classifier.head(features), logits)
    assert not torch.equal(logits[0], logits[1])


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (("b", "a", "c"), [1, 0]),
        ((" B\n", "A"), [1, 0]),
        (("a", "c"), None),
        (("a", "A ", "b"), None),
    ],
)
def test_classes_are_found_by_name_or_not_at_all(names, wanted):
    assert columns_of_classes(dict(enumerate(names)), ("a", "b")) == wanted


def test_two_classes_of_one_name_are_not_found():
    assert columns_of_classes({0: "a"}, ("a", "A")) is None


def break_folder(fault):
    weights = GIVEN / "model.safetensors"
    if fault == "nowhere":
        return
    save_model()
    if fault in ("config.json", "preprocessor_config.json", "model.safetensors"):
        (GIVEN / fault).unlink()
    elif fault == "pickled weights":
        torch.save(load_file(weights), GIVEN / "pytorch_model.bin")
        weights.unlink()
    elif fault == "truncated":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif fault == "shape":
        tensors = load_file(weights)
        save_file(tensors | {"classifier.bias": tensors["classifier.bias"][:2]}, weights, {"format": "pt"})
    elif fault == "text model":
        (GIVEN / "config.json").write_text('{"model_type": "bert"}')
    elif fault == "garbage":
        (GIVEN / "config.json").write_text("{")


FAULTS = ("nowhere", "config.json", "preprocessor_config.json", "model.safetensors", "pickled weights", "truncated",
          "shape", "text model", "garbage")  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_no_image_classifier_is_refused_in_one_line(fault):
    break_folder(fault)
    with pytest.raises(
        ModelError, match=r"^given: no image classifier could be loaded \([\w\[].*Wanted a folder"
    ) as error:
        make()
    assert "\n" not in str(error.value)
    assert not OUT.exists()


@pytest.mark.parametrize(
    "changes",
    [{"hidden_size": 2**62}, {"num_hidden_layers": 10**6}, {"image_size": 10**9}, {"patch_size": float("inf")}],
)
def test_a_classifier_whose_numbers_cannot_be_is_refused_before_anything_is_allocated(changes):
    file = save_model() / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    with pytest.raises(ModelError, match="no image classifier could be loaded .*which no model has"):
        make()


def test_incomplete_weights_are_refused():
    weights = save_model() / "model.safetensors"
    tensors = load_file(weights)
    del tensors["classifier.weight"], tensors["classifier.bias"]
    save_file(tensors, weights, {"format": "pt"})
    with pytest.raises(ModelError, match=r"^given: its weights lack 2 tensors, 'classifier.bias' first"):
        make()


def test_a_processor_of_another_size_is_refused():
    file = save_model() / "preprocessor_config.json"
    file.write_text(file.read_text().replace("32", "48"))
    with pytest.raises(ModelError, match="the ViTForImageClassification could not classify images .Input image"):
        make()


def test_a_model_without_one_head_is_refused():
    model = tiny_model("ViT")
    model.classifier = torch.nn.Sequential(model.classifier, torch.nn.Softmax(-1))
    with pytest.raises(ModelError, match="found no layer whose output is the logits of this ViTForImageClassification"):
        Classifier(model, processor(), "given", CPU)


def test_a_missing_package_names_the_extra(monkeypatch):
    save_model()
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"pretrained_teacher.model needs .* -e '\.\[pretrained\]'"):
        make()
