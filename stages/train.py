"""Stage `train`: ID latents, outlier stores and teachers to one detector per seed, `models/detector/<seed>/`."""

from __future__ import annotations

from pathlib import Path

from pipeline.runtime.command import PARAMS_FILE, ParamsPath, Ranks, Ray, Workers, run


def train(
    latents: Path,
    views: Path,
    validation: Path,
    outliers: Path,
    teachers: Path,
    pretrained_teacher: Path,
    output: Path,
    curves: Path,
    params: ParamsPath = PARAMS_FILE,
    workers: Workers = None,
    ray: Ray = None,
    ranks: Ranks = 1,
) -> None:
    """Train a detector per seed on LATENTS with their VIEWS, OUTLIERS and the outputs of teachers, to OUTPUT.

    CURVES shows epochs, with the accuracy on the store VALIDATION, which decides nothing. Detectors that a killed run
    finished are kept.
    """
    from pipeline.latents.latents import load_id_train, load_latents
    from pipeline.latents.view_rows import load_views
    from pipeline.params.methods.enabled import OutlierStores
    from pipeline.params.train import TrainParams
    from pipeline.runtime.launch import Launch
    from pipeline.runtime.workspace import publish_when_done, warn_of_orphaned_outputs
    from pipeline.schema.reader import ParamsFile
    from pipeline.training.detector import DetectorUnit, train_detector
    from pipeline.training.draws import check_outliers, check_parents
    from pipeline.training.seeds import train_seeds

    launch, file = Launch(workers, ray, ranks), ParamsFile(params)
    settings, names = file.section("train", TrainParams), file.section("synthesize", OutlierStores).names
    stores = tuple(outliers / name for name in names)
    warn_of_orphaned_outputs(outliers, names)
    id_train = load_id_train(latents)
    load_latents(validation, id_train.header)  # a damaged store is an error of the stage, not of its first unit
    check_outliers(stores, id_train.header)
    if settings.micl.club.weight:
        check_parents(stores, id_train, load_views(views, id_train))
    facts: dict[str, object] = {"seeds": file.seeds, "outliers": names, "train": settings.model_dump(mode="json")}
    facts |= {"ranks": ranks} if ranks > 1 else {}
    inputs = [latents, views, validation, *stores, teachers, pretrained_teacher]
    with publish_when_done(output, facts, inputs, ranks=ranks) as work:
        units = [
            DetectorUnit(
                seed=seed,
                params=settings,
                latents=latents,
                views=views,
                validation=validation,
                outliers=stores,
                teacher=teachers / str(seed),
                pretrained_teacher=pretrained_teacher,
                output=work / str(seed),
                curve=curves / f"{seed}.csv",
            )
            for seed in file.seeds
        ]
        epochs = settings.optimiser.epochs
        train_seeds(train_detector, units, curves=curves, epochs=epochs, launch=launch, title="training detectors")


if __name__ == "__main__":
    run(train)
