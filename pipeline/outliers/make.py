"""Load a synthesis method by its name, and make the rows of its store in any process."""

from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from pipeline.latents.latents import Latents, load_id_train
from pipeline.outliers.method import Columns, Method, Parents
from pipeline.outliers.rows import RowMaker, in_batches, joined
from pipeline.params.methods.base import MethodParams
from pipeline.runtime.device import UNIT_THREADS, chosen_device, prepare_torch
from pipeline.store.fill import MakeRows
from pipeline.store.writer import StoreWriter


@dataclass(frozen=True)
class SynthesizedRows:
    """The source of the rows of one outlier store; it can be sent to any process."""

    work: Path
    """The work folder of the store. Its name has the fingerprint of all inputs, so `params` is not compared."""
    name: str
    params: MethodParams = field(compare=False)
    seed: int
    latents: Path
    denoiser: Path
    batch_rows: int

    def load(self) -> MakeRows:
        """Load the latents and what the method derives from them, and return the function that makes rows."""
        method, _ = load_with_latents(self.name, self.params, self.latents, self.denoiser)
        return partial(in_batches, RowMaker(self.name, method, self.seed), self.batch_rows, map)


def load_method(name: str, params: MethodParams, parents: Parents, denoiser: Path) -> Method:
    """Return the method that the module of this name defines. Modules of other methods are not imported.

    denoiser: folder of the diffusion model that was trained for the method; unused if the method needs none.
    """
    module = import_module(f"pipeline.outliers.methods.{name}")
    method_class: Any
    (method_class,) = (
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Method) and value.__module__ == module.__name__
    )
    method: Method = method_class(parents, params, denoiser) if params.needs_denoiser else method_class(parents, params)
    return method


def load_with_latents(name: str, params: MethodParams, latents: Path, denoiser: Path) -> tuple[Method, Latents]:
    """Return a method and the ID training latents that it starts from.

    PyTorch is set to UNIT_THREADS threads, as in every process that computes units.
    """
    prepare_torch(UNIT_THREADS)
    id_train = load_id_train(latents)
    return load_method(name, params, Parents(id_train, chosen_device()), denoiser), id_train


def read_columns(writer: StoreWriter) -> Columns:
    """Return the columns of all rows, including those of an earlier run that was resumed."""
    shards = range(len(writer.shards))
    return joined([{name: writer.read_back(name, shard) for name in writer.columns} for shard in shards])
