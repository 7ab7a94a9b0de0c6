"""Stage `bundle`: the detector of each seed with all it needs, in one folder, `models/bundle/<seed>/`."""

from __future__ import annotations

from pathlib import Path

from pipeline.runtime.command import PARAMS_FILE, ParamsPath, run


def bundle(
    id_train: Path, id_validation: Path, models: Path, metrics: Path, output: Path, params: ParamsPath = PARAMS_FILE
) -> None:
    """Put encoder, detector and decision of each seed in MODELS into OUTPUT.

    Scores learn from ID_TRAIN and ID_VALIDATION again. The model card quotes METRICS.
    """
    from pipeline.detector.bundle import write_bundle
    from pipeline.detector.bundle_parts import bundle_parts
    from pipeline.detector.left_out import left_out_weights
    from pipeline.detector.model_card import model_card
    from pipeline.latents.latents import load_id_train, load_latents
    from pipeline.params.bundle import BundleParams
    from pipeline.params.encoder import EncoderParams
    from pipeline.params.infer import InferParams
    from pipeline.params.methods.enabled import OutlierStores
    from pipeline.params.score import METRICS_FORMAT
    from pipeline.params.train import TrainParams
    from pipeline.runtime.device import STAGE_THREADS, prepare_torch
    from pipeline.runtime.errors import ParamsError
    from pipeline.runtime.progress import progress
    from pipeline.runtime.report_file import read_report
    from pipeline.runtime.text.terminal import say
    from pipeline.runtime.workspace import publish_when_done
    from pipeline.schema.reader import ParamsFile

    file = ParamsFile(params)
    infer, settings = file.section("infer", InferParams), file.section("bundle", BundleParams)
    encoder = file.section("encoder", EncoderParams)
    if problems := settings.problems(encoder):
        raise ParamsError(params, problems)
    names = file.section("synthesize", OutlierStores).names
    stores = names if file.section("train", TrainParams).uses_outliers else ()
    prepare_torch(STAGE_THREADS)
    known, content = load_id_train(id_train), read_report(metrics, METRICS_FORMAT, "score")
    validation = load_latents(id_validation, known.header)
    inputs = [id_train, id_validation, metrics, *(models / name for name in ("encoder", "detector", "decision"))]
    facts = {"seeds": file.seeds, "infer": infer.model_dump(mode="json"), "bundle": settings.model_dump(mode="json")}
    left_out = None if settings.copy_encoder else left_out_weights(models / "encoder", encoder)
    with (
        publish_when_done(output, facts | {"stores": stores}, inputs) as work,
        progress("bundling detectors", len(file.seeds)) as advance,
    ):
        for seed in file.seeds:
            parts = bundle_parts(models, seed, known, validation, infer, left_out)
            write_bundle(work / str(seed), parts, model_card(settings, stores, parts, content))
            advance(1)
    page, first = metrics.parent / "report.html", output / str(file.seeds[0])
    say("", *content["plain_words"], f"the page: {page}; ask it: latent-outliers predict {first} FOLDER_OF_IMAGES")


if __name__ == "__main__":
    run(bundle)
