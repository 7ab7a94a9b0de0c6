"""Run the stage: from both networks of each seed and all latents to `data/scores/`."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.config import load_params
from pipeline.device import STAGE_THREADS, chosen_device, prepare_torch
from pipeline.errors import IncompatibleStoreError, ParamsError, ScoreError
from pipeline.files import file_digest
from pipeline.guard.report import read_guard
from pipeline.infer.fitted import Outputs, fit_scores, outputs
from pipeline.infer.params import InferParams, Params, ScoreName
from pipeline.infer.table import SIDES, TABLE, ScoreTable, write_table
from pipeline.latents import Latents, load_id_train, load_latents
from pipeline.networks.folder import WEIGHTS, load_network
from pipeline.networks.resnet import LatentResNet
from pipeline.probe.names import PROBES
from pipeline.progress import progress
from pipeline.workspace import unfinished

Floats = NDArray[np.float64]
ID_SETS = {"id_train", "id_validation", "id_test"}


@dataclass(frozen=True)
class Inputs:
    """The files and folders the stage reads."""

    latents: Path
    probes: Path
    teachers: Path
    detectors: Path
    guard: Path

    def networks(self) -> dict[str, Path]:
        """Return the folder of each side's networks."""
        return dict(zip(SIDES, (self.teachers, self.detectors), strict=True))


def infer(params_file: Path, inputs: Inputs, output: Path) -> None:
    """Score every image set that passed the guard, and the probes, with both networks of every seed.

    Where no OOD set is among them, synthetic outliers are made and scored in their place.
    """
    params = load_params(params_file, Params)
    prepare_torch(STAGE_THREADS)
    id_train = load_id_train(inputs.latents / "id_train")
    if params.infer.knn_neighbours > len(id_train.values):
        asked, most = params.infer.knn_neighbours, len(id_train.values)
        raise ParamsError(params_file, [f"infer.knn_neighbours is {asked}, but there are {most} ID training latents"])
    guarded = read_guard(inputs.guard)["sets"]
    folders = {name: inputs.latents / name for name in guarded if name != "id_train"}
    folders |= {f"probe/{name}": inputs.probes / name for name in PROBES}
    facts = {"params": params.model_dump(mode="json")}
    with unfinished(output, facts, [inputs.guard, inputs.probes, *inputs.networks().values()]) as work:
        sets = {name: load_latents(folder, id_train.header) for name, folder in folders.items()}
        if not guarded.keys() - ID_SETS:
            from pipeline.infer.stand_in import make_stand_ins

            sets |= make_stand_ins(work, id_train.header, sets["id_test"], params.synthesize)
        with progress("scoring networks", len(SIDES) * len(params.seeds)) as advance:
            table = judged(params.seeds, inputs.networks(), id_train, sets, params.infer, advance)
        write_table(work / TABLE, table)


def judged(
    seeds: tuple[int, ...],
    networks: dict[str, Path],
    id_train: Latents,
    sets: dict[str, Latents],
    params: InferParams,
    advance: Callable[[int], None],
) -> ScoreTable:
    """Return what the networks in `networks[side] / seed` say of every set.

    Raises ModelError or IncompatibleStoreError when a network is missing or was trained on other latents, and
    ScoreError when one of its answers is not finite.
    """
    scores: dict[tuple[str, str, ScoreName], list[Floats]] = defaultdict(list)
    predicted: dict[tuple[str, str], list[NDArray[np.int32]]] = defaultdict(list)
    for side in SIDES:
        for seed in seeds:
            folder = networks[side] / str(seed)
            network = _network(folder, id_train)
            known = _finite(outputs(network, id_train.values), folder, "id_train")
            fitted = fit_scores(network, known, torch.from_numpy(id_train.labels).long(), params)
            for name, latents in sets.items():
                of = _finite(outputs(network, latents.values), folder, name)
                predicted[side, name].append(of.logits.argmax(1).cpu().numpy().astype(np.int32))
                for score, values in fitted(of).items():
                    scores[side, name, score].append(values.numpy())
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
        here, wanted = trained.card.standardisation, id_train.header.standardisation
        raise IncompatibleStoreError(folder, "its standardisation", here, wanted)
    return trained.network.to(chosen_device())


def _finite(of: Outputs, folder: Path, image_set: str) -> Outputs:
    whole = torch.cat([of.logits, of.features], dim=1).isfinite().all(1)
    if broken := int((~whole).sum()):
        raise ScoreError(
            f"{folder}: its outputs on {image_set} are not finite for {broken} of {len(whole)} images, wanted all. The "
            f"network diverged: lower train.optimiser.learning_rate or teacher.optimiser.learning_rate."
        )
    return of
