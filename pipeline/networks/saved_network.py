"""A trained network on disk: its card `network.json`, and its weights in safetensors; nothing is pickled."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from safetensors import SafetensorError
from torch import Tensor

from pipeline.networks.resnet import LatentResNet, MeanScaling
from pipeline.networks.tensor_file import read_tensors, require_finite, require_tensors, write_tensors
from pipeline.params.networks import HeadParams, NetworkParams
from pipeline.runtime.device import full_float32
from pipeline.runtime.errors import IncompatibleStoreError, ModelError, reason
from pipeline.runtime.files import read_description, write_json
from pipeline.store.format import LatentSpace, Standardisation

NETWORK, WEIGHTS, HISTORY = "network.json", "model.safetensors", "history.json"


class NetworkCard(BaseModel):
    """The description of a network: its architecture, the latents that it reads and the classes of its logits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["latent-outliers-network/4"] = "latent-outliers-network/4"
    role: Literal["teacher", "detector"]
    seed: int
    network: NetworkParams
    head: HeadParams
    space: LatentSpace
    standardisation: Standardisation
    class_names: tuple[Annotated[str, Field(max_length=1000)], ...] = Field(min_length=1, max_length=100_000)

    @model_validator(mode="after")
    def _parts_fit_each_other(self) -> Self:
        self.standardisation.require_channels(self.space.shape[0])
        return self

    def build(self) -> LatentResNet:
        """Return the network with fresh weights."""
        channels, classes, standardisation = self.space.shape[0], len(self.class_names), self.standardisation
        scaling = MeanScaling(torch.tensor(standardisation.zero), torch.tensor(standardisation.pareto))
        return LatentResNet(channels, classes, self.network, self.head, scaling)

    def load(self, weights: Mapping[str, Tensor]) -> LatentResNet:
        """Return the network with these weights, for evaluation; raises ValueError unless they fit and are finite.

        They are compared with a network without memory, so a card that lies about its size takes none.
        """
        with torch.device("meta"):
            wanted = self.build().state_dict()
        require_tensors(weights, wanted)
        require_finite(weights)
        network = self.build()
        network.load_state_dict(weights)
        return network.eval().requires_grad_(requires_grad=False)


class TrainedNetwork(NamedTuple):
    """A network in evaluation mode and its card."""

    network: LatentResNet
    card: NetworkCard


def save_network(folder: Path, network: LatentResNet, card: NetworkCard, history: list[dict[str, float]]) -> None:
    """Write weights, training history and, last, the card; raises ModelError when a weight is not finite."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = network.state_dict()
    try:
        require_finite(weights)
    except ValueError as error:
        raise ModelError(f"{folder}: {error}. The training diverged: lower its learning_rate.") from error
    write_tensors(folder / WEIGHTS, weights)
    write_json(folder / HISTORY, history)
    write_json(folder / NETWORK, card.model_dump(mode="json"))


def load_network(folder: Path, space: LatentSpace, class_names: tuple[str, ...]) -> TrainedNetwork:
    """Read a network for latents of `space` and classes `class_names`.

    Raises ModelError when it cannot be read, IncompatibleStoreError when it has another space or other classes.
    """
    try:
        card = NetworkCard.model_validate_json(read_description(folder / NETWORK, inside=folder))
        for title, found, wanted in (("space", card.space, space), ("class list", card.class_names, class_names)):
            if found != wanted:
                raise IncompatibleStoreError(folder, f"its {title}", found, wanted)
        network = card.load(read_tensors(folder / WEIGHTS, inside=folder))
    except (OSError, ValueError, SafetensorError, RuntimeError) as error:
        raise ModelError(f"{folder}: no trained network could be read ({reason(error)}). Run `dvc repro`.") from error
    return TrainedNetwork(network, card)


@torch.no_grad()
def predict(network: LatentResNet, latents: Tensor, batch_size: int = 1024) -> tuple[Tensor, Tensor]:
    """Return logits (n, k) and features (n, d) of standardised latents (n, c, h, w), both on the CPU."""
    device = next(network.parameters()).device
    with full_float32():
        predictions = [network(batch.to(device)) for batch in latents.split(batch_size)]
    logits = torch.cat([prediction.logits for prediction in predictions]).cpu()
    return logits, torch.cat([prediction.features for prediction in predictions]).cpu()
