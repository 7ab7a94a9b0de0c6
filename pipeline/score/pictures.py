"""Pictures for people: decoded outliers beside their parents. Nothing is trained on these."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.autoencoder.model import Autoencoder
from pipeline.latents import Latents, to_scaled
from pipeline.pictures import Line, decoded, draw_grid
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
    images = [decoded(to_scaled(latents, id_train.header.standardisation), autoencoder) for latents in shown]
    names = ["parent", "outlier"] if not two_parents else ["parent a", "parent b", "outlier"]
    variants = store.header.provenance["method_names"]
    told = [{name: values[index] for name, values in columns.items()} for index in range(len(rows))]
    titles = [_title(one, id_train.class_names, variants) for one in told]
    rows_of_images = zip(names, images, strict=True)
    lines = [Line(name, row, [] if number else titles) for number, (name, row) in enumerate(rows_of_images)]
    draw_grid(path, lines, f"{store.header.provenance['method']}: decoded only to be looked at")


def _title(row: dict[str, Any], class_names: tuple[str, ...], variants: list[str]) -> str:
    a, b = class_names[row["class_a"]], class_names[row["class_b"]]
    if row["parent_a"] == row["parent_b"]:
        return str(a)
    variant, share = variants[row["method"]].rsplit("/", 1)[-1], float(row["lam"])
    return f"{variant}\n{share:.0%} '{a}' + {1 - share:.0%} '{b}'"
