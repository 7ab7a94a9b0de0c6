"""What is no whole Stable Diffusion model, or not the ID latents' own, is refused in one line."""

import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline.outliers.text_to_image import load_text_to_image
from pipeline.runtime.errors import MissingExtraError, ModelError
from tests.helpers.make import SPACE
from tests.outliers.tiny_stable_diffusion import edit

CPU = torch.device("cpu")
UNET, ENCODER = "unet/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors"


def refusal(source="given"):
    with pytest.raises(ModelError) as error:
        load_text_to_image(str(source), None, CPU)
    assert "\n" not in str(error.value)
    return str(error.value)


def load_for(given, **changes):
    load_text_to_image("given", None, CPU).require(SPACE.model_copy(update=changes))


@pytest.mark.parametrize("source", ["nowhere", "no/where", "not an id"])
def test_what_is_neither_a_folder_nor_on_the_hub_is_refused(source):
    assert refusal(source).startswith(f"{source}: no text-to-image model could be loaded (")


def test_a_model_of_the_hub_is_named_by_its_commit_and_only_what_is_read_is_asked_for(given, monkeypatch):
    asked, snapshot = {}, given.rename(Path("c0ffee"))

    def download(source, **options):
        asked.update(options, source=source)
        return str(snapshot.absolute())

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert load_text_to_image("some/model", "main", CPU).identity == {"digest": None, "commit": "c0ffee"}
    patterns = asked.pop("allow_patterns")
    assert asked == {"source": "some/model", "revision": "main"}
    weights = (
        "unet/diffusion_pytorch_model",
        "text_encoder/model",
        "vae/diffusion_pytorch_model",
        "safety_checker/model",
    )
    offered = [f"{part}{ending}" for part in weights for ending in (".safetensors", ".fp16.safetensors", ".bin")]
    assert [name for name in offered if any(fnmatch(name, one) for one in patterns)] == [UNET, ENCODER]


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("model_index.json", "it has no model_index.json"),
        ("vae/config.json", "it has no vae/config.json"),
        ("unet/config.json", "it has no unet/config.json"),
        ("text_encoder/config.json", "it has no text_encoder/config.json"),
        ("scheduler/scheduler_config.json", "it has no scheduler/scheduler_config.json"),
        (
            "tokenizer/merges.txt",
            "it has neither tokenizer/vocab.json with tokenizer/merges.txt nor tokenizer/tokenizer.json",
        ),
        ("tokenizer/vocab.json", "it has neither tokenizer/vocab.json with"),
        (UNET, "no file named diffusion_pytorch_model.safetensors"),
        (ENCODER, "no file named model.safetensors"),
    ],
)
def test_a_missing_file_is_named(given, file, message):
    (given / file).unlink()
    assert message in refusal()


@pytest.mark.parametrize("file", ["model_index.json", "vae/config.json", "tokenizer/vocab.json", UNET, ENCODER])
def test_a_truncated_file_is_refused(given, file):
    (given / file).write_bytes((given / file).read_bytes()[:-20])
    assert "no text-to-image model could be loaded (" in refusal()


@pytest.mark.parametrize(("file", "kind"), [(UNET, "UNet2DConditionModel"), (ENCODER, "CLIPTextModel")])
def test_incomplete_weights_are_refused(given, file, kind):
    tensors = load_file(given / file)
    first = min(tensors)
    del tensors[first]
    save_file(tensors, given / file, {"format": "pt"})
    assert "given: its weights lack 1 tensors" in (found := refusal())
    assert f"wanted all of a {kind}" in found


def test_pickled_weights_are_refused(given):
    torch.save(load_file(given / UNET), given / "unet" / "diffusion_pytorch_model.bin")
    (given / UNET).unlink()
    assert "no text-to-image model could be loaded" in refusal()


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("model_index.json", {"_class_name": "StableDiffusionXLPipeline"}, "it is a StableDiffusionXLPipeline"),
        ("model_index.json", {"_class_name": None}, "'_class_name'"),
        ("scheduler/scheduler_config.json", {"_class_name": "NoScheduler"}, "NoScheduler"),
        ("unet/config.json", {"time_cond_proj_dim": 4}, "distilled to take the guidance as an input"),
        ("unet/config.json", {"layers_per_block": 10**9}, "'layers_per_block' is 1000000000, which no model has"),
        ("text_encoder/config.json", {"vocab_size": 2**62}, "which no model has"),
        ("text_encoder/config.json", {"num_hidden_layers": 1_000}, "which no model has"),
        ("scheduler/scheduler_config.json", {"num_train_timesteps": 10**12}, "which no model has"),
        ("vae/config.json", {"scaling_factor": float("nan")}, "which no model has"),
    ],
)
def test_another_kind_of_model_is_refused(given, file, change, message):
    edit(given / file, **change)
    assert message in refusal()


def test_parts_of_different_models_are_refused(given):
    edit(given / "tokenizer" / "tokenizer_config.json", unk_token="<|unknown|>")
    assert "wanted at most 76 tokens and 8 values, as its text encoder has" in refusal()


def test_another_number_of_channels_is_refused(given):
    with pytest.raises(ModelError, match="its UNet takes latents with channels 4, but the ID latents have 8, so they"):
        load_for(given, shape=(8, 4, 4))


def test_another_scaling_factor_is_refused(given):
    with pytest.raises(ModelError, match=r"VAE has the scaling factor 0.5, .* 0.25, .* Set encoder.diffusers to"):
        load_for(given, scaling_factor=0.25)


def test_an_old_vae_has_the_scaling_factor_of_its_class(given):
    edit(given / "vae" / "config.json", scaling_factor=None)
    load_for(given, scaling_factor=0.18215)


def test_sides_that_the_unet_cannot_halve_are_refused(given):
    with pytest.raises(ModelError, match="halves latents 1 times, but found latents of 3 x 3. .* multiple of 16"):
        load_for(given, image_size=24, shape=(4, 3, 3))


def test_a_prompt_of_too_many_tokens_is_refused(given):
    model = load_text_to_image("given", None, CPU)
    with pytest.raises(ModelError, match="found 52 tokens in the prompt 'x{50}', wanted at most 40. Shorten"):
        model.embed(["x", "x" * 50])


def test_a_missing_package_names_the_extra(given, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"synthesize.dream.model needs .* -e '\.\[pretrained\]'"):
        load_for(given)
