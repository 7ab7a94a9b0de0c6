"""Stage `synthesize@<method>`: ID latents to `data/outliers/<method>/`, at any batch size and worker count."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.runtime.command import PARAMS_FILE, ParamsPath, Ray, Workers, run

if TYPE_CHECKING:
    from pipeline.outliers.make import SynthesizedRows
    from pipeline.outliers.method import Method
    from pipeline.runtime.launch import Launch
    from pipeline.store.writer import StoreWriter

ViewsPath = Annotated[Path | None, typer.Option(help="Output of stage `views`, for synthesize.parents: views.")]
BatchRows = Annotated[int, typer.Option(min=1, help="Rows a worker computes at a time; no byte depends on it.")]


def synthesize(
    method: str,
    latents: Path,
    denoiser: Path,
    output: Path,
    params: ParamsPath = PARAMS_FILE,
    workers: Workers = None,
    ray: Ray = None,
    batch_rows: BatchRows = 1024,
    views: ViewsPath = None,
) -> None:
    """Make the outliers of METHOD from the ID training store LATENTS, and its DENOISER, into the store OUTPUT."""
    from pipeline.outliers.make import SynthesizedRows, load_with_latents, read_columns
    from pipeline.outliers.method import ANCESTRY
    from pipeline.params.methods.section import load_method_section
    from pipeline.runtime.errors import ParamsError
    from pipeline.runtime.files import folder_digest
    from pipeline.runtime.launch import Launch
    from pipeline.runtime.workspace import publish_when_done
    from pipeline.store.writer import StoreWriter

    launch, section = Launch(workers, ray), load_method_section(params, method)
    seed, settings = section.seed, section.params
    if section.takes_views and views is None:
        raise ParamsError(params, ["synthesize.parents is 'views', but no folder of views was given; pass --views"])
    used_views = views if section.takes_views else None
    synthesis, id_train, found_views = load_with_latents(method, settings, latents, denoiser, used_views)
    models = {"denoiser": folder_digest(denoiser)} if settings.needs_denoiser else {}
    facts = {"method": method, "seed": seed, "params": settings.model_dump(mode="json"), **synthesis.inputs}
    facts |= {} if found_views is None else {"views": found_views.identity}
    inputs = [latents, *([denoiser] if models else []), *([] if used_views is None else [used_views])]
    with publish_when_done(output, facts | {"models": models}, inputs) as work:
        columns = {**ANCESTRY, **synthesis.extra_columns}
        writer = StoreWriter(work, settings.rows, id_train.header.space.shape, columns)
        rows = SynthesizedRows(work, method, settings, seed, latents, denoiser, used_views, batch_rows)
        _write_missing(writer, synthesis, launch, rows)
        writer.finish(
            kind="outliers",
            space=id_train.header.space,
            standardisation=id_train.header.standardisation,
            class_names=id_train.class_names,
            provenance={
                **facts,
                "method_names": list(synthesis.method_names),
                "latents": id_train.digest,
                "models": models,
                **synthesis.facts(read_columns(writer)),
            },
        )


def _write_missing(writer: StoreWriter, synthesis: Method, launch: Launch, rows: SynthesizedRows) -> None:
    """Write the shards that are not there yet: in threads of this process, or as tasks of a cluster."""
    from concurrent.futures import ThreadPoolExecutor
    from functools import partial

    import torch

    from pipeline.outliers.rows import RowMaker, in_batches
    from pipeline.runtime.device import UNIT_THREADS, chosen_device, default_workers
    from pipeline.store.fill import Tasks, fill

    workers = launch.workers or default_workers(chosen_device())
    tasks = None if launch.ray is None else Tasks(launch.ray, rows, UNIT_THREADS)
    maker = RowMaker(rows.name, synthesis, rows.seed)
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(UNIT_THREADS,)) as pool:
        make = partial(in_batches, maker, rows.batch_rows, pool.map)
        fill(writer, make, f"synthesizing {rows.name}, rows", tasks)


if __name__ == "__main__":
    run(synthesize)
