"""Describe an encoder that a stage left: its latents, what its reduction keeps, and how long an image takes."""

from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from pipeline.commands.encoder_speed import BATCH, seconds_to_encode
from pipeline.networks.encoders.encoder import CARD, SavedEncoder, load_encoder
from pipeline.runtime.device import STAGE_THREADS, chosen_device, prepare_torch
from pipeline.runtime.files import folder_bytes
from pipeline.runtime.text.terminal import Console
from pipeline.store.format import LATENT_DTYPE


def is_encoder(folder: Path) -> bool:
    """Return whether a folder is the output of stage `encoder`."""
    return (folder / CARD).is_file()


def describe_encoder(folder: Path) -> dict[str, Any]:
    """Return what an encoder is, in types that JSON can hold; its speed is measured now, on images of noise."""
    prepare_torch(STAGE_THREADS)
    saved, device = load_encoder(folder), chosen_device()
    size, kept = saved.card.image_size, saved.card.reduction
    noise = np.random.default_rng(0).integers(0, 256, (BATCH, size, size, 3), np.uint8)
    return {
        "encoder": str(folder),
        "kind": saved.card.model.kind,
        "digest": saved.digest,
        "bytes": folder_bytes(folder),
        "image_size": size,
        "shape": list(saved.card.shape),
        "bytes_per_image": LATENT_DTYPE.itemsize * prod(saved.card.shape),
        "reduction": None if kept is None else kept.model_dump(mode="json") | {"of_channels": _channels(saved)},
        "can_decode": saved.encoder.can_decode,
        "device": str(device),
        "seconds_per_image": seconds_to_encode(saved.encoder, noise),
    }


def print_encoder(report: dict[str, Any], console: Console) -> None:
    """Print the description as a table."""
    table = Table.grid(padding=(0, 2))
    shape, size = " x ".join(map(str, report["shape"])), report["image_size"]
    for name, value in (
        ("encoder", f"{report['encoder']}, kind {report['kind']}, {report['bytes']:,} bytes"),
        ("digest", report["digest"]),
        ("latents are", f"{shape}, {report['bytes_per_image']:,} bytes each, of {size}-pixel images"),
        ("reduction", _reduction_text(report["reduction"])),
        ("decodes", "yes" if report["can_decode"] else "no: pictures are of images and parents"),
        ("encoding", f"{1000 * report['seconds_per_image']:.1f} ms an image on {report['device']}, measured now"),
    ):
        table.add_row(name, value)
    console.print(table)


def _channels(saved: SavedEncoder) -> int:
    """Return the number of channels of the maps before any reduction."""
    projection = saved.encoder.reduction.projection if saved.encoder.reduction else None
    return saved.card.shape[0] if projection is None else projection.components.shape[1]


def _reduction_text(reduction: dict[str, Any] | None) -> str:
    if reduction is None:
        return "none"
    kept, every = reduction["channels"], reduction["of_channels"]
    channels = f"all {every:,} channels" if kept is None else f"{kept} principal channels of {every:,}"
    places = f", averaged to {reduction['side']} places a side" if reduction["pools"] else ""
    return f"{channels}{places}; {100 * reduction['variance']:.1f} % of the variance is kept"
