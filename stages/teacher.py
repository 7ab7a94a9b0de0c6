"""Stage `teacher`: ID latents to one cross-entropy classifier per seed, `models/teacher/<seed>/`."""

from __future__ import annotations

from pathlib import Path

from pipeline.runtime.command import PARAMS_FILE, ParamsPath, Ray, Workers, run


def teacher(
    encoder: Path,
    latents: Path,
    views: Path,
    validation: Path,
    output: Path,
    curves: Path,
    params: ParamsPath = PARAMS_FILE,
    workers: Workers = None,
    ray: Ray = None,
) -> None:
    """Train the teacher of every seed on the ID training store LATENTS and its VIEWS, to OUTPUT; show epochs in CURVES.

    ENCODER has the upper half that teachers may start from. VALIDATION is the store of ID validation: the accuracy on
    it is shown, and decides nothing. Teachers that a killed run finished are kept.
    """
    from pipeline.latents.latents import load_id_train, load_latents
    from pipeline.params.teacher import TeacherParams
    from pipeline.runtime.launch import Launch
    from pipeline.runtime.workspace import publish_when_done
    from pipeline.schema.reader import ParamsFile
    from pipeline.training.seeds import train_seeds
    from pipeline.training.teacher import TeacherUnit, train_teacher

    launch, file = Launch(workers, ray), ParamsFile(params)
    seeds, settings = file.seeds, file.section("teacher", TeacherParams)
    load_latents(validation, load_id_train(latents).header)  # a damaged store is an error of the stage, not of a unit
    facts = {"seeds": seeds, "teacher": settings.model_dump(mode="json")}
    started_from = [encoder] if settings.start == "encoder" else []
    with publish_when_done(output, facts, [*started_from, latents, views, validation]) as work:
        inputs = (settings, encoder, latents, views, validation)
        units = [TeacherUnit(seed, *inputs, work / str(seed), curves / f"{seed}.csv") for seed in seeds]
        epochs = settings.optimiser.epochs
        train_seeds(train_teacher, units, curves=curves, epochs=epochs, launch=launch, title="training teachers")


if __name__ == "__main__":
    run(teacher)
