"""Score every image with both networks of every seed, for the table that all metrics are computed from."""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.latents.latents import Latents
from pipeline.networks.resnet import LatentResNet
from pipeline.networks.saved_network import WEIGHTS, load_network
from pipeline.params.infer import InferParams, ScoreName
from pipeline.posthoc.fitted import fit_scores
from pipeline.posthoc.score import NetworkOutputs, network_outputs
from pipeline.posthoc.table import SIDES, ScoreTable
from pipeline.runtime.device import chosen_device
from pipeline.runtime.errors import IncompatibleStoreError, ScoreError
from pipeline.runtime.files import file_digest

Floats = NDArray[np.float64]


def score_table(
    seeds: tuple[int, ...],
    networks: dict[str, Path],
    id_train: Latents,
    sets: dict[str, Latents],
    params: InferParams,
    advance: Callable[[int], None],
) -> ScoreTable:
    """Return predictions and scores of every image set by the networks in `networks[side] / seed`.

    Raises ModelError or IncompatibleStoreError when a network is missing or was trained on other latents. Raises
    ScoreError when an output of a network or a score is not finite.
    """
    scores: dict[tuple[str, str, ScoreName], list[Floats]] = defaultdict(list)
    predicted: dict[tuple[str, str], list[NDArray[np.int32]]] = defaultdict(list)
    for side in SIDES:
        for seed in seeds:
            folder = networks[side] / str(seed)
            network = _network(folder, id_train)
            id_outputs = _finite(network_outputs(network, id_train.values), folder, "id_train")
            validation = _finite(network_outputs(network, sets["id_validation"].values), folder, "id_validation")
            fitted = fit_scores(network, id_outputs, torch.from_numpy(id_train.labels).long(), validation, params)
            for name, latents in sets.items():
                outputs = _finite(network_outputs(network, latents.values), folder, name)
                predicted[side, name].append(outputs.logits.argmax(1).cpu().numpy().astype(np.int32))
                for score, values in fitted(outputs).items():
                    scores[side, name, score].append(_finite_scores(values.numpy(), folder, f"{score} of {name}"))
            advance(1)
    return ScoreTable(
        seeds=seeds,
        class_names=id_train.class_names,
        weights={seed: file_digest(networks["detector"] / str(seed) / WEIGHTS) for seed in seeds},
        labels={name: latents.labels for name, latents in sets.items()},
        contents={name: latents.contents for name, latents in sets.items()},
        scores={key: np.stack(rows) for key, rows in scores.items()},
        predicted={key: np.stack(rows) for key, rows in predicted.items()},
    )


def _network(folder: Path, id_train: Latents) -> LatentResNet:
    trained = load_network(folder, id_train.header.space, id_train.class_names)
    if trained.card.standardisation != id_train.header.standardisation:
        found, wanted = trained.card.standardisation, id_train.header.standardisation
        raise IncompatibleStoreError(folder, "its standardisation", found, wanted)
    return trained.network.to(chosen_device())


def _finite_scores(scores: Floats, folder: Path, subject: str) -> Floats:
    if broken := int((~np.isfinite(scores)).sum()):
        raise ScoreError(
            f"{folder}: its score {subject} is not finite for {broken} of {len(scores)} images, wanted all. Its "
            f"features are too large or do not vary: lower the learning_rate of train.optimiser or teacher.optimiser."
        )
    return scores


def _finite(outputs: NetworkOutputs, folder: Path, image_set: str) -> NetworkOutputs:
    finite_rows = torch.cat([outputs.logits, outputs.features], dim=1).isfinite().all(1)
    if broken := int((~finite_rows).sum()):
        raise ScoreError(
            f"{folder}: its outputs on {image_set} are not finite for {broken} of {len(finite_rows)} images, wanted "
            f"all. The network diverged: lower train.optimiser.learning_rate or teacher.optimiser.learning_rate."
        )
    return outputs
