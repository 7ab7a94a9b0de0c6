"""Collect the parts of a bundle from the outputs of the stages."""

from pathlib import Path

import torch

from pipeline.detector.bundle import BundleParts
from pipeline.detector.bundle_card import LeftOutWeights
from pipeline.latents.latents import Latents
from pipeline.networks.saved_network import WEIGHTS, load_network
from pipeline.params.infer import InferParams
from pipeline.posthoc.decision import read_decision
from pipeline.posthoc.fitted import fit_scores
from pipeline.posthoc.score import network_outputs
from pipeline.runtime.device import chosen_device


def bundle_parts(
    models: Path,
    seed: int,
    id_train: Latents,
    id_validation: Latents,
    params: InferParams,
    left_out: LeftOutWeights | None,
) -> BundleParts:
    """Return the parts of a seed's bundle; its score is fitted to the ID latents again, as in `infer`.

    left_out: the weights of the encoder that the bundle does not hold.

    Raises ModelError, IncompatibleStoreError or MissingInputError when a part is missing or does not fit the others.
    """
    folder = models / "detector" / str(seed)
    network, card = load_network(folder, id_train.header.space, id_train.class_names)
    decision = read_decision(models / "decision" / f"{seed}.json")
    network.to(chosen_device())
    labels = torch.from_numpy(id_train.labels).long()
    outputs, validation = (
        network_outputs(network, latents.values).to(torch.device("cpu")) for latents in (id_train, id_validation)
    )
    scorer = fit_scores(network, outputs, labels, validation, params, (decision.score,))
    (id_scores,) = (scores.numpy() for scores in scorer(validation).values())
    weights = (folder / WEIGHTS).read_bytes()
    return BundleParts(models / "encoder", weights, card, decision, scorer, id_scores, id_train.digest, left_out)
