"""Run the stage: from the detector of each seed, its threshold and the autoencoder to `models/bundle/`."""

from dataclasses import dataclass
from pathlib import Path

import torch

from pipeline.bundle.params import Params
from pipeline.config import load_params
from pipeline.detector.bundle import Ingredients, write_bundle
from pipeline.detector.model_card import model_card
from pipeline.device import STAGE_THREADS, chosen_device, prepare_torch
from pipeline.infer.fitted import fit_scores, outputs
from pipeline.infer.params import InferParams
from pipeline.latents import Latents, load_id_train
from pipeline.networks.folder import WEIGHTS, load_network
from pipeline.progress import progress
from pipeline.reports import read_report
from pipeline.score.decision import read_decision
from pipeline.score.params import METRICS_FORMAT
from pipeline.workspace import unfinished


@dataclass(frozen=True)
class Inputs:
    """The files and folders the stage reads."""

    id_train: Path
    models: Path
    """Of its folders `autoencoder`, `detector` and `decision`."""
    metrics: Path


def bundle(params_file: Path, inputs: Inputs, output: Path) -> None:
    """Write a bundle per seed: all that is needed to judge images as the pipeline did, and no more."""
    params = load_params(params_file, Params)
    prepare_torch(STAGE_THREADS)
    id_train = load_id_train(inputs.id_train)
    metrics = read_report(inputs.metrics, METRICS_FORMAT, "score")
    read = [inputs.models / name for name in ("autoencoder", "detector", "decision")]
    facts = {"params": params.model_dump(mode="json")}
    with (
        unfinished(output, facts, [inputs.id_train, inputs.metrics, *read]) as work,
        progress("bundling detectors", len(params.seeds)) as advance,
    ):
        for seed in params.seeds:
            parts = ingredients(inputs.models, seed, id_train, params.infer)
            write_bundle(work / str(seed), parts, model_card(params, parts, metrics))
            advance(1)


def ingredients(models: Path, seed: int, id_train: Latents, params: InferParams) -> Ingredients:
    """Return what the bundle of a seed is made of; its score learns from the ID training latents again, as in `infer`.

    Raises ModelError, IncompatibleStoreError or MissingInputError when a part is missing or made for something else.
    """
    folder = models / "detector" / str(seed)
    network, card = load_network(folder, id_train.header.space, id_train.class_names)
    decision = read_decision(models / "decision" / f"{seed}.json")
    network.to(chosen_device())
    labels = torch.from_numpy(id_train.labels).long()
    known = outputs(network, id_train.values).to(torch.device("cpu"))
    scorer = fit_scores(network, known, labels, params, (decision.score,))
    weights = (folder / WEIGHTS).read_bytes()
    return Ingredients(models / "autoencoder", weights, card, decision, scorer, id_train.digest)
