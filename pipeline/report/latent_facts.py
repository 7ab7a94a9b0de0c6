"""What the latents of a run are: their width, the disk they take, and what the encoder kept of its maps."""

from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.networks.encoders.encoder import read_card
from pipeline.store.format import LATENT_DTYPE
from pipeline.store.reader import Store

Json = dict[str, Any]


def latent_facts(latents: Path, encoder: Path) -> Json:
    """Return the section `latents` of `metrics.json`.

    latents: the store of ID training latents. mean, std: of all its values, from the statistics in its header.
    variance_kept: share of the variance of the encoder's maps, or None where they are not reduced.
    """
    header, card = Store(latents).header, read_card(encoder)
    means, deviations = np.array(header.standardisation.mean), np.array(header.standardisation.std)
    mean = float(means.mean())  # channels have equally many values
    return {
        "encoder": card.model.kind,
        "image_size": header.space.image_size,
        "shape": list(header.space.shape),
        "bytes_per_image": LATENT_DTYPE.itemsize * prod(header.space.shape),
        "variance_kept": None if card.reduction is None else card.reduction.variance,
        "mean": mean,
        "std": float(np.sqrt((np.square(deviations) + np.square(means)).mean() - mean**2)),
    }


def seconds_per_image(
    log: Iterable[Json],
    sizes: Mapping[str, int],  # number of images by set
) -> float | None:
    """Return the seconds that stage `encode` took per image, from the run log; None where it has none of these sets.

    Of a set that was encoded several times the last time counts.
    """
    outputs = {f"data/latents/{name}": images for name, images in sizes.items()}
    seconds = {entry["output"]: entry["seconds"] for entry in log if entry.get("ended") == "ok"}
    found = {output: images for output, images in outputs.items() if output in seconds}
    return sum(seconds[output] for output in found) / sum(found.values()) if found else None


def latent_sentences(facts: Json, seconds: float | None) -> str:
    """Return a few sentences on the latents, for the page."""
    shape, size = " x ".join(map(str, facts["shape"])), facts["image_size"]
    width = f"{shape} values of an image of {size} pixels a side, {facts['bytes_per_image']:,} bytes in a store"
    sentences = [f"The encoder, of kind {facts['encoder']}, makes {width}."]
    if facts["variance_kept"] is not None:
        sentences.append(f"They keep {100 * facts['variance_kept']:.1f} % of the variance of its maps.")
    sentences.append(f"Over the ID training images they have mean {facts['mean']:.3g} and std {facts['std']:.3g}.")
    if seconds is not None:
        sentences.append(f"Stage encode took {1000 * seconds:.3g} ms per image, reading included.")
    return " ".join(sentences)
