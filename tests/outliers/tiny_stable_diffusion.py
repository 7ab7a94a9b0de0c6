"""A tiny Stable Diffusion pipeline with random weights, whole and in diffusers' own layout."""

import json
import string

import torch

from pipeline.runtime.huggingface import quiet
from tests.helpers.make import SPACE

TOKENS = 40
SCHEDULES = ("DDIMScheduler", "PNDMScheduler", "EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler")


def schedule(kind, **changes):
    import diffusers

    betas = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "steps_offset": 1}
    own = {"DDIMScheduler": {"clip_sample": False}, "PNDMScheduler": {"skip_prk_steps": True}}.get(kind, {})
    return getattr(diffusers, kind)(**betas | own | changes)


def stable_diffusion():
    """Return a StableDiffusionPipeline whose latents are those of SPACE; its words are spelled out."""
    import diffusers

    with torch.random.fork_rng(), quiet():
        torch.manual_seed(0)
        text_encoder, tokenizer = text_parts()
        unet = diffusers.UNet2DConditionModel(
            sample_size=4,
            block_out_channels=(8, 16),
            layers_per_block=1,
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            norm_num_groups=4,
            attention_head_dim=4,
            cross_attention_dim=8,
        )
        return diffusers.StableDiffusionPipeline(
            vae=diffusers.AutoencoderKL(
                block_out_channels=(2,) * 4,
                down_block_types=("DownEncoderBlock2D",) * 4,
                up_block_types=("UpDecoderBlock2D",) * 4,
                norm_num_groups=2,
                latent_channels=4,
                scaling_factor=SPACE.scaling_factor,
            ),
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            unet=unet,
            scheduler=schedule("PNDMScheduler"),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )


def text_parts():
    import transformers

    letters = string.ascii_lowercase + string.digits + "-"
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    config = transformers.CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=8,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=TOKENS,
        bos_token_id=len(words) - 2,
        eos_token_id=len(words) - 1,
        pad_token_id=len(words) - 1,
    )
    vocabulary = {word: index for index, word in enumerate(words)}
    tokenizer = transformers.CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=TOKENS)
    return transformers.CLIPTextModel(config), tokenizer


def save_stable_diffusion(folder):
    """Write the pipeline without its VAE's weights, the tokenizer in the files of the models on the hub."""
    pipeline = stable_diffusion()
    with quiet():
        pipeline.save_pretrained(folder, safe_serialization=True)
    for needless in (*folder.glob("vae/*.safetensors"), folder / "tokenizer" / "tokenizer.json"):
        needless.unlink()
    (folder / "tokenizer" / "vocab.json").write_text(json.dumps(pipeline.tokenizer.get_vocab()))
    (folder / "tokenizer" / "merges.txt").write_text("#version: 0.2\n")
    return folder


def edit(file, **changes):
    """Set keys of a JSON file; those set to None are taken out."""
    content = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({name: value for name, value in content.items() if value is not None}))
