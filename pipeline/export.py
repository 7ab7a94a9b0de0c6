"""Decode a store into a folder of images and a list of them, as OpenOOD reads it, for trainers that work on pixels."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from pipeline.autoencoder.model import Autoencoder
from pipeline.device import chosen_device
from pipeline.files import require_new, whole_or_absent, write_json
from pipeline.images.image_set import UNKNOWN
from pipeline.latents import to_scaled
from pipeline.progress import progress
from pipeline.store.format import LATENT
from pipeline.store.reader import Store

FORMAT = "latent-outliers-images/1"
IMAGES, LIST, FACTS = "images", "list.txt", "export.json"
BATCH = 32
ImageFormat = Literal["png", "jpeg"]
"""png loses nothing; jpeg is smaller, and marks every image as one that was compressed."""


def export_images(store: Store, autoencoder: Autoencoder, folder: Path, kind: ImageFormat, limit: int | None) -> int:
    """Write the decoded rows of a store to a new folder, whole or not at all, and return how many there are.

    images/<row>.png or .jpeg: the images; list.txt: a line `images/<row>.png <label>` for each, where the label of
    an outlier is -1; export.json: where they come from. limit: at most so many rows, evenly spaced; None is all.
    Rows are decoded BATCH at a time, and one shard is in memory. Raises OverwriteError when the folder is there.
    """
    require_new(folder)
    rows = np.arange(store.rows)
    if limit is not None and limit < store.rows:
        rows = np.linspace(0, store.rows - 1, limit).astype(np.int64)
    autoencoder.to(chosen_device())
    with whole_or_absent(folder) as partial:
        (partial / IMAGES).mkdir()
        lines = _write_images(partial, store, autoencoder, rows, kind)
        (partial / LIST).write_text("".join(lines), encoding="utf-8")
        write_json(partial / FACTS, _facts(store, len(rows), kind))
    return len(rows)


def _write_images(
    folder: Path, store: Store, model: Autoencoder, rows: NDArray[np.int64], kind: ImageFormat
) -> list[str]:
    """Write each row's image, and return the lines of the list."""
    lines, digits = [], len(str(store.rows - 1))
    with progress(f"decoding {store.source}, images", len(rows)) as advance:
        for batch, latents, labels in _batches(store, rows):
            for row, pixels, label in zip(batch, decoded_pixels(latents, model), labels, strict=True):
                name = f"{IMAGES}/{row:0{digits}}.{kind}"
                Image.fromarray(pixels).save(folder / name, kind.upper(), **_options(kind))
                lines.append(f"{name} {label}\n")
            advance(len(batch))
    return lines


def _batches(
    store: Store,
    rows: NDArray[np.int64],  # ascending
) -> Iterator[tuple[NDArray[np.int64], torch.Tensor, NDArray[np.int64]]]:
    """Yield row numbers, scaled latents and labels of at most BATCH rows; each shard is read once."""
    for shard, span in enumerate(store.shards):
        here = rows[(rows >= span.start) & (rows < span.stop)]
        if not len(here):
            continue
        latents = torch.from_numpy(store.chunk(LATENT, shard)[here - span.start].astype(np.float32))
        if store.header.kind == "outliers":
            latents, labels = to_scaled(latents, store.header.standardisation), np.full(len(here), UNKNOWN)
        else:
            labels = store.chunk("label", shard)[here - span.start].astype(np.int64)
        for start in range(0, len(here), BATCH):
            batch = slice(start, start + BATCH)
            yield here[batch], latents[batch], labels[batch]


def decoded_pixels(
    latents: torch.Tensor,  # (n, c, h, w), scaled; at most BATCH of them
    autoencoder: Autoencoder,
) -> NDArray[np.uint8]:  # (n, s, s, 3)
    """Return the decoded images, -1 to 1 rounded to 0 to 255.

    A short batch is filled up with its last row, so that every image is computed alike, whatever the limit.
    """
    filled = torch.cat([latents, latents[-1:].expand(BATCH - len(latents), -1, -1, -1)])
    images = autoencoder.decode(filled.to(chosen_device()))[: len(latents)].cpu()
    return ((images + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


def _options(kind: ImageFormat) -> dict[str, int]:
    return {"quality": 95, "subsampling": 0} if kind == "jpeg" else {}


def _facts(store: Store, rows: int, kind: ImageFormat) -> dict[str, object]:
    """Return what says where the images come from."""
    return {
        "format": FORMAT,
        "store": str(store.source),
        "manifest_sha256": store.digest,
        "kind": store.header.kind,
        "autoencoder": store.header.space.autoencoder,
        "image_size": store.header.space.image_size,
        "class_names": list(store.header.class_names),
        "image_format": kind,
        "rows": rows,
        "rows_of_store": store.rows,
        "provenance": store.header.provenance,
    }
