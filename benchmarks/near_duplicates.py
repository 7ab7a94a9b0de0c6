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

from pipeline.images.image_set import ImageSet, resized
from pipeline.latents.encoding import BatchEncoder, load_batch_encoder
from pipeline.latents.latents import Latents, load_id_train, load_latents
from pipeline.latents.neighbours import nearest, typical_distance
from pipeline.latents.probes import reencoded, saved_as_jpeg
from pipeline.latents.standardising import to_standardised
from pipeline.params.data import DataParams
from pipeline.params.encode import EncodeParams
from pipeline.runtime.command import PARAMS_FILE
from pipeline.runtime.device import STAGE_THREADS, prepare_torch
from pipeline.schema.reader import ParamsFile
from pipeline.store.reader import Store

LATENTS, ENCODER = Path("data/latents"), Path("models/encoder")
QUALITIES = (95, 90, 75, 50)


def main() -> None:
    """Print smallest, median and largest distance of copies to their originals, and of other images to the nearest."""
    file = ParamsFile(PARAMS_FILE)
    data, batch_size = file.section("data", DataParams), file.section("encode", EncodeParams).batch_size
    prepare_torch(STAGE_THREADS)
    encoder = load_batch_encoder(ENCODER, data.image_size, batch_size)
    images, id_train = data.open("id_train"), load_id_train(LATENTS / "id_train")
    bank = id_train.values.flatten(1)
    scaled = Store(LATENTS / "id_train").latents()
    copies = {f"JPEG, quality {quality}": saved_as_jpeg(images, quality) for quality in QUALITIES}
    copies["decoded"] = reencoded(images, scaled, encoder.encoder, encoder.batch_size)
    found = {name: (_encoded(copy, encoder, id_train) - bank).norm(dim=1) for name, copy in copies.items()}
    for name in data.sets:
        if name != "id_train":
            found[name] = nearest(load_latents(LATENTS / name, id_train.header).values.flatten(1), bank)[0]
    unit, table = typical_distance(bank), Table("distance", "smallest", "5 %", "median", "95 %", "largest")
    for name, distances in found.items():
        shares = np.quantile(distances.numpy() / unit, [0, 0.05, 0.5, 0.95, 1])
        table.add_row(name, *(f"{share:.2f}" for share in shares))
    Console(width=100).print(table)


def _encoded(images: ImageSet, encoder: BatchEncoder, id_train: Latents) -> Tensor:
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
