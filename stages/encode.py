"""Stage `encode@<set>`: one image set to `data/latents/<set>/`."""

from __future__ import annotations

from pathlib import Path

from pipeline.runtime.command import PARAMS_FILE, ParamsPath, Ray, run


def encode(image_set: str, encoder: Path, output: Path, params: ParamsPath = PARAMS_FILE, ray: Ray = None) -> None:
    """Encode IMAGE_SET with the model in the folder ENCODER into a store of latents, OUTPUT."""
    from pipeline.latents.encoding import EncodedRows, load_batch_encoder, write_latents
    from pipeline.params.data import DataParams
    from pipeline.params.encode import EncodeParams
    from pipeline.runtime.device import STAGE_THREADS
    from pipeline.runtime.errors import ParamsError
    from pipeline.runtime.workspace import publish_when_done
    from pipeline.schema.reader import ParamsFile
    from pipeline.store.fill import Tasks

    file = ParamsFile(params)
    data, settings = file.section("data", DataParams), file.section("encode", EncodeParams)
    if image_set not in data.sets:
        raise ParamsError(params, [f"data.sets has no {image_set!r}; it has {', '.join(data.sets)}"])
    model = load_batch_encoder(encoder, data.image_size, settings.batch_size)
    images = data.open(image_set)
    facts = {"set": image_set, "data": data.model_dump(mode="json"), "encode": settings.model_dump(mode="json")}
    with publish_when_done(output, {**facts, **images.provenance()}, [encoder]) as work:
        provenance = data.provenance(image_set) | images.provenance()
        rows = EncodedRows(work, image_set, data, settings.batch_size, encoder)
        tasks = None if ray is None else Tasks(ray, rows, STAGE_THREADS)
        write_latents(work, images, model, provenance, image_set, tasks)


if __name__ == "__main__":
    run(encode)
