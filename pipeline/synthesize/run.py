"""Run the stage: from the ID training latents to `data/outliers/<method>/`, at any batch size and worker count."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from pipeline.config import load_params
from pipeline.device import UNIT_THREADS, chosen_device, default_workers, repeatable
from pipeline.errors import ParamsError
from pipeline.latents import load_id_train
from pipeline.progress import progress
from pipeline.store.format import BLOCK_ROWS
from pipeline.store.writer import StoreWriter
from pipeline.synthesize.method import ANCESTRY, Columns, Method, Parents
from pipeline.synthesize.needed import needed_models
from pipeline.synthesize.params import Params, SynthesizeParams
from pipeline.synthesize.rows import RowMaker, joined
from pipeline.workspace import unfinished


@dataclass(frozen=True)
class Inputs:
    """The folders the stage reads."""

    latents: Path
    models: Path


def synthesize(
    name: str, params_file: Path, inputs: Inputs, output: Path, workers: int | None, batch_rows: int
) -> None:
    """Make the outliers of the method called `name`, shard by shard.

    workers: threads; by default one per core on a CPU, one on a GPU.
    batch_rows: rows a worker computes at a time, rounded up to whole blocks. Neither changes a byte of the result.
    """
    params = load_params(params_file, Params).synthesize
    if name not in params.methods:
        raise ParamsError(params_file, [f"synthesize.methods has no {name!r}; it has {', '.join(params.methods)}"])
    repeatable(UNIT_THREADS)
    latents, device = load_id_train(inputs.latents), chosen_device()
    models = needed_models(inputs.models, name)
    method = load_method(name, params, Parents(latents, device), inputs.models)
    own = getattr(params, name)
    facts = {"method": name, "seed": params.seed, "params": own.model_dump(mode="json"), **method.inputs}
    with unfinished(output, facts | {"models": models}, [inputs.latents]) as work:
        writer = StoreWriter(work, own.rows, latents.header.space.shape, {**ANCESTRY, **method.extra_columns})
        _write_missing(writer, RowMaker(name, method, params.seed), workers or default_workers(device), batch_rows)
        derived = method.facts(_read_columns(writer))
        writer.finish(
            kind="outliers",
            space=latents.header.space,
            standardisation=latents.header.standardisation,
            class_names=latents.class_names,
            provenance={
                **facts,
                "method_names": list(method.method_names),
                "latents": latents.digest,
                "models": models,
                **derived,
            },
        )


def _read_columns(writer: StoreWriter) -> Columns:
    """Return the columns of all rows, those of an earlier run that was resumed included."""
    shards = range(len(writer.shards))
    return joined([{name: writer.read_back(name, shard) for name in writer.columns} for shard in shards])


def load_method(name: str, params: SynthesizeParams, parents: Parents, models: Path) -> Method:
    """Return a method, importing its own module and not those of the others."""
    method: Method
    match name:
        case "perturb":
            from pipeline.synthesize.perturb import Perturb

            method = Perturb(parents, params.perturb)
        case "mixup":
            from pipeline.synthesize.mixup import Mixup

            method = Mixup(parents, params.mixup)
        case "shuffle":
            from pipeline.synthesize.shuffle import Shuffle

            method = Shuffle(parents, params.shuffle)
        case "label_mixup":
            from pipeline.synthesize.label_mixup import LabelMixup

            method = LabelMixup(parents, params.label_mixup, models / "denoiser")
        case "dream":
            from pipeline.synthesize.dream import Dream

            method = Dream(parents, params.dream)
        case "gaussian":
            from pipeline.synthesize.gaussian import Gaussian

            method = Gaussian(parents, params.gaussian)
        case "copies":
            from pipeline.synthesize.copies import Copies

            method = Copies(parents, params.copies)
        case _:
            raise ValueError(f"no synthesis method {name!r}")
    return method


def _write_missing(writer: StoreWriter, maker: RowMaker, workers: int, batch_rows: int) -> None:
    missing = writer.missing_shards()
    already = writer.rows - sum(len(writer.shards[shard]) for shard in missing)
    step = -(-batch_rows // BLOCK_ROWS) * BLOCK_ROWS
    with (
        progress(f"synthesizing {maker.name}, rows", writer.rows, already) as advance,
        ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(UNIT_THREADS,)) as pool,
    ):
        for shard in missing:
            rows = writer.shards[shard]
            batches = [rows[start : start + step] for start in range(0, len(rows), step)]
            latents, columns = [], []
            for latent, column in pool.map(maker, batches):
                latents.append(latent)
                columns.append(column)
                advance(len(latent))
            writer.write_shard(shard, np.concatenate(latents), joined(columns))
