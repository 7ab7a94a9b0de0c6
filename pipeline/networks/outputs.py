"""A teacher's logits and features of the ID training rows, computed once and stored in the order of the rows."""

from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import save as tensor_bytes
from torch import Tensor

from pipeline.networks.tensor_file import read_tensors, require_finite
from pipeline.runtime.errors import ModelError, reason
from pipeline.runtime.files import write_bytes

OUTPUTS = "outputs.safetensors"


class TeacherOutputs(NamedTuple):
    """A teacher's logits and features; row i of both belongs to ID training row i."""

    logits: Tensor  # (n, k) float32, columns in the order of the ID classes
    features: Tensor  # (n, d) float32, what its classification head reads


def save_outputs(folder: Path, logits: Tensor, features: Tensor) -> None:
    """Write a teacher's logits (n, k) and features (n, d) of the ID training rows, in their order."""
    outputs = {"logits": logits.cpu().contiguous(), "features": features.cpu().contiguous()}
    write_bytes(folder / OUTPUTS, tensor_bytes(outputs))


def load_outputs(folder: Path, rows: int, classes: int) -> TeacherOutputs:
    """Return a teacher's outputs; raises ModelError unless they have `rows` rows and `classes` classes."""
    path = folder / OUTPUTS
    try:
        tensors = read_tensors(path, inside=folder)
        require_finite(tensors)
        outputs = TeacherOutputs(tensors["logits"], tensors["features"])
    except (OSError, ValueError, RuntimeError, SafetensorError, KeyError) as error:
        raise ModelError(f"{path}: no teacher outputs could be read ({reason(error)}). Run `dvc repro`.") from error
    wanted = {"logits": f"({rows}, {classes})", "features": f"({rows}, any)"}
    for name, tensor in outputs._asdict().items():
        shape = tuple(tensor.shape)
        if len(shape) != 2 or shape[0] != rows or (name == "logits" and shape[1] != classes):
            raise ModelError(f"{path}: found {name} of shape {shape}, wanted {wanted[name]}. Run `dvc repro`.")
        if tensor.dtype != torch.float32:
            raise ModelError(f"{path}: found {name} of {tensor.dtype}, wanted torch.float32. Run `dvc repro`.")
    return outputs
