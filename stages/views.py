"""Stage `views`: augmented encodings of every ID training image to `data/views/`."""

from __future__ import annotations

from pathlib import Path

from pipeline.runtime.command import PARAMS_FILE, ParamsPath, run


def views(encoder: Path, output: Path, params: ParamsPath = PARAMS_FILE) -> None:
    """Encode views of the ID training images with the model in the folder ENCODER into a store in OUTPUT."""
    from pipeline.latents.encoding import load_batch_encoder, write_latents
    from pipeline.latents.view_rows import STORE, write_card
    from pipeline.latents.views import viewed
    from pipeline.params.data import DataParams
    from pipeline.params.encode import EncodeParams, ViewsParams
    from pipeline.runtime.workspace import publish_when_done
    from pipeline.schema.reader import ParamsFile

    file = ParamsFile(params)
    data, settings = file.section("data", DataParams), file.section("views", ViewsParams)
    batch_size = file.section("encode", EncodeParams).batch_size
    facts = {"data": data.model_dump(mode="json"), "views": settings.model_dump(mode="json"), "batch_size": batch_size}
    with publish_when_done(output, facts, [encoder]) as work:
        if settings.count:
            model = load_batch_encoder(encoder, data.image_size, batch_size)
            images = data.open("id_train")
            provenance = data.provenance("id_train") | images.provenance() | {"views": settings.model_dump()}
            seen = viewed(images, data.image_size, settings)
            write_latents(work / STORE, seen, model, provenance, "views of ID training images")
        write_card(work, settings.count)


if __name__ == "__main__":
    run(views)
