"""Pictures for people: decoded outliers beside their parents. Nothing is trained on these."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.autoencoder.model import Autoencoder
from pipeline.latents import Latents, to_scaled
from pipeline.pictures import Line, decoded
from pipeline.store.format import LATENT
from pipeline.store.reader import Store
from pipeline.synthesize.params import NOBODY


def outlier_lines(store: Store, id_train: Latents, autoencoder: Autoencoder, count: int) -> tuple[Line, ...]:
    """Return `count` outliers of a store, the last line, each under its parents if it has any, all decoded alike."""
    rows = np.linspace(0, store.rows - 1, min(count, store.rows)).astype(np.int64)
    columns = {name: store.take(name, rows) for name in ("parent_a", "parent_b", "class_a", "class_b", "lam", "method")}
    shown = {name: id_train.values[torch.from_numpy(parents)] for name, parents in _parents(columns).items()}
    shown["outlier"] = torch.from_numpy(store.take(LATENT, rows).astype(np.float32))
    variants = store.header.provenance["method_names"]
    told = [{name: values[index] for name, values in columns.items()} for index in range(len(rows))]
    titles = [_title(one, id_train.class_names, variants) for one in told]
    lines: list[Line] = []
    for name, latents in shown.items():
        images = decoded(to_scaled(latents, id_train.header.standardisation), autoencoder)
        lines.append(Line(name, images, [] if lines else titles))
    return tuple(lines)


def _parents(columns: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the parents of each row by the name of their line; none where a store's rows were made without."""
    first, second = columns["parent_a"], columns["parent_b"]
    if (first == NOBODY).any():
        return {}
    return {"parent": first} if (first == second).all() else {"parent a": first, "parent b": second}


def _title(row: dict[str, Any], class_names: tuple[str, ...], variants: list[str]) -> str:
    a, b = (class_names[label] if label != NOBODY else "no class" for label in (row["class_a"], row["class_b"]))
    if a == b:
        return str(a)
    variant, share = variants[row["method"]].rsplit("/", 1)[-1], float(row["lam"])
    return f"{variant}\n{share:.0%} '{a}' + {1 - share:.0%} '{b}'"
