"""Draw decoded latents as a grid, for people to look at."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pipeline.autoencoder.model import Autoencoder


class Line(NamedTuple):
    """One line of a grid."""

    name: str
    images: NDArray[np.float32]  # (n, s, s, 3) in 0..1
    titles: list[str]  # one per image, or none at all


def decoded(
    latents: Tensor,  # (n, c, h, w), scaled
    autoencoder: Autoencoder,
) -> NDArray[np.float32]:  # (n, s, s, 3) in 0..1
    """Return the images of latents as matplotlib draws them."""
    return ((autoencoder.decode(latents) + 1) / 2).permute(0, 2, 3, 1).numpy()


def draw_grid(path: Path, lines: list[Line], heading: str) -> None:
    """Write a PNG of images in lines, under their titles; the same images are the same bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = max(len(line.images) for line in lines)
    figure = Figure(figsize=(1.15 * columns + 0.8, 1.2 * len(lines) + 0.9), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(heading, fontsize=10)
    axes = figure.subplots(len(lines), columns, squeeze=False)
    for row, line in zip(axes, lines, strict=True):
        row[0].set_ylabel(line.name, fontsize=9)
        for place, axis in enumerate(row):
            axis.set_xticks([])
            axis.set_yticks([])
            if place >= len(line.images):
                axis.set_visible(False)
                continue
            axis.imshow(line.images[place], interpolation="nearest")
            if line.titles:
                axis.set_title(line.titles[place], fontsize=7)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})  # no version: the same picture is the same bytes
