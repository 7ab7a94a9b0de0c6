"""Synthesize stand-ins: fresh outliers from ID test images, scored if there are no OOD images."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.latents.latents import Latents
from pipeline.outliers.method import ANCESTRY, Columns, Method, Parents
from pipeline.outliers.methods.gaussian import GaussianControl
from pipeline.outliers.methods.mixup import Mixup
from pipeline.outliers.methods.perturb import Perturb
from pipeline.outliers.methods.shuffle import Shuffle
from pipeline.outliers.rows import RowMaker
from pipeline.outliers.stand_ins.names import REPORT, STAND_IN_FORMAT, set_name
from pipeline.params.methods.base import NOBODY
from pipeline.params.methods.gaussian import GaussianParams
from pipeline.params.methods.mixup import MixupKind, MixupParams
from pipeline.params.methods.perturb import PerturbParams
from pipeline.params.methods.shuffle import ShuffleParams
from pipeline.params.methods.stand_ins import StandInMethods
from pipeline.runtime.device import chosen_device
from pipeline.runtime.errors import PipelineError
from pipeline.runtime.files import digest, write_json
from pipeline.runtime.progress import progress
from pipeline.store.format import LATENT_DTYPE, Header
from pipeline.store.reader import Store
from pipeline.store.writer import StoreWriter


class StandInKind(NamedTuple):
    """A kind of stand-ins: a synthesis method with its parameters."""

    method: str
    params: PerturbParams | MixupParams | ShuffleParams | GaussianParams
    build: Callable[[Parents], Method]


class StandInRows(NamedTuple):
    """The stand-ins of one kind."""

    latents: NDArray[np.float16]  # (n, c, h, w), standardised
    columns: Columns
    types: Mapping[str, np.dtype[Any]]  # of the columns
    provenance: dict[str, Any]


def kinds(params: StandInMethods) -> dict[str, StandInKind]:
    """Return every kind of outliers that needs no model, by name, whether or not the run trains on it.

    Each kind has the parameters of its method. A kind of mixup that is not in `synthesize.mixup.kinds` becomes a
    separate kind. Copies are left out, since they are ID latents.
    """
    named_kinds = {
        "perturb": StandInKind("perturb", params.perturb, partial(Perturb, params=params.perturb)),
        "mixup": StandInKind("mixup", params.mixup, partial(Mixup, params=params.mixup)),
        "shuffle": StandInKind("shuffle", params.shuffle, partial(Shuffle, params=params.shuffle)),
        "gaussian": StandInKind("gaussian", params.gaussian, partial(GaussianControl, params=params.gaussian)),
    }
    for kind in get_args(MixupKind):
        if kind not in params.mixup.kinds:
            mixup = params.mixup.model_copy(update={"kinds": (kind,)})
            named_kinds[f"mixup_{kind}"] = StandInKind("mixup", mixup, partial(Mixup, params=mixup))
    return named_kinds


def make_stand_ins(work: Path, id_train: Header, id_test: Latents, params: StandInMethods) -> dict[str, Latents]:
    """Write a store per kind and a report of the kinds that were left out; return the image sets by name.

    A set has as many rows as there are ID test images. The parents of a row are ID test images, which no network was
    trained on. Its random numbers differ from those of all rows that networks are trained on. A kind is left out if
    its method needs more latents than there are.
    """
    sets, left_out, all_kinds = {}, {}, kinds(params)
    with progress("synthesizing stand-ins, kinds", len(all_kinds)) as advance:
        for kind_name, kind in all_kinds.items():
            name = set_name(kind_name)
            try:
                rows = _make_rows(name, kind, id_test, params.seed)
            except PipelineError as error:
                left_out[name] = str(error)  # built in the code of the method, which stage `infer` depends on
            else:
                sets[name] = _write_store(work / name, rows, id_train)
            advance(1)
    write_json(work / REPORT, {"format": STAND_IN_FORMAT, "left_out": left_out})
    return sets


def _make_rows(name: str, kind: StandInKind, id_test: Latents, seed: int) -> StandInRows:
    """Make the rows of one kind; raises PipelineError when there are too few latents for its method."""
    if missing := [class_name for label, class_name in enumerate(id_test.class_names) if label not in id_test.labels]:
        raise PipelineError(f"class {missing[0]!r} has no ID test images, wanted some of each class. Add images of it.")
    method, rows = kind.build(Parents(id_test, chosen_device())), len(id_test.values)
    latents = np.empty(id_test.values.shape, LATENT_DTYPE)
    columns = RowMaker(kind.method, method, seed, name)(range(rows), latents)
    provenance = {
        "method": kind.method,
        "method_names": list(method.method_names),
        "params": kind.params.model_copy(update={"rows": rows}).model_dump(mode="json"),
        "seed": seed,
        "stream": name,
        "parents": "id_test",
        "latents": id_test.digest,
    }
    return StandInRows(latents, columns, {**ANCESTRY, **method.extra_columns}, provenance)


def _write_store(folder: Path, rows: StandInRows, id_train: Header) -> Latents:
    """Write a store, and return its rows as an image set."""
    folder.mkdir(parents=True, exist_ok=True)
    latents, row_count = rows.latents, len(rows.latents)
    writer = StoreWriter(folder, row_count, id_train.space.shape, rows.types)
    for shard, span in enumerate(writer.shards):
        part = slice(span.start, span.stop)
        writer.write_shard(shard, latents[part], {column: values[part] for column, values in rows.columns.items()})
    writer.finish(
        kind="outliers",
        space=id_train.space,
        standardisation=id_train.standardisation,
        class_names=id_train.class_names,
        provenance=rows.provenance,
    )
    values = torch.from_numpy(latents.astype(np.float32))
    store = Store(folder)
    return Latents(values, np.full(row_count, NOBODY, np.int32), _content_hashes(latents), store.header, store.digest)


def _content_hashes(latents: NDArray[np.float16]) -> NDArray[np.int64]:
    """Return a hash of each row, (n,), in place of the hash of an image."""
    return np.array([int(digest(row.tobytes())[:16], 16) for row in latents], np.uint64).view(np.int64)
