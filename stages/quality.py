"""Stage `quality`: what the outliers of each method are like, to `reports/quality.json` and `reports/quality/`."""

from __future__ import annotations

from pathlib import Path

from pipeline.runtime.command import PARAMS_FILE, ParamsPath, run


def quality(
    latents: Path, outliers: Path, teachers: Path, report: Path, figures: Path, params: ParamsPath = PARAMS_FILE
) -> None:
    """Measure the stores in OUTLIERS against the ID LATENTS and TEACHERS; write REPORT (JSON) and FIGURES."""
    from pipeline.latents.latents import load_id_train, load_latents, require_outliers
    from pipeline.networks.saved_network import load_network
    from pipeline.outliers.quality import Reference, measure, rows_of_latents, rows_of_store
    from pipeline.outliers.quality_figures import draw_methods, draw_posteriors
    from pipeline.params.methods.enabled import OutlierStores
    from pipeline.params.quality import QUALITY_FORMAT, QualityParams
    from pipeline.runtime.device import STAGE_THREADS, chosen_device, prepare_torch
    from pipeline.runtime.files import write_json
    from pipeline.runtime.progress import progress
    from pipeline.runtime.workspace import publish_when_done
    from pipeline.schema.reader import ParamsFile
    from pipeline.store.reader import Store

    file = ParamsFile(params)
    seeds, settings = file.seeds, file.section("quality", QualityParams)
    prepare_torch(STAGE_THREADS)
    id_train = load_id_train(latents / "id_train")
    stores = {name: Store(outliers / name) for name in file.section("synthesize", OutlierStores).names}
    for store in stores.values():
        require_outliers(store, id_train.header)
    facts = {"seeds": seeds, "quality": settings.model_dump(mode="json"), "stores": list(stores)}
    inputs = [latents / "id_train", latents / "id_validation", outliers, teachers]
    with publish_when_done(figures, facts, inputs) as work:
        space, names, device = id_train.header.space, id_train.class_names, chosen_device()
        networks = [load_network(teachers / str(seed), space, names).network.to(device) for seed in seeds]
        reference = Reference(id_train, settings, device)
        validation = rows_of_latents(load_latents(latents / "id_validation", id_train.header), settings.rows, networks)
        methods = {}
        with progress("looking at outliers, stores", len(stores)) as advance:
            for name, store in stores.items():
                methods[name] = rows_of_store(store, settings.rows, networks)
                advance(1)
        content = {
            "format": QUALITY_FORMAT,
            "seeds": list(seeds),
            "id_validation": measure(validation, reference),
            "methods": {name: measure(rows, reference) for name, rows in methods.items()},
        }
        draw_methods(work / "methods.png", methods, validation, reference)
        draw_posteriors(work / "posteriors.png", methods)
    write_json(report, content)


if __name__ == "__main__":
    run(quality)
