"""Synthesize outliers to be scored where there are no OOD images: anew, from ID test images, of every cheap kind."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.device import chosen_device
from pipeline.errors import PipelineError
from pipeline.files import digest, write_json
from pipeline.latents import Latents
from pipeline.progress import progress
from pipeline.stand_in import REPORT, STAND_IN_FORMAT, set_name
from pipeline.store.format import LATENT_DTYPE, Header
from pipeline.store.reader import Store
from pipeline.store.writer import StoreWriter
from pipeline.synthesize.gaussian import Gaussian
from pipeline.synthesize.method import ANCESTRY, Columns, Method, Parents
from pipeline.synthesize.mixup import Mixup
from pipeline.synthesize.params import (
    NOBODY,
    GaussianParams,
    MixupKind,
    MixupParams,
    PerturbParams,
    ShuffleParams,
    SynthesizeParams,
)
from pipeline.synthesize.perturb import Perturb
from pipeline.synthesize.rows import RowMaker
from pipeline.synthesize.shuffle import Shuffle


class Kind(NamedTuple):
    """One way to make stand-ins."""

    method: str
    params: PerturbParams | MixupParams | ShuffleParams | GaussianParams
    build: Callable[[Parents], Method]


class Made(NamedTuple):
    """Rows of one kind."""

    latents: NDArray[np.float16]  # (n, c, h, w), standardised
    columns: Columns
    types: Mapping[str, np.dtype[Any]]  # of the columns
    provenance: dict[str, Any]


def kinds(params: SynthesizeParams) -> dict[str, Kind]:
    """Return every kind of outliers that needs no model, whether the run trains on it or not, by its name.

    Each has the parameters of its method; a kind of mixup that is not among `synthesize.mixup.kinds` is one of its own.
    Copies are ID latents, and no outliers.
    """
    found = {
        "perturb": Kind("perturb", params.perturb, partial(Perturb, params=params.perturb)),
        "mixup": Kind("mixup", params.mixup, partial(Mixup, params=params.mixup)),
        "shuffle": Kind("shuffle", params.shuffle, partial(Shuffle, params=params.shuffle)),
        "gaussian": Kind("gaussian", params.gaussian, partial(Gaussian, params=params.gaussian)),
    }
    for kind in get_args(MixupKind):
        if kind not in params.mixup.kinds:
            own = params.mixup.model_copy(update={"kinds": (kind,)})
            found[f"mixup_{kind}"] = Kind("mixup", own, partial(Mixup, params=own))
    return found


def make_stand_ins(work: Path, id_train: Header, id_test: Latents, params: SynthesizeParams) -> dict[str, Latents]:
    """Write a store of each kind, as many rows as there are ID test images, and what was left out; return the sets.

    A row's parents are rows of the ID test set, which no network has seen, and its random numbers are those of no row
    that a network was trained on. A kind whose method is not possible with so few latents is left out.
    """
    found, left_out, ways = {}, {}, kinds(params)
    with progress("synthesizing stand-ins, kinds", len(ways)) as advance:
        for kind, way in ways.items():
            name = set_name(kind)
            try:
                made = _made(name, way, id_test, params.seed)
            except PipelineError as error:
                left_out[name] = str(error)
            else:
                found[name] = _written(work / name, made, id_train)
            advance(1)
    write_json(work / REPORT, {"format": STAND_IN_FORMAT, "left_out": left_out})
    return found


def _made(name: str, way: Kind, id_test: Latents, seed: int) -> Made:
    """Make the rows of one kind; raises PipelineError when these latents do not allow it."""
    if absent := [known for label, known in enumerate(id_test.class_names) if label not in id_test.labels]:
        raise PipelineError(f"class {absent[0]!r} has no ID test images, and some of each class are wanted.")
    method, rows = way.build(Parents(id_test, chosen_device())), len(id_test.values)
    latents = np.empty(id_test.values.shape, LATENT_DTYPE)
    columns = RowMaker(way.method, method, seed, name)(range(rows), latents)
    provenance = {
        "method": way.method,
        "method_names": list(method.method_names),
        "params": way.params.model_copy(update={"rows": rows}).model_dump(mode="json"),
        "seed": seed,
        "stream": name,
        "parents": "id_test",
        "latents": id_test.digest,
    }
    return Made(latents, columns, {**ANCESTRY, **method.extra_columns}, provenance)


def _written(folder: Path, made: Made, id_train: Header) -> Latents:
    """Write a store, and return its rows as an image set."""
    folder.mkdir(parents=True, exist_ok=True)
    latents, rows = made.latents, len(made.latents)
    writer = StoreWriter(folder, rows, id_train.space.shape, made.types)
    for shard, span in enumerate(writer.shards):
        here = slice(span.start, span.stop)
        writer.write_shard(shard, latents[here], {column: values[here] for column, values in made.columns.items()})
    writer.finish(
        kind="outliers",
        space=id_train.space,
        standardisation=id_train.standardisation,
        class_names=id_train.class_names,
        provenance=made.provenance,
    )
    values = torch.from_numpy(latents.astype(np.float32))
    store = Store(folder)
    return Latents(values, np.full(rows, NOBODY, np.int32), _contents(latents), store.header, store.digest)


def _contents(latents: NDArray[np.float16]) -> NDArray[np.int64]:
    """Return a hash of each row, (n,), which stands for that of an image."""
    return np.array([int(digest(row.tobytes())[:16], 16) for row in latents], np.uint64).view(np.int64)
