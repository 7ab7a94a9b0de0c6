"""Stage `rival`: what one would train instead of the detector, and its scores, to `data/rival/`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.runtime.command import PARAMS_FILE, ParamsPath, run

if TYPE_CHECKING:
    from pipeline.params.rival import RivalParams
    from pipeline.posthoc.table import ScoreTable
    from pipeline.schema.reader import ParamsFile


def rival(latents: Path, guard: Path, output: Path, params: ParamsPath = PARAMS_FILE) -> None:
    """Train the rival of the parameters on the ID training set, and score the sets in LATENTS that GUARD passed.

    A regression reads LATENTS, a CNN the images. OUTPUT has its scores, or says that there is no rival.
    """
    from pipeline.params.data import DataParams
    from pipeline.params.infer import InferParams
    from pipeline.params.rival import RivalParams
    from pipeline.posthoc.rival import write_rival
    from pipeline.runtime.device import STAGE_THREADS, prepare_torch
    from pipeline.runtime.workspace import publish_when_done
    from pipeline.schema.reader import ParamsFile

    file = ParamsFile(params)
    settings = file.section("rival", RivalParams)
    if settings.kind == "none":
        with publish_when_done(output, {"rival": "none"}, inputs=[]) as work:
            write_rival(work, "none", None)
        return
    prepare_torch(STAGE_THREADS)
    facts = {
        "seeds": file.seeds,
        "rival": settings.model_dump(mode="json"),
        "infer": file.section("infer", InferParams).model_dump(mode="json"),
        "image_size": file.section("data", DataParams).image_size,
    }
    with publish_when_done(output, facts, [guard, latents]) as work:
        table = _trained(file, settings, latents, guard)
        write_rival(work, settings.kind, table)


def _trained(file: ParamsFile, settings: RivalParams, folder: Path, guard: Path) -> ScoreTable:
    from pipeline.latents.guard_report import read_guard
    from pipeline.latents.latents import load_id_train, load_latents, store_contents
    from pipeline.params.data import DataParams
    from pipeline.params.infer import InferParams
    from pipeline.store.reader import Store
    from pipeline.training.rival import cnns, latent_regression, rival_table

    stores = {name: Store(folder / name) for name in read_guard(guard)["sets"]}
    if settings.kind == "regression":
        id_train = load_id_train(folder / "id_train")
        others = {name: load_latents(folder / name, id_train.header) for name in stores if name != "id_train"}
        networks = {file.seeds[0]: latent_regression({"id_train": id_train, **others})}
    else:
        data = file.section("data", DataParams)
        networks = cnns({name: data.open(name) for name in stores}, data.image_size, settings.cnn, file.seeds)
    labels = {name: store.column("label") for name, store in stores.items()}
    contents = {name: store_contents(store) for name, store in stores.items()}
    class_names = stores["id_train"].header.class_names
    return rival_table(networks, labels, contents, class_names, file.section("infer", InferParams))


if __name__ == "__main__":
    run(rival)
