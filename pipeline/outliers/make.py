"""Load a synthesis method by its name, and make the rows of its store in any process."""

from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.latents.latents import Latents, load_id_train
from pipeline.latents.view_rows import Views, load_views
from pipeline.outliers.method import Columns, Method, Parents
from pipeline.outliers.rows import RowMaker, in_batches, joined
from pipeline.params.methods.base import MethodParams
from pipeline.runtime.device import UNIT_THREADS, chosen_device, prepare_torch
from pipeline.runtime.errors import PipelineError
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
    views: Path | None
    """Output of stage `views`, where parents may be views."""
    batch_rows: int

    def load(self) -> MakeRows:
        """Load the latents and what the method derives from them, and return the function that makes rows."""
        loaded = load_with_latents(self.name, self.params, self.latents, self.denoiser, self.views)
        return partial(in_batches, RowMaker(self.name, loaded.method, self.seed), self.batch_rows, map)


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


class LoadedMethod(NamedTuple):
    """A method, and the ID training latents that it starts from."""

    method: Method
    id_train: Latents
    views: Views | None
    """Of these latents, where parents may be views."""


def load_with_latents(
    name: str, params: MethodParams, latents: Path, denoiser: Path, views: Path | None
) -> LoadedMethod:
    """Return a method and what it starts from.

    PyTorch is set to UNIT_THREADS threads, as in every process that computes units. views: see `SynthesizedRows`.
    Raises PipelineError when there are none in it.
    """
    prepare_torch(UNIT_THREADS)
    id_train = load_id_train(latents)
    found = None if views is None else load_views(views, id_train)
    if views is not None and found is None:
        raise PipelineError(
            f"synthesize.parents is 'views', but {views} has none, wanted some of every ID training image. Set "
            f"views.count to 8 or so, or synthesize.parents to plain."
        )
    method = load_method(name, params, Parents(id_train, chosen_device(), found), denoiser)
    return LoadedMethod(method, id_train, found)


def read_columns(writer: StoreWriter) -> Columns:
    """Return the columns of all rows, including those of an earlier run that was resumed."""
    shards = range(len(writer.shards))
    return joined([{name: writer.read_back(name, shard) for name in writer.columns} for shard in shards])
