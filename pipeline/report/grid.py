"""Draw decoded latents as a grid, for people to look at."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pipeline.networks.encoders.encoder import Encoder
from pipeline.params.methods.base import NOBODY
from pipeline.store.reader import Store

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class PictureRow(NamedTuple):
    """One row of a grid of pictures."""

    name: str
    images: NDArray[np.float32]  # (n, s, s, 3) in 0..1
    titles: list[str]  # one per image, or empty
    absent: frozenset[int] = frozenset()  # indices of images that are not drawn


def decoded(
    latents: Tensor,  # (n, c, h, w), scaled
    encoder: Encoder,
) -> NDArray[np.float32]:  # (n, s, s, 3) in 0..1
    """Return the decoded images of latents, in the form that matplotlib draws."""
    return ((encoder.decode(latents) + 1) / 2).permute(0, 2, 3, 1).numpy()


def captions(store: Store, rows: NDArray[np.int64], kinds: Sequence[str] = ()) -> list[str]:
    """Return the caption of each row: its class or, for an outlier of several classes, the share of each class.

    kinds: if given, one line per row that stands above the shares.
    """
    further = further_class_numbers(store)
    labels = np.stack([store.take(f"class_{suffix}", rows) for suffix in ("a", "b", *further)], axis=1)
    first_share, further_shares = store.take("lam", rows), [store.take(f"lam_{number}", rows) for number in further]
    shares = np.stack([first_share, 1 - first_share - sum(further_shares), *further_shares], axis=1)
    names = store.header.class_names
    row_shares = [
        {names[label]: share for label, share in zip(*row, strict=True) if label != NOBODY}
        for row in zip(labels, shares, strict=True)
    ]
    return [_caption(classes, kinds[index : index + 1]) for index, classes in enumerate(row_shares)]


def further_class_numbers(store: Store) -> list[int]:
    """Return the numbers of the third and later classes of a store's rows, such as 3 for the column class_3."""
    return sorted(int(name.removeprefix("lam_")) for name in store.header.columns if name.startswith("lam_"))


def _caption(classes: dict[str, float], kind: Sequence[str]) -> str:
    if len(classes) < 2:
        return next(iter(classes), "no class")
    return "\n".join([*kind, "\n+ ".join(f"{share:.0%} '{name}'" for name, share in classes.items())])


def draw_grid(path: Path, picture_rows: list[PictureRow], heading: str) -> None:
    """Write a PNG with the images in rows, each under its title; the same images give the same bytes."""
    from pipeline.runtime.text.figure import png_figure

    columns = max(len(picture_row.images) for picture_row in picture_rows)
    with png_figure(path, 1.15 * columns + 0.8, 1.2 * len(picture_rows) + 0.9) as figure:
        figure.suptitle(heading, fontsize=10)
        axes = figure.subplots(len(picture_rows), columns, squeeze=False)
        for row_axes, picture_row in zip(axes, picture_rows, strict=True):
            row_axes[0].set_ylabel(picture_row.name, fontsize=9)
            for index, axis in enumerate(row_axes):
                _draw_picture(axis, picture_row, index)


def _draw_picture(axis: "Axes", picture_row: PictureRow, index: int) -> None:
    """Draw an image of a row under its title; nothing where the row has no more images."""
    axis.set_xticks([])
    axis.set_yticks([])
    if index >= len(picture_row.images):
        axis.set_visible(False)
        return
    if index in picture_row.absent:
        axis.spines[:].set_visible(False)
    else:
        axis.imshow(picture_row.images[index], interpolation="nearest")
    if picture_row.titles:
        axis.set_title(picture_row.titles[index], fontsize=7)
