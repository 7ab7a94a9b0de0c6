"""Pictures for people: decoded outliers beside their parents. Nothing is trained on these."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.autoencoder.model import Autoencoder
from pipeline.latents import Latents, knows_parents, to_scaled
from pipeline.pictures import Line, captions, decoded, further_places
from pipeline.store.format import LATENT
from pipeline.store.reader import Store
from pipeline.synthesize.params import NOBODY


def outlier_lines(store: Store, id_train: Latents, autoencoder: Autoencoder, count: int) -> tuple[Line, ...]:
    """Return `count` outliers of a store, the last line, each under its parents if it has any, all decoded alike.

    Parents of a store that was made from other ID latents, such as an imported one, are not there to be shown.
    """
    rows = np.linspace(0, store.rows - 1, min(count, store.rows)).astype(np.int64)
    parents = _parents(store, rows) if knows_parents(store, id_train) else {}
    shown = {name: id_train.values[torch.from_numpy(known.clip(min=0))] for name, known in parents.items()}
    shown["outlier"] = torch.from_numpy(store.take(LATENT, rows).astype(np.float32))
    variants = [name.rsplit("/", 1)[-1] for name in store.header.provenance["method_names"]]
    titles = captions(store, rows, [variants[code] for code in store.take("method", rows)])
    lines: list[Line] = []
    for name, latents in shown.items():
        images = decoded(to_scaled(latents, id_train.header.standardisation), autoencoder)
        absent = frozenset(np.flatnonzero(parents[name] == NOBODY).tolist()) if name in parents else frozenset()
        lines.append(Line(name, images, [] if lines else titles, absent))
    return tuple(lines)


def _parents(store: Store, rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Return the parents of each row by the name of their line; none where a store's rows were made without."""
    first, second = store.take("parent_a", rows), store.take("parent_b", rows)
    if (first == NOBODY).any():
        return {}
    if (first == second).all():
        return {"parent": first}
    further = [f"parent_{place}" for place in further_places(store) if f"parent_{place}" in store.header.columns]
    rest = {name.replace("_", " "): store.take(name, rows) for name in further}
    return {"parent a": first, "parent b": second, **rest}
