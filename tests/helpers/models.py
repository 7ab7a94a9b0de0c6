"""Small random models of other people's classes, and encoders as stage `encoder` leaves them."""

import json

import torch

from pipeline.networks.encoders.diffusers_autoencoder import DiffusersAutoencoder
from pipeline.networks.encoders.encoder import Encoder, load_encoder
from pipeline.networks.encoders.pixel_classifier import PixelTrunk, SupervisedEncoder, SupervisedSettings

LEVELS = 2
KL = {
    "down_block_types": ["DownEncoderBlock2D"] * LEVELS,
    "up_block_types": ["UpDecoderBlock2D"] * LEVELS,
    "block_out_channels": [8] * LEVELS,
    "norm_num_groups": 4,
    "layers_per_block": 1,
}
VIT = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32, "image_size": 64}


def random_kl(scaling_factor=0.18, **config):
    """An AutoencoderKL that divides the side by 8, as Stable Diffusion's."""
    from diffusers import AutoencoderKL

    four = {name: [kinds[0]] * 4 for name, kinds in KL.items() if isinstance(kinds, list)}
    return AutoencoderKL(**(KL | four), scaling_factor=scaling_factor, **config).eval()


def random_tiny():
    """An AutoencoderTiny of TAESD's design."""
    from diffusers import AutoencoderTiny

    return AutoencoderTiny(
        encoder_block_out_channels=(8,) * 4, decoder_block_out_channels=(8,) * 4,
        num_encoder_blocks=(1,) * 4, num_decoder_blocks=(1,) * 4,
    ).eval()  # fmt: skip


def random_supervised():
    """The lower half of a classifier of pixels, tiny."""
    settings = SupervisedSettings(widths=(8, 8, 8))
    return Encoder(SupervisedEncoder(PixelTrunk(settings.widths), settings))


def encoder_of(module):
    return Encoder(DiffusersAutoencoder(module))


def write_encoder(folder, module=None, image_size=32):
    """Write an encoder as stage `encoder` leaves it; return it as it is read again, with its card and digest."""
    encoder_of(module or random_kl()).save(folder, image_size)
    return load_encoder(folder)


def random_backbone(name):
    """A vision model of transformers with random weights, tiny, for images of 64 pixels."""
    import transformers

    torch.manual_seed(0)
    match name:
        case "convnext":
            config = transformers.ConvNextConfig(hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1])
            return transformers.ConvNextModel(config).eval()
        case "siglip":
            tower = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
            vision = tower | {"image_size": 64, "patch_size": 16}
            config = transformers.SiglipConfig(text_config=tower | {"vocab_size": 50}, vision_config=vision)
            return transformers.SiglipModel(config).eval()
        case "dinov2":
            return transformers.Dinov2Model(transformers.Dinov2Config(**VIT, patch_size=16)).eval()
        case "registers":
            config = transformers.Dinov2WithRegistersConfig(**VIT, patch_size=16)
            return transformers.Dinov2WithRegistersModel(config).eval()
        case "vit":
            return transformers.ViTModel(transformers.ViTConfig(**VIT, patch_size=16)).eval()
    raise AssertionError(name)


def write_backbone(folder, name, mean=0.5, std=0.5):
    """Write a backbone with its preprocessor as its authors publish it; return it."""
    model = random_backbone(name)
    model.save_pretrained(folder)
    colours = {"image_mean": [mean] * 3, "image_std": [std] * 3}
    (folder / "preprocessor_config.json").write_text(json.dumps(colours))
    return model


def write_onnx(file, channels=4, side=8, *, domain="", external=False):
    """Write a network of one convolution in ONNX, whose output `map` divides the side by 8; return its weights."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = np.random.default_rng(0).normal(size=(channels, 3, side, side)).astype(np.float32)
    node = helper.make_node("Conv", ["pixels", "w"], ["map"], strides=[side, side], domain=domain)
    inputs = [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 3, "h", "w"])]
    outputs = [helper.make_tensor_value_info("map", TensorProto.FLOAT, ["n", channels, "a", "b"])]
    graph = helper.make_graph([node], "test", inputs, outputs, [numpy_helper.from_array(weights, "w")])
    opsets = [helper.make_opsetid("", 17)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    onnx.save_model(
        model, file, save_as_external_data=external, location="weights.bin" if external else None, size_threshold=0
    )
    return weights
