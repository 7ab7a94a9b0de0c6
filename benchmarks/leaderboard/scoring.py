"""Score every set with every network of a method: fifteen post-hoc scores, kept in one file per task and method."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.leaderboard.keys import key
from benchmarks.leaderboard.project import Project
from benchmarks.leaderboard.tasks import WORK
from pipeline.latents.latents import load_id_train, load_latents
from pipeline.networks.saved_network import load_network
from pipeline.params.infer import SCORES, InferParams, ScoreName
from pipeline.posthoc.fitted import fit_scores
from pipeline.posthoc.score import NetworkOutputs, network_outputs
from pipeline.runtime.device import UNIT_THREADS, chosen_device, prepare_torch
from pipeline.runtime.errors import ScoreError
from pipeline.runtime.units import finished_folder

SCORED, FILE = WORK / "scored", "scores.npz"
HITS = "hits"
Array = NDArray[np.float64]


class Scores(NamedTuple):
    """What the networks of a method say, one per seed."""

    of: Mapping[str, Mapping[ScoreName, Array]]  # by image set: (seeds, n), larger = more outlier
    hits: NDArray[np.bool_]  # (seeds, n) whether an ID test image's class is predicted


@dataclass(frozen=True)
class ScoringUnit:
    """The scoring of one method's networks."""

    networks: tuple[Path, ...]
    id_train: Path
    id_validation: Path
    sets: tuple[tuple[str, Path], ...]
    params: InferParams
    output: Path


def scoring(project: Project, name: str, networks: tuple[Path, ...]) -> ScoringUnit:
    """Return the unit that scores the networks of the method called `name`."""
    id_train, id_validation, sets = project.latents("id_train"), project.latents("id_validation"), project.sets
    facts = {"params": project.params.infer.model_dump(mode="json"), "sets": [*sets]}
    inputs = {"id_train": id_train, "id_validation": id_validation, **sets}
    inputs |= {f"seed {place}": folder for place, folder in enumerate(networks)}
    output = SCORED / project.task.name / f"{name}-{key('infer', facts, inputs)}"
    return ScoringUnit(networks, id_train, id_validation, tuple(sets.items()), project.params.infer, output)


def score_networks(unit: ScoringUnit) -> None:
    """Write the scores of every set by every network."""
    prepare_torch(UNIT_THREADS)
    id_train = load_id_train(unit.id_train)
    sets = {name: load_latents(folder, id_train.header).values for name, folder in unit.sets}
    held_back = load_latents(unit.id_validation, id_train.header).values
    truth = load_latents(dict(unit.sets)["id_test"], id_train.header).labels
    found: dict[str, list[Array]] = {}
    for folder in unit.networks:
        network = load_network(folder, id_train.header.space, id_train.class_names).network.to(chosen_device())
        known = _finite(network_outputs(network, id_train.values), folder)
        validation = _finite(network_outputs(network, held_back), folder)
        fitted = fit_scores(network, known, torch.from_numpy(id_train.labels).long(), validation, unit.params)
        for name, values in sets.items():
            of = _finite(network_outputs(network, values), folder)
            for score, scored in fitted(of).items():
                found.setdefault(f"{name}:{score}", []).append(scored.numpy())
            if name == "id_test":
                found.setdefault(HITS, []).append(of.logits.argmax(1).cpu().numpy() == truth)
    with finished_folder(unit.output) as folder:
        arrays: dict[str, Any] = {name: np.stack(rows) for name, rows in found.items()}
        np.savez(folder / FILE, **arrays)


def load_scores(unit: ScoringUnit) -> Scores:
    """Read what `score_networks` has written."""
    with np.load(unit.output / FILE) as file:
        of = {name: {score: file[f"{name}:{score}"] for score in SCORES} for name, _ in unit.sets}
        return Scores(of, file[HITS])


def _finite(of: NetworkOutputs, folder: Path) -> NetworkOutputs:
    if not all(values.isfinite().all() for values in of):
        raise ScoreError(f"{folder}: its outputs are not finite, wanted all; its training diverged.")
    return of
