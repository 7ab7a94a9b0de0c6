"""Run the stage: from one image set and the autoencoder to `data/latents/<set>/`."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.autoencoder.model import Autoencoder, load_stage_output
from pipeline.config import load_params
from pipeline.device import STAGE_THREADS, chosen_device, repeatable
from pipeline.encode.params import Params
from pipeline.errors import ParamsError
from pipeline.images.image_set import ImageSet, pixel_batch
from pipeline.images.source import open_image_set
from pipeline.progress import progress
from pipeline.store.format import LATENT, LATENT_DTYPE, LatentSpace, Standardisation
from pipeline.store.writer import StoreWriter, as_latents
from pipeline.workspace import unfinished

COLUMNS = {"label": np.dtype("<i4")}


def encode(name: str, params_file: Path, autoencoder_folder: Path, output: Path) -> None:
    """Encode the image set called `name` into a store of scaled posterior means, shard by shard."""
    params = load_params(params_file, Params)
    if name not in params.data.sets:
        raise ParamsError(params_file, [f"data.sets has no {name!r}; it has {', '.join(params.data.sets)}"])
    repeatable(STAGE_THREADS)
    autoencoder, digest = load_stage_output(autoencoder_folder)
    encoder = _Encoder(autoencoder.to(chosen_device()), params)
    images = open_image_set(name, params.data)
    shape = encoder.latent_shape(images)
    facts = {"set": name, "params": params.model_dump(mode="json")}
    with unfinished(output, facts, [autoencoder_folder]) as work:
        writer = StoreWriter(work, len(images), shape, COLUMNS)
        _write_missing(writer, images, encoder, f"encoding {name}, images")
        writer.finish(
            kind="latents",
            space=LatentSpace(
                autoencoder=digest,
                scaling_factor=autoencoder.scaling_factor,
                image_size=params.data.image_size,
                shape=shape,
            ),
            standardisation=_standardisation(writer),
            class_names=images.class_names,
            provenance=params.data.provenance(name),
        )


class _Encoder:
    """An autoencoder, and the fixed batch in which it meets every image."""

    def __init__(self, autoencoder: Autoencoder, params: Params) -> None:
        self.autoencoder = autoencoder
        self.image_size = params.data.image_size
        self.batch_size = params.encode.batch_size
        self.device = chosen_device()

    def latent_shape(self, images: ImageSet) -> tuple[int, int, int]:
        _, channels, height, width = self(images, range(1)).shape
        return channels, height, width

    def __call__(self, images: ImageSet, rows: range) -> NDArray[np.float16]:
        """Return the latents of at most `batch_size` images.

        A short batch is filled up with its last image, so that the computation is the same for every row.
        """
        padded = [min(row, rows[-1]) for row in range(rows.start, rows.start + self.batch_size)]
        pixels = torch.from_numpy(pixel_batch(images, padded, self.image_size)).to(self.device)
        latents = self.autoencoder.encode(pixels)[: len(rows)].cpu().numpy()
        what = (
            f"latents of images {rows.start} to {rows[-1]} (the autoencoder diverged, or its scaling factor is wrong)"
        )
        return as_latents(latents, what)


def _write_missing(writer: StoreWriter, images: ImageSet, encoder: _Encoder, what: str) -> None:
    missing = writer.missing_shards()
    already = len(images) - sum(len(writer.shards[shard]) for shard in missing)
    with progress(what, len(images), already) as advance:
        for shard in missing:
            rows = writer.shards[shard]
            latents = np.empty((len(rows), *writer.latent_shape), LATENT_DTYPE)
            for start in range(0, len(rows), encoder.batch_size):
                batch = rows[start : start + encoder.batch_size]
                latents[start : start + len(batch)] = encoder(images, batch)
                advance(len(batch))
            writer.write_shard(shard, latents, {"label": images.labels[rows.start : rows.stop]})


def _standardisation(writer: StoreWriter) -> Standardisation:
    """Return mean and standard deviation per channel, in float64 over the stored values."""
    count, total, square = 0, np.zeros(writer.latent_shape[0]), np.zeros(writer.latent_shape[0])
    for shard in range(len(writer.shards)):
        latents = writer.read_back(LATENT, shard).astype(np.float64)
        count += latents[:, 0].size
        total += latents.sum((0, 2, 3))
        square += np.square(latents).sum((0, 2, 3))
    mean = total / count
    std = np.sqrt(square / count - np.square(mean))
    return Standardisation(mean=tuple(mean.tolist()), std=tuple(std.tolist()))
