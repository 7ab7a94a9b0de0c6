"""Run the stage: from one image set and the autoencoder to `data/latents/<set>/`."""

from pathlib import Path

from pipeline.config import load_params
from pipeline.device import STAGE_THREADS, repeatable
from pipeline.encode.latents import Encoder, write_latents
from pipeline.encode.params import Params
from pipeline.errors import ParamsError
from pipeline.images.source import open_image_set
from pipeline.workspace import unfinished


def encode(name: str, params_file: Path, autoencoder_folder: Path, output: Path) -> None:
    """Encode the image set called `name` into a store of scaled posterior means, shard by shard."""
    params = load_params(params_file, Params)
    if name not in params.data.sets:
        raise ParamsError(params_file, [f"data.sets has no {name!r}; it has {', '.join(params.data.sets)}"])
    repeatable(STAGE_THREADS)
    encoder = Encoder.load(autoencoder_folder, params.data.image_size, params.encode.batch_size)
    images = open_image_set(name, params.data)
    facts = {"set": name, "params": params.model_dump(mode="json"), **images.provenance()}
    with unfinished(output, facts, [autoencoder_folder]) as work:
        write_latents(work, images, encoder, params.data.provenance(name) | images.provenance(), name)
