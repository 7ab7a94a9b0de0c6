"""The upper half of the `supervised` encoder's classifier on disk: a network over latents that teachers start from."""

from pathlib import Path

import torch
from safetensors import SafetensorError

from pipeline.networks.resnet import LatentResNet
from pipeline.networks.tensor_file import read_tensors, require_finite, require_tensors, write_tensors
from pipeline.runtime.errors import ModelError, reason

FILE = "upper_half.safetensors"


def save_upper_half(folder: Path, network: LatentResNet) -> None:
    """Write the weights into the folder of an encoder."""
    write_tensors(folder / FILE, network.state_dict())


def take_over_upper_half(network: LatentResNet, folder: Path) -> None:
    """Give a network the weights of the upper half in the folder of an encoder.

    Raises ModelError unless the folder has one, of the same architecture and classes, and finite.
    """
    try:
        weights = read_tensors(folder / FILE, inside=folder)
        require_tensors(weights, network.state_dict())
        require_finite(weights)
    except (OSError, ValueError, SafetensorError) as error:
        raise ModelError(
            f"{folder / FILE}: found no upper half of a classifier to start from ({reason(error)}), wanted that of an "
            f"encoder of kind 'supervised' whose maps are not reduced, with the network of the section `teacher`. Run "
            f"`dvc repro encoder`, or set teacher.start to scratch."
        ) from error
    with torch.no_grad():
        network.load_state_dict(weights)
