"""Run the stage: from the ID training latents to `data/outliers/<method>/`, at any batch size and worker count."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch

from pipeline.config import load_params
from pipeline.device import UNIT_THREADS, chosen_device, default_workers, prepare_torch
from pipeline.errors import ParamsError
from pipeline.latents import Latents, load_id_train
from pipeline.launch import Launch
from pipeline.store.fill import Rows, Tasks, fill
from pipeline.store.writer import StoreWriter
from pipeline.synthesize.method import ANCESTRY, Columns, Method, Parents
from pipeline.synthesize.needed import needed_models
from pipeline.synthesize.params import Params, SynthesizeParams
from pipeline.synthesize.rows import RowMaker, in_batches, joined
from pipeline.workspace import unfinished


@dataclass(frozen=True)
class Inputs:
    """The folders the stage reads."""

    latents: Path
    models: Path


@dataclass(frozen=True)
class Recipe:
    """The rows of one store, as any process can make them."""

    work: Path
    """Where they are put: it names the fingerprint of all that follows, so recipes are compared by it alone."""
    name: str
    params: SynthesizeParams = field(compare=False)
    inputs: Inputs
    batch_rows: int

    def load(self) -> Rows:
        """Load the latents and whatever the method derives from them."""
        method, _, _ = _load_method(self.name, self.params, self.inputs)
        return partial(in_batches, RowMaker(self.name, method, self.params.seed), self.batch_rows, map)


def synthesize(name: str, params_file: Path, inputs: Inputs, output: Path, launch: Launch, batch_rows: int) -> None:
    """Make the outliers of the method called `name`, shard by shard.

    launch: threads of this process, by default one per core on a CPU, one on a GPU; or a cluster, a task per shard.
    batch_rows: rows a worker computes at a time, rounded up to whole blocks. Neither changes a byte of the result.
    """
    params = load_params(params_file, Params).synthesize
    if name not in params.methods:
        raise ParamsError(params_file, [f"synthesize.methods has no {name!r}; it has {', '.join(params.methods)}"])
    method, latents, models = _load_method(name, params, inputs)
    maker, own = RowMaker(name, method, params.seed), getattr(params, name)
    facts = {"method": name, "seed": params.seed, "params": own.model_dump(mode="json"), **method.inputs}
    with unfinished(output, facts | {"models": models}, [inputs.latents]) as work:
        writer = StoreWriter(work, own.rows, latents.header.space.shape, {**ANCESTRY, **method.extra_columns})
        _write_missing(writer, maker, launch, Recipe(work, name, params, inputs, batch_rows))
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


def _load_method(name: str, params: SynthesizeParams, inputs: Inputs) -> tuple[Method, Latents, dict[str, str]]:
    """Return a method, the latents it starts from and the digests of models that it needs.

    The process computes with as many threads as any other that does.
    """
    prepare_torch(UNIT_THREADS)
    latents = load_id_train(inputs.latents)
    models = needed_models(inputs.models, name)
    return load_method(name, params, Parents(latents, chosen_device()), inputs.models), latents, models


def _write_missing(writer: StoreWriter, maker: RowMaker, launch: Launch, recipe: Recipe) -> None:
    workers = launch.workers or default_workers(chosen_device())
    tasks = Tasks(launch.ray, recipe, UNIT_THREADS) if launch.ray is not None else None
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(UNIT_THREADS,)) as pool:
        make = partial(in_batches, maker, recipe.batch_rows, pool.map)
        fill(writer, make, f"synthesizing {maker.name}, rows", tasks)
