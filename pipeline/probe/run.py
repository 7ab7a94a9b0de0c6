"""Run the stage: from the ID test images, their latents and the autoencoder to the stores in `data/probes/`."""

from dataclasses import replace
from pathlib import Path

from PIL import Image

from pipeline.config import load_params
from pipeline.device import STAGE_THREADS, prepare_torch
from pipeline.encode.latents import Encoder, write_latents
from pipeline.errors import IncompatibleStoreError
from pipeline.images.image_set import ImageSet, content_hash
from pipeline.images.source import open_image_set
from pipeline.latents import store_contents
from pipeline.probe.images import reencoded, saved_as_jpeg
from pipeline.probe.names import PROBES
from pipeline.probe.params import Params
from pipeline.store.reader import Store
from pipeline.workspace import unfinished

ID_TEST = "id_test"


def make_probes(params_file: Path, autoencoder_folder: Path, id_test: Path, output: Path) -> None:
    """Encode the ID test images again: as the autoencoder decodes them (`reencoded`), and as JPEG leaves them (`jpeg`).

    Raises IncompatibleStoreError when the latents in `id_test` are not of this autoencoder and these images.
    """
    params = load_params(params_file, Params)
    prepare_torch(STAGE_THREADS)
    encoder = Encoder.load(autoencoder_folder, params.data.image_size, params.encode.batch_size)
    store = Store(id_test)
    store.require("latents", encoder.space)
    images = _images_of(store, open_image_set(ID_TEST, params.data))
    quality = params.probe.jpeg_quality
    sets = {
        "jpeg": (saved_as_jpeg(images, quality), {"quality": quality}),
        "reencoded": (reencoded(images, store.latents(), encoder.autoencoder, encoder.batch_size), {}),
    }
    facts = {"params": params.model_dump(mode="json")}
    with unfinished(output, facts, [autoencoder_folder, id_test]) as work:
        for name, (probe, how) in sets.items():
            made_from = {"probe": {"name": name, **how}, "latents": store.digest, **params.data.provenance(ID_TEST)}
            write_latents(work / name, probe, encoder, made_from, f"ID test images {PROBES[name]}")


def _images_of(store: Store, images: ImageSet) -> ImageSet:
    """Return the images, each of which has to be the one that was encoded when it is read."""
    if len(images) != store.rows:
        raise IncompatibleStoreError(str(store.source), "its number of rows", store.rows, len(images))
    contents = store_contents(store)

    def read(index: int) -> Image.Image:
        image = images.read(index)
        if (wanted := content_hash(image)) != contents[index]:
            what = f"the content hash of image {index}"
            raise IncompatibleStoreError(str(store.source), what, int(contents[index]), wanted)
        return image

    return replace(images, read=read)
