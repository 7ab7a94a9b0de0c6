"""A trained network on disk: its card `network.json`, and its weights in safetensors; nothing is pickled."""

from pathlib import Path
from typing import Literal, NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as tensor_bytes
from torch import Tensor

from pipeline.networks.resnet import LatentResNet
from pipeline.params.networks import HeadParams, NetworkParams
from pipeline.runtime.device import full_float32
from pipeline.runtime.errors import IncompatibleStoreError, ModelError, reason
from pipeline.runtime.files import write_bytes, write_json
from pipeline.store.format import LatentSpace, Standardisation

NETWORK, WEIGHTS, HISTORY = "network.json", "model.safetensors", "history.json"


class NetworkCard(BaseModel):
    """The description of a network: its architecture, the latents that it reads and the classes of its logits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["latent-outliers-network/2"] = "latent-outliers-network/2"
    role: Literal["teacher", "detector"]
    seed: int
    network: NetworkParams
    head: HeadParams
    space: LatentSpace
    standardisation: Standardisation
    class_names: tuple[str, ...]

    def build(self) -> LatentResNet:
        """Return the network with fresh weights."""
        return LatentResNet(self.space.shape[0], len(self.class_names), self.network, self.head)


class TrainedNetwork(NamedTuple):
    """A network in evaluation mode and its card."""

    network: LatentResNet
    card: NetworkCard


def save_network(folder: Path, network: LatentResNet, card: NetworkCard, history: list[dict[str, float]]) -> None:
    """Write weights, training history and, last, the card."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    write_bytes(folder / WEIGHTS, tensor_bytes(weights))
    write_json(folder / HISTORY, history)
    write_json(folder / NETWORK, card.model_dump(mode="json"))


def load_network(folder: Path, space: LatentSpace, class_names: tuple[str, ...]) -> TrainedNetwork:
    """Read a network for latents of `space` and classes `class_names`.

    Raises ModelError when it cannot be read, IncompatibleStoreError when it has another space or other classes.
    """
    try:
        card = NetworkCard.model_validate_json((folder / NETWORK).read_bytes())
        for title, found, wanted in (("space", card.space, space), ("class list", card.class_names, class_names)):
            if found != wanted:
                raise IncompatibleStoreError(folder, f"its {title}", found, wanted)
        network = card.build()
        network.load_state_dict(load_file(folder / WEIGHTS))
    except (OSError, ValidationError, SafetensorError, RuntimeError) as error:
        raise ModelError(f"{folder}: no trained network could be read ({reason(error)}). Run `dvc repro`.") from error
    return TrainedNetwork(network.eval().requires_grad_(requires_grad=False), card)


@torch.no_grad()
def predict(network: LatentResNet, latents: Tensor, batch_size: int = 1024) -> tuple[Tensor, Tensor]:
    """Return logits (n, k) and features (n, d) of standardised latents (n, c, h, w), both on the CPU."""
    device = next(network.parameters()).device
    with full_float32():
        predictions = [network(batch.to(device)) for batch in latents.split(batch_size)]
    logits = torch.cat([prediction.logits for prediction in predictions]).cpu()
    return logits, torch.cat([prediction.features for prediction in predictions]).cpu()
