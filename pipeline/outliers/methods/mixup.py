"""Outliers between classes: latents of different classes, mixed as a whole, by position or by channel."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.outliers.class_shares import convex_shares, distinct_classes, further_column_values, further_columns
from pipeline.outliers.method import Method, Outliers, Parents
from pipeline.params.methods.base import NOBODY
from pipeline.params.methods.mixup import MixupParams
from pipeline.runtime.errors import PipelineError


class Mixup(Method):
    """Class-crossing mixup of latents, with its kinds in equal parts.

    linear: the convex combination of one latent from each of `classes` different classes.
    Source: Zhang et al. 2018, https://arxiv.org/abs/1710.09412, eq. 1. Differs: classes are always different, lam stays
    away from 0 and 1, and more than two latents may be mixed. The result serves as an outlier, not as a regulariser.

    spherical: the same along great circles, which keeps the norm that a straight line loses. Three or more latents are
    mixed one after the other. Source: Shoemake 1985, https://doi.org/10.1145/325165.325242.

    masked: a rectangle of b is pasted into a, which keeps local statistics and breaks global ones. Source: Yun et al.
    2019, https://arxiv.org/abs/1905.04899, eq. 1.

    channels: the same as masked, with channels instead of positions.

    In masked and channels, lam is the share of a that remains; it is within lam_min..lam_max.
    """

    def __init__(self, parents: Parents, params: MixupParams) -> None:
        if len(parents.members) < params.classes:
            raise PipelineError(
                f"synthesize.mixup.classes is {params.classes}, but there are {len(parents.members)} ID classes. "
                f"Lower it to {len(parents.members)} or less."
            )
        self.parents = parents
        self.params = params
        self.method_names = tuple(f"mixup/{kind}" for kind in params.kinds)
        further = further_columns(params.classes, "class", "parent", "lam")
        self.extra_columns = {**further, **parents.view_columns(params.classes)}
        self.spherical_kind = params.kinds.index("spherical") if "spherical" in params.kinds else -1
        self.mask_sizes: dict[str, NDArray[np.int64]] = {
            kind: self._mask_sizes(kind) for kind in ("masked", "channels") if kind in params.kinds
        }

    def block(self, rows: NDArray[np.int64], rng: np.random.Generator) -> Outliers:
        """Return the outliers numbered `rows`."""
        params, present = self.params, len(self.parents.members)
        classes = distinct_classes(self.parents.cycle(rows), params.classes, present, rng)
        drawn = [self.parents.class_rows.draw(column, rng) for column in classes.T]
        parents = np.stack(drawn, axis=1)
        shares = convex_shares(len(rows), params.classes, params.lam_min, params.lam_max, rng)
        kinds = self.parents.kinds(rows, len(params.kinds))
        pasted = self._pasted(kinds, classes, parents, shares, rng)
        views = np.where(parents == NOBODY, NOBODY, self.parents.draw_views(parents.shape, rng))
        further = further_column_values(**{"class": classes, "parent": parents, "lam": shares})
        return Outliers(
            values=self._mixed(kinds, parents, views, shares, pasted),
            class_a=classes[:, 0],
            class_b=classes[:, 1],
            parent_a=parents[:, 0],
            parent_b=parents[:, 1],
            lam=shares[:, 0],
            method=kinds,
            extra={**further, **self.parents.view_column_values(*views.T)},
        )

    def _pasted(
        self,
        kinds: NDArray[np.int64],  # (n,)
        classes: NDArray[np.int64],  # (n, classes), as the next two
        parents: NDArray[np.int64],
        shares: NDArray[np.float64],
        rng: np.random.Generator,
    ) -> dict[str, tuple[NDArray[np.int64], NDArray[np.bool_]]]:
        """Return, for masked and channel mixes, the row indices and the masks of b. Write the resulting shares.

        Such a row mixes two classes only, so its other classes, parents and shares are cleared.
        """
        pasted = {}
        for kind, sizes in self.mask_sizes.items():
            row_indices = np.flatnonzero(kinds == self.params.kinds.index(kind))
            make_masks = _rectangles if kind == "masked" else _channels
            masks = make_masks(sizes, tuple(self.parents.values.shape[1:]), len(row_indices), rng)
            first_shares = 1 - masks.mean((1, 2, 3))
            shares[row_indices, 0], shares[row_indices, 1] = first_shares, 1 - first_shares
            shares[row_indices, 2:] = 0
            classes[row_indices, 2:], parents[row_indices, 2:] = NOBODY, NOBODY
            pasted[kind] = (row_indices, masks)
        return pasted

    def _mixed(
        self,
        kinds: NDArray[np.int64],  # (n,)
        parents: NDArray[np.int64],  # (n, classes), as the next two
        views: NDArray[np.int64],
        shares: NDArray[np.float64],
        pasted: dict[str, tuple[NDArray[np.int64], NDArray[np.bool_]]],
    ) -> Tensor:  # (n, c, h, w)
        """Mix the parents one after the other. Each is weighted by its share of all parents mixed so far.

        Pasting is a mix with weights 0 and 1, so all kinds except the spherical one are mixed together.
        """
        mixed, total = self.parents.latents(parents[:, 0], views[:, 0]), shares[:, 0]
        spherical_rows = np.flatnonzero(kinds == self.spherical_kind)
        spherical_values = mixed[torch.from_numpy(spherical_rows)]
        for index in range(1, parents.shape[1]):
            total = total + shares[:, index]
            weights = (shares[:, index] / total).astype(np.float32)[:, None, None, None]
            further_parents = parents[:, index].clip(min=0)  # NOBODY has no share
            further_values = self.parents.latents(further_parents, views[:, index])
            if len(spherical_rows):
                spherical_weights = torch.from_numpy(weights[spherical_rows]).to(mixed)
                spherical_values = slerp(
                    spherical_values, further_values[torch.from_numpy(spherical_rows)], spherical_weights
                )
            if pasted and index == 1:
                weights = self._weight_maps(weights, pasted)
            mixed.lerp_(further_values, torch.from_numpy(weights).to(mixed.device))
        mixed[torch.from_numpy(spherical_rows)] = spherical_values
        return mixed

    def _weight_maps(
        self,
        weights: NDArray[np.float32],  # (n, 1, 1, 1) of b
        pasted: dict[str, tuple[NDArray[np.int64], NDArray[np.bool_]]],
    ) -> NDArray[np.float32]:  # (n, 1 or c, 1 or h, 1 or w)
        """Return the weight of b at every position, which is 0 or 1 in pasted rows."""
        shape = np.broadcast_shapes(*(masks.shape[1:] for _, masks in pasted.values()))
        maps = np.broadcast_to(weights, (len(weights), *shape)).copy()
        for row_indices, masks in pasted.values():
            maps[row_indices] = masks
        return maps

    def _mask_sizes(self, kind: str) -> NDArray[np.int64]:
        """Return the possible sizes of a mask of this kind; raises PipelineError when none leaves a share in range."""
        channels, height, width = self.parents.values.shape[1:]
        params = self.params
        sizes = _sides(height, width) if kind == "masked" else np.arange(1, channels)[:, None]
        positions = height * width if kind == "masked" else channels
        first_shares = 1.0 - sizes.prod(1) / positions
        allowed: NDArray[np.int64] = sizes[(first_shares >= params.lam_min) & (first_shares <= params.lam_max)]
        if not len(allowed):
            mask_name = (
                f"rectangle of {height} x {width} latents" if kind == "masked" else f"choice of {channels} channels"
            )
            raise PipelineError(
                f"synthesize.mixup: no {mask_name} leaves a share of {params.lam_min} to {params.lam_max}. Widen "
                f"lam_min and lam_max, take {kind!r} out of kinds, or use larger latents."
            )
        return allowed


def slerp(
    first: Tensor,  # (n, c, h, w)
    second: Tensor,  # (n, c, h, w)
    weight: Tensor,  # (n, 1, 1, 1) of the second latent
) -> Tensor:  # (n, c, h, w)
    """Return sin((1 - w) o) / sin(o) a + sin(w o) / sin(o) b, where o is the angle between a and b.

    Parallel rows are interpolated linearly.
    """
    cosine = torch.cosine_similarity(first.flatten(1), second.flatten(1))[:, None, None, None]
    angle = torch.arccos(cosine.clamp(-1, 1))
    sine = torch.sin(angle)
    on_circle = (torch.sin((1 - weight) * angle) * first + torch.sin(weight * angle) * second) / sine
    return torch.where(sine > 1e-3, on_circle, torch.lerp(first, second, weight))


def _sides(height: int, width: int) -> NDArray[np.int64]:  # (height * width, 2)
    return np.stack(np.meshgrid(np.arange(1, height + 1), np.arange(1, width + 1)), axis=-1).reshape(-1, 2)


def _rectangles(
    sides: NDArray[np.int64],  # (count, 2) to choose from
    shape: tuple[int, ...],  # c, h, w of the latents
    rows: int,
    rng: np.random.Generator,
) -> NDArray[np.bool_]:  # (rows, 1, height, width)
    """Return a mask for each row: one of the rectangles, at a random position, all equally likely."""
    chosen = sides[rng.integers(0, len(sides), rows)]
    bounds = []
    for axis, length in enumerate(shape[1:]):
        start = np.floor(rng.random(rows) * (length - chosen[:, axis] + 1))
        position = np.arange(length)
        bounds.append((position >= start[:, None]) & (position < (start + chosen[:, axis])[:, None]))
    return np.asarray(bounds[0][:, None, :, None] & bounds[1][:, None, None, :])


def _channels(
    counts: NDArray[np.int64],  # (count, 1) to choose from
    shape: tuple[int, ...],  # c, h, w of the latents
    rows: int,
    rng: np.random.Generator,
) -> NDArray[np.bool_]:  # (rows, channels, 1, 1)
    """Return a mask for each row: random channels, whose number is one of the counts."""
    chosen = counts[rng.integers(0, len(counts), rows)]
    order = rng.permuted(np.tile(np.arange(shape[0]), (rows, 1)), axis=1)
    return np.asarray(order < chosen)[:, :, None, None]
