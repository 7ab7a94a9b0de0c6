"""Any transformers image classifier as one function: images to its logits and to the features its head reads."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import torch
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor, nn

from pipeline.networks.fitting import CONFIG, bounded_config
from pipeline.runtime.errors import ModelError, reason
from pipeline.runtime.files import folder_digest
from pipeline.runtime.huggingface import import_transformers, quiet, without_network


class Identity(NamedTuple):
    """Which model was loaded, whatever name the user gave it."""

    kind: str  # its class in transformers
    digest: str | None  # of a local folder
    commit: str | None  # of the hub


class Classifier:
    """A transformers image classifier in evaluation mode, with its image processor and its classification head.

    module: an AutoModelForImageClassification whose logits are the output of one linear layer or 1 x 1 convolution.
    processor: converts PIL images of any size to the module's inputs.
    """

    def __init__(self, module: nn.Module, processor: Any, source: str, device: torch.device) -> None:
        self.module: Any = module.eval().requires_grad_(requires_grad=False).to(device)
        self.processor, self.source, self.device = processor, source, device
        self._head_input: Tensor | None = None
        self.head = self._find_head()
        self.head.register_forward_pre_hook(self._store_head_input)

    @classmethod
    def load(cls, source: str, revision: str | None, device: torch.device) -> tuple["Classifier", Identity]:
        """Load from a local folder or the hub; raises ModelError when neither has an image classifier.

        Only safetensors are read, and only code of transformers runs: code in a model's repository is never run.
        """
        transformers = import_transformers("pretrained_teacher.model")
        try:
            local = Path(source).is_dir()
            with quiet(), without_network(when=local):
                commit = None if local else _commit(source, revision)
                pinned = {"revision": commit or revision, "trust_remote_code": False, "local_files_only": local}
                bounded_config(Path(source) if commit is None else _config(source, commit).parent)
                processor = _load_processor(transformers, source, pinned)
                module, loading_info = transformers.AutoModelForImageClassification.from_pretrained(
                    source, dtype=torch.float32, use_safetensors=True, output_loading_info=True, **pinned
                )
        except (OSError, ValueError, KeyError, AttributeError, RuntimeError, ImportError, SafetensorError) as error:
            raise ModelError(
                f"{source}: no image classifier could be loaded ({reason(error)}). Wanted a folder with config.json, "
                f"preprocessor_config.json and safetensors weights, or an id on the hub (needs a network)."
            ) from error
        if missing := sorted(loading_info["missing_keys"]):
            raise ModelError(
                f"{source}: its weights lack {len(missing)} tensors, {missing[0]!r} first; wanted all of a "
                f"{type(module).__name__}. Fetch the model again if the download was cut short, or choose a model that "
                f"was trained to classify."
            )
        digest = folder_digest(Path(source)) if commit is None else None
        return cls(module, processor, source, device), Identity(type(module).__name__, digest, commit)

    @property
    def class_names(self) -> Mapping[int, str]:
        """The model's class name of each column of its logits."""
        names: Mapping[int, str] = self.module.config.id2label
        return names

    def __call__(self, images: Sequence[Image.Image]) -> tuple[Tensor, Tensor]:
        """Return logits (n, classes of the model) and features (n, d) on the CPU, for images of any mode and size."""
        logits = self._logits(images)
        assert self._head_input is not None  # set by the hook, since the head has run
        return logits, self._head_input.flatten(1).cpu()

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

    def _store_head_input(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._head_input = inputs[0]

    def _find_head(self) -> nn.Module:
        """Return the layer whose output is the logits. Its name differs between architectures, so outputs decide."""
        candidates: list[tuple[nn.Module, Tensor]] = []

        def record_output(layer: nn.Module, _: object, output: Tensor) -> None:
            if output.numel() == len(self.class_names):
                candidates.append((layer, output.flatten().cpu()))

        layers = [module for module in self.module.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
        hooks = [layer.register_forward_hook(record_output) for layer in layers]
        logits = self._logits([Image.linear_gradient("L")]).flatten()
        for hook in hooks:
            hook.remove()
        heads = [layer for layer, output in candidates if torch.allclose(output, logits, 0.0, 0.0, equal_nan=True)]
        if not heads:
            raise ModelError(
                f"{self.source}: found no layer whose output is the logits of this {type(self.module).__name__}, "
                f"wanted a linear layer or a convolution. Choose a model with one classification head."
            )
        return heads[-1]


def _load_processor(transformers: Any, source: str, pinned: dict[str, Any]) -> Any:
    """Return the image processor of a model; raises ValueError when its file names another class of transformers."""
    processor = transformers.AutoImageProcessor.from_pretrained(source, backend="pil", **pinned)
    if not isinstance(processor, transformers.BaseImageProcessor):
        raise ValueError(f"its preprocessor_config.json names a {type(processor).__name__}")  # noqa: TRY004  # of data
    return processor


def columns_of_classes(model_names: Mapping[int, str], class_names: Sequence[str]) -> list[int] | None:
    """Return the column of each ID class in the model's logits, or None unless the model names them all.

    Case and surrounding space are ignored. A name that the model has twice counts as missing.
    """
    columns: dict[str, list[int]] = {}
    for column, name in model_names.items():
        columns.setdefault(_normalised(name), []).append(int(column))
    class_columns = [columns.get(_normalised(name), []) for name in class_names]
    distinct_names = {_normalised(name) for name in class_names}
    if len(distinct_names) != len(class_names) or any(len(matches) != 1 for matches in class_columns):
        return None
    return [matches[0] for matches in class_columns]


def _normalised(name: str) -> str:
    return name.strip().casefold()


def _commit(source: str, revision: str | None) -> str:
    """Return the commit that a revision on the hub stands for.

    The cache of the hub has the files under snapshots/<commit>/.
    """
    return _config(source, revision).parent.name


def _config(source: str, revision: str | None) -> Path:
    """Return the path of config.json in the cache of the hub, and fetch it where it is not there."""
    return Path(import_module("transformers.utils.hub").cached_file(source, CONFIG, revision=revision))
