"""Run the stage: from one image set and the autoencoder to `data/latents/<set>/`."""

from dataclasses import dataclass, field
from pathlib import Path

from pipeline.config import load_params
from pipeline.device import STAGE_THREADS, prepare_torch
from pipeline.encode.latents import Encoder, encoded, write_latents
from pipeline.encode.params import Params
from pipeline.errors import ParamsError
from pipeline.images.source import open_image_set
from pipeline.launch import Launch
from pipeline.store.fill import Rows, Tasks
from pipeline.workspace import unfinished


@dataclass(frozen=True)
class Recipe:
    """The latents of one image set, as any process can make them."""

    work: Path
    """Where they are put: it names the fingerprint of all that follows, so recipes are compared by it alone."""
    name: str
    params: Params = field(compare=False)
    autoencoder: Path

    def load(self) -> Rows:
        """Open the images and load the autoencoder."""
        return encoded(open_image_set(self.name, self.params.data), load_encoder(self.params, self.autoencoder))


def encode(name: str, params_file: Path, autoencoder_folder: Path, output: Path, launch: Launch) -> None:
    """Encode the image set called `name` into a store of scaled posterior means, shard by shard."""
    params = load_params(params_file, Params)
    if name not in params.data.sets:
        raise ParamsError(params_file, [f"data.sets has no {name!r}; it has {', '.join(params.data.sets)}"])
    encoder = load_encoder(params, autoencoder_folder)
    images = open_image_set(name, params.data)
    facts = {"set": name, "params": params.model_dump(mode="json"), **images.provenance()}
    with unfinished(output, facts, [autoencoder_folder]) as work:
        provenance = params.data.provenance(name) | images.provenance()
        recipe = Recipe(work, name, params, autoencoder_folder)
        tasks = Tasks(launch.ray, recipe, STAGE_THREADS) if launch.ray is not None else None
        write_latents(work, images, encoder, provenance, name, tasks)


def load_encoder(params: Params, autoencoder_folder: Path) -> Encoder:
    """Return the encoder, in a process that computes with as many threads as every other that does."""
    prepare_torch(STAGE_THREADS)
    return Encoder.load(autoencoder_folder, params.data.image_size, params.encode.batch_size)
