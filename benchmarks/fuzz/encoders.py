"""The smallest encoder of every kind, with random weights."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import torch

from pipeline.networks.encoders.diffusers_autoencoder import DiffusersAutoencoder
from pipeline.networks.encoders.encoder import Encoder
from pipeline.networks.encoders.onnx_network import OnnxNetwork, OnnxSettings
from pipeline.networks.encoders.pixel_classifier import PixelTrunk, SupervisedEncoder, SupervisedSettings
from pipeline.networks.encoders.reduction import fit_reduction
from pipeline.networks.encoders.vision_backbone import BackboneSettings, VisionBackbone

IMAGE_SIZE = 32
HALF = (0.5, 0.5, 0.5)


def _diffusers(_: Path) -> Encoder:
    from diffusers import AutoencoderKL

    module = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8,) * 4, norm_num_groups=4, layers_per_block=1, scaling_factor=0.18,
    )  # fmt: skip
    return Encoder(DiffusersAutoencoder(module))


def _supervised(_: Path) -> Encoder:
    settings = SupervisedSettings(widths=(8, 8, 8))
    return Encoder(SupervisedEncoder(PixelTrunk(settings.widths), settings))


def _onnx(folder: Path) -> Encoder:
    """Return a network of one convolution, with a reduction behind it."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = numpy_helper.from_array(torch.randn(8, 3, 8, 8).numpy(), "w")
    node = helper.make_node("Conv", ["pixels", "w"], ["map"], strides=[8, 8])
    inputs = [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 3, "h", "w"])]
    outputs = [helper.make_tensor_value_info("map", TensorProto.FLOAT, ["n", 8, "a", "b"])]
    graph = helper.make_graph([node], "fuzz", inputs, outputs, [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save_model(model, folder / "model.onnx")
    network = OnnxNetwork.read(folder / "model.onnx", OnnxSettings(output="map", mean=HALF, std=HALF))
    return Encoder(network, fit_reduction([torch.randn(8, 8, 4, 4)], channels=4, side=2))


def _transformers(_: Path) -> Encoder:
    import transformers

    config = transformers.Dinov2Config(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, mlp_ratio=1, image_size=IMAGE_SIZE, patch_size=8
    )
    module = transformers.Dinov2Model(config)
    return Encoder(VisionBackbone(module, BackboneSettings(mean=HALF, std=HALF, layer=None)))


ENCODERS: Mapping[str, Callable[[Path], Encoder]] = MappingProxyType({
    "diffusers": _diffusers, "supervised": _supervised, "onnx": _onnx, "transformers": _transformers,
})  # fmt: skip
"""By kind, a function that makes it; the folder is for files that it is read from."""
