"""Tiny real classifiers, and the stage run with one of them."""

import json
from pathlib import Path

import numpy as np
import torch

from pipeline.networks.outputs import load_outputs
from pipeline.params.data import DataParams
from pipeline.runtime.huggingface import quiet
from pipeline.store.reader import Store
from stages.pretrained_teacher import pretrained_teacher
from tests.helpers.make import SPACE, changed, section, tiny_params, write_params, write_store

CLASSES = tuple("01234567")
PERMUTED = ("9", "7", "5", "3", "1", "8", "6", " 4 ", "2", "0")
GIVEN, OUT = Path("given"), Path("out")


def tiny_model(kind, names=PERMUTED):
    """A randomly initialised classifier of 32-pixel images whose head is wide enough for its logits to differ."""
    import transformers

    transformer = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    patches = {"image_size": 32, "patch_size": 8}
    sizes = {
        "ViT": transformer | patches,
        "DeiT": transformer | patches,
        "Beit": transformer | patches,
        "Swin": patches | {"patch_size": 4, "embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2], "window_size": 4},
        "ConvNext": {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2},
        "ResNet": {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"},
        "MobileNetV2": {"image_size": 32, "depth_multiplier": 0.25, "min_depth": 8},
    }[kind]
    config = getattr(transformers, f"{kind}Config")(**sizes, id2label=dict(enumerate(names)))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = getattr(transformers, f"{kind}ForImageClassification")(config).eval()
        torch.nn.init.normal_(list(model.parameters())[-2])
    return model


def save_model(kind="ViT", folder=GIVEN, **changes):
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    with quiet():
        tiny_model(kind, **changes).save_pretrained(folder)
        ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def params(**changes):
    model = {"source": str(GIVEN), "revision": None}
    return changed(tiny_params(), pretrained_teacher__model=model, **changes)


def make(output=OUT, **changes):
    pretrained_teacher(output, write_params(Path(), params(**changes)))
    return json.loads((output / "card.json").read_text())["model"]


def id_train():
    data = section(DataParams, params()["data"])
    return data.open("id_train"), data


def outputs(output=OUT):
    return load_outputs(output, len(id_train()[0]), len(CLASSES))


def header(names=CLASSES, **changes):
    """The header of a store of latents of the same images."""
    images, data = id_train()
    folder = write_store(
        Path("latents"), np.zeros((len(images), *SPACE.shape), np.float16), {"label": images.labels}, "latents", names
    )

    return Store(folder).header.model_copy(update={"provenance": data.provenance("id_train")} | changes)


def processor():
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    return ViTImageProcessorPil(size={"height": 32, "width": 32})
