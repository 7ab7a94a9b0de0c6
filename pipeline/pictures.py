"""Draw decoded latents as a grid, for people to look at."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pipeline.autoencoder.model import Autoencoder
from pipeline.store.reader import Store
from pipeline.synthesize.params import NOBODY


class Line(NamedTuple):
    """One line of a grid."""

    name: str
    images: NDArray[np.float32]  # (n, s, s, 3) in 0..1
    titles: list[str]  # one per image, or none at all
    absent: frozenset[int] = frozenset()  # places to leave empty, whatever `images` has there


def decoded(
    latents: Tensor,  # (n, c, h, w), scaled
    autoencoder: Autoencoder,
) -> NDArray[np.float32]:  # (n, s, s, 3) in 0..1
    """Return the images of latents as matplotlib draws them."""
    return ((autoencoder.decode(latents) + 1) / 2).permute(0, 2, 3, 1).numpy()


def captions(store: Store, rows: NDArray[np.int64], kinds: Sequence[str] = ()) -> list[str]:
    """Return the class of each outlier or, where several meet in it, the share of each; below its kind, if given."""
    further = further_places(store)
    labels = np.stack([store.take(f"class_{place}", rows) for place in ("a", "b", *further)], axis=1)
    first, rest = store.take("lam", rows), [store.take(f"lam_{place}", rows) for place in further]
    shares = np.stack([first, 1 - first - sum(rest), *rest], axis=1)
    names = store.header.class_names
    shown = [
        {names[label]: share for label, share in zip(*row, strict=True) if label != NOBODY}
        for row in zip(labels, shares, strict=True)
    ]
    return [_caption(classes, kinds[place : place + 1]) for place, classes in enumerate(shown)]


def further_places(store: Store) -> list[int]:
    """Return the numbers of the third to the last class that meet in rows of a store, as in the column class_3."""
    return sorted(int(name.removeprefix("lam_")) for name in store.header.columns if name.startswith("lam_"))


def _caption(classes: dict[str, float], kind: Sequence[str]) -> str:
    if len(classes) < 2:
        return next(iter(classes), "no class")
    return "\n".join([*kind, "\n+ ".join(f"{share:.0%} '{name}'" for name, share in classes.items())])


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
            if place in line.absent:
                axis.spines[:].set_visible(False)
            else:
                axis.imshow(line.images[place], interpolation="nearest")
            if line.titles:
                axis.set_title(line.titles[place], fontsize=7)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})  # no version: the same picture is the same bytes
