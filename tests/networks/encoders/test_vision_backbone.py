"""A backbone's latent is its last feature map, or its patch tokens in their places."""

import json

import pytest
import torch

from pipeline.networks.encoders.vision_backbone import VisionBackbone
from pipeline.runtime.errors import ModelError
from tests.helpers.models import write_backbone

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
OTHER_TOKENS = {"vit": 1, "dinov2": 1, "registers": 5, "siglip": 0}


def images():
    torch.manual_seed(1)
    return torch.rand(2, 3, 64, 64) * 2 - 1


@torch.no_grad()
@pytest.mark.parametrize("name", OTHER_TOKENS)
@pytest.mark.parametrize("layer", [None, 1])
def test_patch_tokens_lie_where_their_patches_do(tmp_path, name, layer):
    given = write_backbone(tmp_path, name, mean=0.4, std=0.2)
    found = VisionBackbone.read(tmp_path, layer).encode(images())
    vision = given.vision_model if name == "siglip" else given
    outputs = vision(((images() + 1) / 2 - 0.4) / 0.2, output_hidden_states=True)
    tokens = outputs.last_hidden_state if layer is None else outputs.hidden_states[layer]
    wanted = torch.empty(2, tokens.shape[2], 4, 4)
    for row in range(4):
        for column in range(4):
            wanted[:, :, row, column] = tokens[:, OTHER_TOKENS[name] + 4 * row + column]
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize(("layer", "shape"), [(None, (2, 16, 2, 2)), (1, (2, 8, 16, 16))])
def test_a_convolutional_map_stays_as_it_is(tmp_path, layer, shape):
    given = write_backbone(tmp_path, "convnext")
    found = VisionBackbone.read(tmp_path, layer).encode(images())
    outputs = given(images(), output_hidden_states=True)
    wanted = outputs.last_hidden_state if layer is None else outputs.hidden_states[layer]
    assert found.shape == shape
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["convnext", *OTHER_TOKENS])
def test_a_saved_backbone_encodes_alike_and_is_the_same_bytes_each_time(tmp_path, name):
    write_backbone(tmp_path / "given", name)
    contents = []
    for place in ("a", "b"):
        found = VisionBackbone.read(tmp_path / "given", None)
        found.save(tmp_path / place)
        again = VisionBackbone.load(tmp_path / place, found.settings)
        assert torch.equal(again.encode(images()), found.encode(images()))
        contents.append({file.name: file.read_bytes() for file in (tmp_path / place).iterdir()})
    assert contents[0] == contents[1]


def test_a_backbone_that_names_the_classes_of_imagenet_22k_is_read(tmp_path):
    write_backbone(tmp_path / "given", "vit")
    VisionBackbone.read(tmp_path / "given", None).save(tmp_path / "saved")
    file = tmp_path / "saved/config.json"
    labels = {str(number): f"class {number}" for number in range(21_841)}
    file.write_text(json.dumps(json.loads(file.read_text()) | {"id2label": labels}))
    VisionBackbone.require_fitting(tmp_path / "saved")


def test_another_size_of_image_is_encoded_too(tmp_path):
    write_backbone(tmp_path, "vit")
    assert VisionBackbone.read(tmp_path, None).encode(torch.zeros(1, 3, 96, 96)).shape == (1, 32, 6, 6)


def test_a_checkpoint_of_a_classifier_has_a_backbone_and_no_pooler(tmp_path):
    import transformers

    config = transformers.ViTConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, image_size=64
    )
    transformers.ViTForImageClassification(config).save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.5] * 3, "image_std": [0.5] * 3}))
    found = VisionBackbone.read(tmp_path, None)
    assert not [name for name in found.module.state_dict() if "pooler" in name]


def break_config(folder):
    (folder / "config.json").write_text('{"model_type": "none of them"}')


def break_weights(folder):
    (folder / "model.safetensors").write_bytes(b"x")


def leave_out_colours(folder):
    (folder / "preprocessor_config.json").write_text("{}")


def make_a_deviation_zero(folder):
    (folder / "preprocessor_config.json").write_text('{"image_mean": [0, 0, 0], "image_std": [1, 0, 1]}')


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (break_config, "no vision model of transformers could be read"),
        (break_weights, "no vision model of transformers could be read"),
        (leave_out_colours, "preprocessor_config.json: found no image_mean and image_std"),
        (make_a_deviation_zero, "preprocessor_config.json: found no image_mean and image_std"),
    ],
)
def test_damage_is_named(tmp_path, damage, message):
    write_backbone(tmp_path, "vit")
    damage(tmp_path)
    with pytest.raises(ModelError, match=message):
        VisionBackbone.read(tmp_path, None)


def test_code_in_the_folder_is_never_run(tmp_path):
    write_backbone(tmp_path, "vit")
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config", "AutoModel": "mine.Model"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "mine.py").write_text("from pathlib import Path\nPath('ran').touch()\n")
    with pytest.raises(ModelError):
        VisionBackbone.read(tmp_path, None)
    assert not (tmp_path / "ran").exists()
