"""Stage `probe`: ID test images decoded or saved as JPEG, and encoded again, to `data/probes/`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.runtime.command import PARAMS_FILE, ParamsPath, run

if TYPE_CHECKING:
    from pipeline.images.image_set import ImageSet


def probe(encoder: Path, id_test: Path, output: Path, params: ParamsPath = PARAMS_FILE) -> None:
    """Encode what the model in ENCODER and JPEG make of the ID_TEST images into stores of latents in OUTPUT.

    A model that cannot decode makes none of its own.
    """
    from pipeline.latents.encoding import load_batch_encoder, write_latents
    from pipeline.latents.probes import checked_images, reencoded, saved_as_jpeg
    from pipeline.params.data import DataParams
    from pipeline.params.encode import EncodeParams
    from pipeline.params.probe import PROBES, ProbeParams
    from pipeline.runtime.workspace import publish_when_done
    from pipeline.schema.reader import ParamsFile
    from pipeline.store.reader import Store

    file = ParamsFile(params)
    data, encoding = file.section("data", DataParams), file.section("encode", EncodeParams)
    quality = file.section("probe", ProbeParams).jpeg_quality
    model = load_batch_encoder(encoder, data.image_size, encoding.batch_size)
    store = Store(id_test)
    store.require("latents", model.space)
    images = checked_images(store, data.open("id_test"))
    sets: dict[str, tuple[ImageSet, dict[str, int]]] = {"jpeg": (saved_as_jpeg(images, quality), {"quality": quality})}
    if model.encoder.can_decode:
        sets["reencoded"] = reencoded(images, store.latents(), model.encoder, model.batch_size), {}
    facts = {"data": data.model_dump(mode="json"), "encode": encoding.model_dump(mode="json"), "quality": quality}
    with publish_when_done(output, facts, [encoder, id_test]) as work:
        for name, (probed, how) in sets.items():
            made_from = {"probe": {"name": name, **how}, "latents": store.digest, **data.provenance("id_test")}
            write_latents(work / name, probed, model, made_from, f"ID test images {PROBES[name]}")


if __name__ == "__main__":
    run(probe)
