"""Any transformers image classifier behind one function: images to its logits and to what its head reads."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import torch
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor, nn

from pipeline.errors import ModelError, reason
from pipeline.files import folder_digest
from pipeline.huggingface import import_transformers, quiet

CONFIG = "config.json"


class Identity(NamedTuple):
    """Which model it is, however it was asked for."""

    kind: str  # its class in transformers
    digest: str | None  # of a local folder
    commit: str | None  # of the hub


class Classifier:
    """A transformers image classifier in evaluation mode, its own image processor, and the layer that gives its logits.

    module: an AutoModelForImageClassification whose logits are the output of one linear layer or 1 x 1 convolution.
    processor: takes PIL images of any size to what the module takes.
    """

    def __init__(self, module: nn.Module, processor: Any, source: str, device: torch.device) -> None:
        self.module: Any = module.eval().requires_grad_(requires_grad=False).to(device)
        self.processor, self.source, self.device = processor, source, device
        self._read: Tensor | None = None
        self.head = self._find_head()
        self.head.register_forward_pre_hook(self._keep)

    @classmethod
    def load(cls, source: str, revision: str | None, device: torch.device) -> tuple["Classifier", Identity]:
        """Load from a local folder or the hub; raises ModelError when it is neither.

        Safetensors only, and no code but that of transformers: what a repository brings along is never run.
        """
        transformers = import_transformers("pretrained_teacher.model")
        try:
            with quiet():
                commit = _commit(source, revision)
                pinned = {"revision": commit or revision, "trust_remote_code": False}
                processor = transformers.AutoImageProcessor.from_pretrained(source, backend="pil", **pinned)
                module, loading = transformers.AutoModelForImageClassification.from_pretrained(
                    source, dtype=torch.float32, use_safetensors=True, output_loading_info=True, **pinned
                )
        except (OSError, ValueError, KeyError, AttributeError, RuntimeError, ImportError, SafetensorError) as error:
            raise ModelError(
                f"{source}: no image classifier could be loaded ({reason(error)}). Wanted a folder with config.json, "
                f"preprocessor_config.json and safetensors weights, or an id on the hub (needs a network)."
            ) from error
        if absent := sorted(loading["missing_keys"]):
            raise ModelError(
                f"{source}: its weights lack {len(absent)} tensors, {absent[0]!r} first; wanted all of a "
                f"{type(module).__name__}. Get it again if the download was cut short, or choose a model that was "
                f"trained to classify."
            )
        local = folder_digest(Path(source)) if commit is None else None
        return cls(module, processor, source, device), Identity(type(module).__name__, local, commit)

    @property
    def class_names(self) -> Mapping[int, str]:
        """The model's name of each column of its logits."""
        names: Mapping[int, str] = self.module.config.id2label
        return names

    def __call__(self, images: Sequence[Image.Image]) -> tuple[Tensor, Tensor]:
        """Return logits (n, classes of the model) and features (n, d) of images of any mode and size, on the CPU."""
        logits = self._logits(images)
        assert self._read is not None  # the head ran: its output is the logits
        return logits, self._read.flatten(1).cpu()

    @torch.no_grad()
    def _logits(self, images: Sequence[Image.Image]) -> Tensor:
        try:
            with quiet():
                inputs = self.processor(images=[image.convert("RGB") for image in images], return_tensors="pt")
            logits: Tensor = self.module(**inputs.to(self.device)).logits.cpu()
        except (ValueError, TypeError, KeyError, AttributeError, RuntimeError) as error:
            raise ModelError(
                f"{self.source}: the {type(self.module).__name__} could not classify images ({reason(error)}). Wanted "
                f"an image processor that fits the model, and a pretrained_teacher.batch_size that fits into memory."
            ) from error
        return logits

    def _keep(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._read = inputs[0]

    def _find_head(self) -> nn.Module:
        """Return the layer whose output is the logits; names differ between architectures, this does not."""
        said: list[tuple[nn.Module, Tensor]] = []

        def note(layer: nn.Module, _: object, output: Tensor) -> None:
            if output.numel() == len(self.class_names):
                said.append((layer, output.flatten().cpu()))

        layers = [module for module in self.module.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
        hooks = [layer.register_forward_hook(note) for layer in layers]
        logits = self._logits([Image.linear_gradient("L")])
        for hook in hooks:
            hook.remove()
        heads = [layer for layer, output in said if torch.allclose(output, logits.flatten(), 0.0, 0.0, equal_nan=True)]
        if not heads:
            raise ModelError(
                f"{self.source}: found no layer whose output is the logits of this {type(self.module).__name__}, "
                f"wanted a linear one, whose inputs are the features. Choose a model with one classification head."
            )
        return heads[-1]


def columns_of_classes(model_names: Mapping[int, str], class_names: Sequence[str]) -> list[int] | None:
    """Return the column of each ID class in the model's logits, or None when the model does not name them all.

    Case and space around a name do not count. A name that the model has twice is not one it knows.
    """
    columns: dict[str, list[int]] = {}
    for column, name in model_names.items():
        columns.setdefault(_plain(name), []).append(int(column))
    found = [columns.get(_plain(name), []) for name in class_names]
    distinct = {_plain(name) for name in class_names}
    known = all(len(places) == 1 for places in found) and len(distinct) == len(class_names)
    return [places[0] for places in found] if known else None


def _plain(name: str) -> str:
    return name.strip().casefold()


def _commit(source: str, revision: str | None) -> str | None:
    """Return the commit that a revision on the hub stands for, and None for a local folder.

    Files of the hub lie in its cache under snapshots/<commit>/.
    """
    if Path(source).is_dir():
        return None
    config: str = import_module("transformers.utils.hub").cached_file(source, CONFIG, revision=revision)
    return Path(config).parent.name
