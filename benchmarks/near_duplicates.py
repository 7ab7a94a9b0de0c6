"""How near a copy of an image is to it in latent space, beside the images of the other sets.

Run `python -m benchmarks.near_duplicates` after `dvc repro guard`. ID training images are saved as JPEG and decoded and
encoded again; the distance of each to its own original is printed in the unit of `guard.near_duplicate`, which has to
lie between copies and other pictures.
"""

from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from pipeline.config import load_params
from pipeline.device import STAGE_THREADS, prepare_torch
from pipeline.encode.latents import Encoder
from pipeline.images.image_set import ImageSet, resized
from pipeline.images.source import open_image_set
from pipeline.latents import Latents, load_id_train, load_latents, to_standardised
from pipeline.neighbours import nearest, typical_distance
from pipeline.probe.images import reencoded, saved_as_jpeg
from pipeline.probe.params import Params
from pipeline.store.reader import Store

LATENTS, AUTOENCODER = Path("data/latents"), Path("models/autoencoder")
QUALITIES = (95, 90, 75, 50)


def main() -> None:
    """Print smallest, median and largest distance of copies to their originals, and of other images to the nearest."""
    params = load_params(Path("params.yaml"), Params)
    prepare_torch(STAGE_THREADS)
    encoder = Encoder.load(AUTOENCODER, params.data.image_size, params.encode.batch_size)
    images, id_train = open_image_set("id_train", params.data), load_id_train(LATENTS / "id_train")
    bank = id_train.values.flatten(1)
    scaled = Store(LATENTS / "id_train").latents()
    copies = {f"JPEG, quality {quality}": saved_as_jpeg(images, quality) for quality in QUALITIES}
    copies["decoded"] = reencoded(images, scaled, encoder.autoencoder, encoder.batch_size)
    found = {name: (_encoded(copy, encoder, id_train) - bank).norm(dim=1) for name, copy in copies.items()}
    for name in params.data.sets:
        if name != "id_train":
            found[name] = nearest(load_latents(LATENTS / name, id_train.header).values.flatten(1), bank)[0]
    unit, table = typical_distance(bank), Table("distance", "smallest", "5 %", "median", "95 %", "largest")
    for name, distances in found.items():
        shares = np.quantile(distances.numpy() / unit, [0, 0.05, 0.5, 0.95, 1])
        table.add_row(name, *(f"{share:.2f}" for share in shares))
    Console(width=100).print(table)


def _encoded(images: ImageSet, encoder: Encoder, id_train: Latents) -> Tensor:
    """Return the standardised latents of all images, (n, d)."""
    starts = range(0, len(images), encoder.batch_size)
    batches = [range(start, min(start + encoder.batch_size, len(images))) for start in starts]
    latents = [
        encoder(np.stack([resized(images.read(row), encoder.image_size) for row in batch]), f"copies {batch}")
        for batch in batches
    ]
    scaled = torch.from_numpy(np.concatenate(latents).astype(np.float32))
    return to_standardised(scaled, id_train.header.standardisation).flatten(1)


if __name__ == "__main__":
    main()
