"""Decode a store into a folder of images with a list in the format of OpenOOD, for trainers that work on pixels."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from pipeline.images.image_set import OOD_LABEL
from pipeline.latents.standardising import to_scaled
from pipeline.networks.encoders.encoder import Encoder
from pipeline.runtime.device import chosen_device
from pipeline.runtime.files import require_new, whole_or_absent, write_json
from pipeline.runtime.progress import progress
from pipeline.store.format import LATENT
from pipeline.store.reader import Store

FORMAT = "latent-outliers-images/1"
IMAGES, LIST, ORIGIN = "images", "list.txt", "export.json"
BATCH = 32
ImageFormat = Literal["png", "jpeg"]
"""png is lossless; jpeg is smaller, but leaves compression artefacts in every image."""


def export_images(store: Store, encoder: Encoder, folder: Path, kind: ImageFormat, limit: int | None) -> int:
    """Write the decoded rows of a store atomically to a new folder, and return the number of images.

    images/<row>.png or .jpeg: the images; list.txt: a line `images/<row>.png <label>` per image, where the label of
    an outlier is -1; export.json: the origin of the images. limit: the largest number of rows, which are evenly
    spaced; None means all. Rows are decoded BATCH at a time, and one shard is in memory. Raises OverwriteError when the
    folder exists.
    """
    require_new(folder)
    rows = np.arange(store.rows)
    if limit is not None and limit < store.rows:
        rows = np.linspace(0, store.rows - 1, limit).astype(np.int64)
    encoder.to(chosen_device())
    with whole_or_absent(folder) as partial:
        (partial / IMAGES).mkdir()
        lines = _write_images(partial, store, encoder, rows, kind)
        (partial / LIST).write_text("".join(lines), encoding="utf-8")
        write_json(partial / ORIGIN, _origin(store, len(rows), kind))
    return len(rows)


def _write_images(
    folder: Path, store: Store, encoder: Encoder, rows: NDArray[np.int64], kind: ImageFormat
) -> list[str]:
    """Write the image of each row, and return the lines of the list."""
    lines, digits = [], len(str(store.rows - 1))
    with progress(f"decoding {store.source}, images", len(rows)) as advance:
        for batch, latents, labels in _batches(store, rows):
            for row, pixels, label in zip(batch, decoded_pixels(latents, encoder), labels, strict=True):
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
    for shard, row_range in enumerate(store.shards):
        shard_rows = rows[(rows >= row_range.start) & (rows < row_range.stop)]
        if not len(shard_rows):
            continue
        latents = torch.from_numpy(store.chunk(LATENT, shard)[shard_rows - row_range.start].astype(np.float32))
        if store.header.kind == "outliers":
            latents, labels = to_scaled(latents, store.header.standardisation), np.full(len(shard_rows), OOD_LABEL)
        else:
            labels = store.chunk("label", shard)[shard_rows - row_range.start].astype(np.int64)
        for start in range(0, len(shard_rows), BATCH):
            batch = slice(start, start + BATCH)
            yield shard_rows[batch], latents[batch], labels[batch]


def decoded_pixels(
    latents: torch.Tensor,  # (n, c, h, w), scaled; at most BATCH of them
    encoder: Encoder,
) -> NDArray[np.uint8]:  # (n, s, s, 3)
    """Return the decoded images, -1 to 1 rounded to 0 to 255.

    A short batch is padded with its last row. So every image is computed in a batch of the same size, and does not
    depend on the limit.
    """
    padded = torch.cat([latents, latents[-1:].expand(BATCH - len(latents), -1, -1, -1)])
    images = encoder.decode(padded.to(chosen_device()))[: len(latents)].cpu()
    return ((images + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


def _options(kind: ImageFormat) -> dict[str, int]:
    return {"quality": 95, "subsampling": 0} if kind == "jpeg" else {}


def _origin(store: Store, rows: int, kind: ImageFormat) -> dict[str, object]:
    """Return the origin of the images: the content of export.json."""
    return {
        "format": FORMAT,
        "store": str(store.source),
        "manifest_sha256": store.digest,
        "kind": store.header.kind,
        "encoder": store.header.space.encoder,
        "image_size": store.header.space.image_size,
        "class_names": list(store.header.class_names),
        "image_format": kind,
        "rows": rows,
        "rows_of_store": store.rows,
        "provenance": store.header.provenance,
    }
