"""Pictures for people: decoded outliers beside their parents. Nothing is trained on these."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.autoencoder.model import Autoencoder
from pipeline.latents import Latents, to_scaled
from pipeline.store.format import LATENT
from pipeline.store.reader import Store


def draw_outliers(path: Path, store: Store, id_train: Latents, autoencoder: Autoencoder, count: int) -> None:
    """Draw `count` outliers of a store, each in a column under its parents, all decoded by the same autoencoder."""
    rows = np.linspace(0, store.rows - 1, min(count, store.rows)).astype(np.int64)
    columns = {name: store.take(name, rows) for name in ("parent_a", "parent_b", "class_a", "class_b", "lam", "method")}
    outliers = torch.from_numpy(store.take(LATENT, rows).astype(np.float32))
    parents = [id_train.values[torch.from_numpy(columns[name])] for name in ("parent_a", "parent_b")]
    two_parents = bool((columns["parent_a"] != columns["parent_b"]).any())
    shown = [parents[0], *([parents[1]] if two_parents else []), outliers]
    images = [_decoded(latents, id_train, autoencoder) for latents in shown]
    names = ["parent", "outlier"] if not two_parents else ["parent a", "parent b", "outlier"]
    variants = store.header.provenance["method_names"]
    told = [{name: values[index] for name, values in columns.items()} for index in range(len(rows))]
    titles = [_title(one, id_train.class_names, variants) for one in told]
    _draw(path, images, names, titles, store.header.provenance["method"])


def _decoded(latents: Tensor, id_train: Latents, autoencoder: Autoencoder) -> NDArray[np.float32]:
    """Return images (n, s, s, 3) in 0..1."""
    images = autoencoder.decode(to_scaled(latents, id_train.header.standardisation))
    return ((images + 1) / 2).permute(0, 2, 3, 1).numpy()


def _title(row: dict[str, Any], class_names: tuple[str, ...], variants: list[str]) -> str:
    a, b = class_names[row["class_a"]], class_names[row["class_b"]]
    if row["parent_a"] == row["parent_b"]:
        return str(a)
    variant, share = variants[row["method"]].rsplit("/", 1)[-1], float(row["lam"])
    return f"{variant}\n{share:.0%} '{a}' + {1 - share:.0%} '{b}'"


def _draw(path: Path, images: list[NDArray[np.float32]], names: list[str], titles: list[str], method: str) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.15 * len(titles) + 0.8, 1.2 * len(names) + 0.9), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(f"{method}: decoded only to be looked at", fontsize=10)
    axes = figure.subplots(len(names), len(titles), squeeze=False)
    for line, (name, row) in enumerate(zip(names, images, strict=True)):
        for column, (title, image) in enumerate(zip(titles, row, strict=True)):
            axis = axes[line, column]
            axis.imshow(image, interpolation="nearest")
            axis.set_xticks([])
            axis.set_yticks([])
            if line == 0:
                axis.set_title(title, fontsize=7)
            if column == 0:
                axis.set_ylabel(name, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})  # no version: the same picture is the same bytes
