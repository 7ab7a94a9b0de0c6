"""Stage `infer`: scores of every image and probe by baseline and detector, to `data/scores/`."""

from __future__ import annotations

from pathlib import Path

from pipeline.runtime.command import PARAMS_FILE, ParamsPath, run


def infer(
    latents: Path,
    probes: Path,
    teachers: Path,
    detectors: Path,
    guard: Path,
    output: Path,
    params: ParamsPath = PARAMS_FILE,
) -> None:
    """Score the sets in LATENTS that GUARD passed, and PROBES, with TEACHERS and DETECTORS; write a table to OUTPUT.

    Where no OOD set is among them, synthetic outliers are made and scored in their place.
    """
    from pipeline.latents.guard_report import read_guard
    from pipeline.latents.latents import load_id_train, load_latents
    from pipeline.outliers.stand_ins.synthesis import make_stand_ins
    from pipeline.params.infer import InferParams
    from pipeline.params.methods.stand_ins import StandInMethods
    from pipeline.params.probe import PROBES
    from pipeline.params.sets import ID_SETS
    from pipeline.posthoc.scoring import score_table
    from pipeline.posthoc.table import SIDES
    from pipeline.posthoc.table_file import TABLE, write_table
    from pipeline.runtime.device import STAGE_THREADS, prepare_torch
    from pipeline.runtime.errors import ParamsError
    from pipeline.runtime.progress import progress
    from pipeline.runtime.workspace import publish_when_done
    from pipeline.schema.reader import ParamsFile

    file = ParamsFile(params)
    seeds, settings, methods = (
        file.seeds,
        file.section("infer", InferParams),
        file.section("synthesize", StandInMethods),
    )
    prepare_torch(STAGE_THREADS)
    id_train = load_id_train(latents / "id_train")
    if settings.knn_neighbours > len(id_train.values):
        asked, most = settings.knn_neighbours, len(id_train.values)
        raise ParamsError(params, [f"infer.knn_neighbours is {asked}, but there are {most} ID training latents"])
    guarded = read_guard(guard)["sets"]
    folders = {name: latents / name for name in guarded if name != "id_train"}
    folders |= {f"probe/{name}": probes / name for name in PROBES if (probes / name).is_dir()}
    facts = {"seeds": seeds, "infer": settings.model_dump(mode="json"), "synthesize": methods.model_dump(mode="json")}
    with publish_when_done(output, facts, [guard, probes, teachers, detectors]) as work:
        sets = {name: load_latents(folder, id_train.header) for name, folder in folders.items()}
        if not guarded.keys() - set(ID_SETS):
            sets |= make_stand_ins(work, id_train.header, sets["id_test"], methods)
        with progress("scoring networks", len(SIDES) * len(seeds)) as advance:
            networks = dict(zip(SIDES, (teachers, detectors), strict=True))
            table = score_table(seeds, networks, id_train, sets, settings, advance)
        write_table(work / TABLE, table)


if __name__ == "__main__":
    run(infer)
