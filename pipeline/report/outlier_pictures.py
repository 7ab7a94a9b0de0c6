"""Draw outliers beside their parents, for the page and the plots. Nothing is trained on these images."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from pipeline.latents.latents import Latents, has_parents_in
from pipeline.params.encode import ViewsParams
from pipeline.params.methods.base import NOBODY
from pipeline.report.grid import PictureRow, captions, further_class_numbers
from pipeline.report.row_pictures import RowPictures, ShownViews
from pipeline.store.format import LATENT
from pipeline.store.reader import Store


def outlier_picture_rows(store: Store, id_train: Latents, pictures: RowPictures, count: int) -> tuple[PictureRow, ...]:
    """Return rows of pictures: `count` outliers of a store in the last row, their parents in the rows above.

    A store that was made from other ID latents, such as an imported store, is shown without parents. Outliers that
    cannot be drawn are left out, so there may be no row at all.
    """
    rows = np.linspace(0, store.rows - 1, min(count, store.rows)).astype(np.int64)
    parents = _parents(store, rows) if has_parents_in(store, id_train) else {}
    variants = [name.rsplit("/", 1)[-1] for name in store.header.provenance["method_names"]]
    titles = captions(store, rows, [variants[code] for code in store.take("method", rows)])
    picture_rows: list[PictureRow] = []
    for name, (parent_rows, views) in parents.items():
        images = pictures.id_train(parent_rows.clip(min=0).astype(np.int64), views)
        absent = frozenset(np.flatnonzero(parent_rows == NOBODY).tolist())
        picture_rows.append(PictureRow(name, images, [] if picture_rows else titles, absent))
    outliers = pictures.outliers(torch.from_numpy(store.take(LATENT, rows).astype(np.float32)))
    if outliers is not None:
        picture_rows.append(PictureRow("outlier", outliers, [] if picture_rows else titles))
    return tuple(picture_rows)


def _parents(store: Store, rows: NDArray[np.int64]) -> dict[str, tuple[NDArray[Any], ShownViews | None]]:
    """Return the row numbers of the parents, and their views, by the title of their picture row.

    It is empty where rows have no parents. Views are None where all parents are plain latents.
    """
    first, second = store.take("parent_a", rows), store.take("parent_b", rows)
    if (first == NOBODY).any():
        return {}
    names = {"parent a": "a", "parent b": "b", **{f"parent {n}": n for n in further_class_numbers(store)}}
    if (first == second).all():
        names = {"parent": "a"}
    return {
        title: (store.take(f"parent_{name}", rows), _views(store, rows, name))
        for title, name in names.items()
        if f"parent_{name}" in store.header.columns
    }


def _views(store: Store, rows: NDArray[np.int64], parent: object) -> ShownViews | None:
    """Return the views that the parents of rows are; None where all are plain latents, or how is not known."""
    if f"view_{parent}" not in store.header.columns:
        return None
    try:
        made_from = {name: value for name, value in store.header.provenance["views"].items() if name != "store"}
        params = ViewsParams.model_validate(made_from)
    except ValidationError:
        return None
    return ShownViews(params, store.take(f"view_{parent}", rows).astype(np.int64))
