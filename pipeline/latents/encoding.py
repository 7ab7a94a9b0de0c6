"""Encode images into a store of latents, shard by shard; finished shards of a killed run are kept."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.images.decode import quiet
from pipeline.images.image_set import ImageSet, content_hash, from_8_bits, resized
from pipeline.images.prefetch import prefetch
from pipeline.networks.encoders.encoder import Encoder, load_encoder
from pipeline.params.data import DataParams
from pipeline.runtime.device import STAGE_THREADS, chosen_device, prepare_torch
from pipeline.runtime.errors import ModelError
from pipeline.store.fill import MakeRows, Tasks, fill
from pipeline.store.format import LATENT, LatentSpace, Standardisation
from pipeline.store.writer import StoreWriter, as_latents

COLUMNS: dict[str, np.dtype[Any]] = {"label": np.dtype("<i4"), "content": np.dtype("<i8")}


class BatchEncoder:
    """An encoder that computes in batches of a fixed size."""

    def __init__(self, encoder: Encoder, digest: str, image_size: int, batch_size: int) -> None:
        self.encoder = encoder.to(chosen_device())
        self.image_size = image_size
        self.batch_size = batch_size
        self.space = LatentSpace(
            encoder=digest,
            scaling_factor=encoder.scaling_factor,
            image_size=image_size,
            shape=self._latent_shape(),
        )

    def __call__(
        self,
        images: NDArray[np.uint8],  # (n, s, s, 3) of RGB, n at least 1 and at most `batch_size`
        subject: str,  # of an error, for example "images 0 to 63"
        into: NDArray[np.float16] | None = None,  # (n, c, h, w)
    ) -> NDArray[np.float16]:  # (n, c, h, w), scaled
        """Return the latents of a batch, written to `into` if it is given.

        Raises ModelError, which names `subject`, unless they are finite.

        A short batch is filled up with its last image, so that the computation is the same for every row.
        """
        filled = images[np.minimum(np.arange(self.batch_size), len(images) - 1)]
        latents = self._encode(filled)[: len(images)]
        subject = f"latents of {subject} (the encoder diverged, or its scaling factor is wrong)"
        return as_latents(latents, subject, into)

    def _encode(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        batch = torch.from_numpy(from_8_bits(images)).permute(0, 3, 1, 2)
        encoded: NDArray[np.float32] = self.encoder.encode(batch.to(chosen_device())).cpu().numpy()
        return encoded

    def _latent_shape(self) -> tuple[int, int, int]:
        _, channels, height, width = self._encode(np.zeros((1, self.image_size, self.image_size, 3), np.uint8)).shape
        return channels, height, width


def write_latents(
    folder: Path,
    images: ImageSet,
    encoder: BatchEncoder,
    provenance: dict[str, Any],
    title: str,  # of the images, for the progress bar
    tasks: Tasks | None = None,  # on a cluster, to encode the same images
) -> None:
    """Make `folder` a store of the latents of `images`, with their labels and content hashes."""
    folder.mkdir(parents=True, exist_ok=True)
    writer = StoreWriter(folder, len(images), encoder.space.shape, COLUMNS)
    fill(writer, encoded(images, encoder), f"encoding {title}, images", tasks)
    writer.finish(
        kind="latents",
        space=encoder.space,
        standardisation=_standardisation(writer),
        class_names=images.class_names,
        provenance=provenance,
    )


def encoded(images: ImageSet, encoder: BatchEncoder) -> MakeRows:
    """Return a function that makes rows of images, batch by batch; each image is read once and held as pixels only."""

    def read(batch: range) -> tuple[range, NDArray[np.uint8], list[int]]:
        contents, inputs = [], []
        for row in batch:
            image = images.read(row)
            contents.append(content_hash(image))
            inputs.append(resized(image, encoder.image_size))
        return batch, np.stack(inputs), contents

    def make(rows: range, latents: NDArray[np.float16]) -> Iterator[Mapping[str, NDArray[Any]]]:
        batches = (rows[start : start + encoder.batch_size] for start in range(0, len(rows), encoder.batch_size))
        with quiet():
            for batch, inputs, contents in prefetch(read, batches):
                positions = slice(batch.start - rows.start, batch.stop - rows.start)
                encoder(inputs, f"images {batch[0]} to {batch[-1]}", latents[positions])
                yield {"label": images.labels[batch.start : batch.stop], "content": np.array(contents)}

    return make


def _standardisation(writer: StoreWriter) -> Standardisation:
    """Return mean and standard deviation per channel, computed in float64 over the stored values."""
    count, total, square = 0, np.zeros(writer.latent_shape[0]), np.zeros(writer.latent_shape[0])
    for shard in range(len(writer.shards)):
        latents = writer.read_back(LATENT, shard).astype(np.float64)
        count += latents[:, 0].size
        total += latents.sum((0, 2, 3))
        square += np.square(latents).sum((0, 2, 3))
    mean = total / count
    std = np.sqrt(np.maximum(0.0, square / count - np.square(mean)))
    return Standardisation(mean=tuple(mean.tolist()), std=tuple(std.tolist()))


@dataclass(frozen=True)
class EncodedRows:
    """The latents of one image set, in a form that any process can load and compute."""

    work: Path
    """Folder of the unfinished store. It names the fingerprint of all that follows, so `data` is not compared."""
    name: str
    data: DataParams = field(compare=False)
    batch_size: int
    encoder: Path

    def load(self) -> MakeRows:
        """Open the images and load the encoder."""
        encoder = load_batch_encoder(self.encoder, self.data.image_size, self.batch_size)
        return encoded(self.data.open(self.name), encoder)


def load_batch_encoder(folder: Path, image_size: int, batch_size: int) -> BatchEncoder:
    """Return the encoder in `folder`, and make this process compute with as many threads as every other that encodes.

    Raises ModelError when there is none, or one for images of another size.
    """
    prepare_torch(STAGE_THREADS)
    saved = load_encoder(folder)
    if saved.card.image_size != image_size:
        found, wanted = f"images of {saved.card.image_size} pixels", f"{image_size}, as data.image_size says"
        raise ModelError(f"{folder}: found an encoder of {found}, wanted {wanted}. Run `dvc repro encoder`.")
    return BatchEncoder(saved.encoder, saved.digest, image_size, batch_size)
