"""Outliers between classes: latents of different classes mixed everywhere, place by place or channel by channel."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.errors import PipelineError
from pipeline.synthesize.method import Method, Outliers, Parents
from pipeline.synthesize.params import NOBODY, MixupParams
from pipeline.synthesize.shares import convex_shares, distinct_classes, further, further_columns


class Mixup(Method):
    """Class-crossing mixup of latents, its kinds in equal parts.

    linear: the convex combination of one latent of each of `classes` different classes. Zhang et al. 2018,
    https://arxiv.org/abs/1710.09412, eq. 1, but never within a class, lam away from 0 and 1, and two or more latents:
    what is a regulariser there is an outlier here.
    spherical: the same along great circles, which keeps the norm that a straight line loses. Shoemake 1985,
    https://doi.org/10.1145/325165.325242; three or more latents are met one after the other.
    masked: a rectangle of b pasted into a, Yun et al. 2019, https://arxiv.org/abs/1905.04899, eq. 1; it keeps local
    statistics and breaks global ones. channels: the same with channels for places. In both the share of a that is
    left, the recorded lam, is in range.
    """

    def __init__(self, parents: Parents, params: MixupParams) -> None:
        if len(parents.members) < params.classes:
            raise PipelineError(
                f"synthesize.mixup.classes is {params.classes}, but there are {len(parents.members)} ID classes."
            )
        self.parents = parents
        self.params = params
        self.method_names = tuple(f"mixup/{kind}" for kind in params.kinds)
        self.extra_columns = further_columns(params.classes, "class", "parent", "lam")
        self.spherical = params.kinds.index("spherical") if "spherical" in params.kinds else -1
        self.masks: dict[str, NDArray[np.int64]] = {
            kind: self._masks(kind) for kind in ("masked", "channels") if kind in params.kinds
        }

    def block(self, rows: NDArray[np.int64], rng: np.random.Generator) -> Outliers:
        """Return the outliers numbered `rows`."""
        params, present = self.params, len(self.parents.members)
        classes = distinct_classes(self.parents.cycle(rows), params.classes, present, rng)
        drawn = [self.parents.pools.draw(column, rng) for column in classes.T]
        parents = np.stack(drawn, axis=1)
        shares = convex_shares(len(rows), params.classes, params.lam_min, params.lam_max, rng)
        kinds = self.parents.kinds(rows, len(params.kinds))
        pasted = self._pasted(kinds, classes, parents, shares, rng)
        return Outliers(
            values=self._mixed(kinds, parents, shares, pasted),
            class_a=classes[:, 0],
            class_b=classes[:, 1],
            parent_a=parents[:, 0],
            parent_b=parents[:, 1],
            lam=shares[:, 0],
            method=kinds,
            extra=further(**{"class": classes, "parent": parents, "lam": shares}),
        )

    def _pasted(
        self,
        kinds: NDArray[np.int64],  # (n,)
        classes: NDArray[np.int64],  # (n, classes), as the next two
        parents: NDArray[np.int64],
        shares: NDArray[np.float64],
        rng: np.random.Generator,
    ) -> dict[str, tuple[NDArray[np.int64], NDArray[np.bool_]]]:
        """Return for masked and channel mixes their rows and where these are of b; write what that leaves of a.

        Only two classes meet in such a row, so the others are struck out.
        """
        found = {}
        for kind, sizes in self.masks.items():
            mine = np.flatnonzero(kinds == self.params.kinds.index(kind))
            make = _rectangles if kind == "masked" else _channels
            masks = make(sizes, tuple(self.parents.values.shape[1:]), len(mine), rng)
            left = 1 - masks.mean((1, 2, 3))
            shares[mine, 0], shares[mine, 1], shares[mine, 2:] = left, 1 - left, 0
            classes[mine, 2:], parents[mine, 2:] = NOBODY, NOBODY
            found[kind] = (mine, masks)
        return found

    def _mixed(
        self,
        kinds: NDArray[np.int64],  # (n,)
        parents: NDArray[np.int64],  # (n, classes)
        shares: NDArray[np.float64],  # (n, classes)
        pasted: dict[str, tuple[NDArray[np.int64], NDArray[np.bool_]]],
    ) -> Tensor:  # (n, c, h, w)
        """Mix the parents one after the other, each with its share of what has been mixed so far.

        Pasting is a mix with shares of 0 and 1, so that all kinds but the spherical one are mixed at once.
        """
        mixed, total = self.parents.latents(parents[:, 0]), shares[:, 0]
        round_ones = np.flatnonzero(kinds == self.spherical)
        on_spheres = mixed[torch.from_numpy(round_ones)]
        for place in range(1, parents.shape[1]):
            total = total + shares[:, place]
            weights = (shares[:, place] / total).astype(np.float32)[:, None, None, None]
            further_values = self.parents.latents(parents[:, place].clip(min=0))  # NOBODY has no share
            if len(round_ones):
                mine = torch.from_numpy(round_ones)
                on_spheres = slerp(on_spheres, further_values[mine], torch.from_numpy(weights[round_ones]).to(mixed))
            if pasted and place == 1:
                weights = self._maps(weights, pasted)
            mixed.lerp_(further_values, torch.from_numpy(weights).to(mixed.device))
        mixed[torch.from_numpy(round_ones)] = on_spheres
        return mixed

    def _maps(
        self,
        weights: NDArray[np.float32],  # (n, 1, 1, 1) of b
        pasted: dict[str, tuple[NDArray[np.int64], NDArray[np.bool_]]],
    ) -> NDArray[np.float32]:  # (n, 1 or c, 1 or h, 1 or w)
        """Return the weight of b at every place: 0 or 1 in pasted rows."""
        shape = np.broadcast_shapes(*(masks.shape[1:] for _, masks in pasted.values()))
        maps = np.broadcast_to(weights, (len(weights), *shape)).copy()
        for mine, masks in pasted.values():
            maps[mine] = masks
        return maps

    def _masks(self, kind: str) -> NDArray[np.int64]:
        """Return the sizes a mask of this kind may have; raises PipelineError when none leaves a share in range."""
        channels, height, width = self.parents.values.shape[1:]
        params = self.params
        sizes = _sides(height, width) if kind == "masked" else np.arange(1, channels)[:, None]
        places = height * width if kind == "masked" else channels
        left = 1.0 - sizes.prod(1) / places
        allowed: NDArray[np.int64] = sizes[(left >= params.lam_min) & (left <= params.lam_max)]
        if not len(allowed):
            what = f"rectangle of {height} x {width} latents" if kind == "masked" else f"choice of {channels} channels"
            raise PipelineError(
                f"synthesize.mixup: no {what} leaves a share of {params.lam_min} to {params.lam_max}. Widen lam_min "
                f"and lam_max, take {kind!r} out of kinds, or use larger latents."
            )
        return allowed


def slerp(
    first: Tensor,  # (n, c, h, w)
    second: Tensor,  # (n, c, h, w)
    weight: Tensor,  # (n, 1, 1, 1) of the second one
) -> Tensor:  # (n, c, h, w)
    """Return sin((1 - w) o) / sin(o) a + sin(w o) / sin(o) b, o the angle between a and b; parallel rows: the lerp."""
    cosine = torch.cosine_similarity(first.flatten(1), second.flatten(1))[:, None, None, None]
    angle = torch.arccos(cosine.clamp(-1, 1))
    sine = torch.sin(angle)
    around = (torch.sin((1 - weight) * angle) * first + torch.sin(weight * angle) * second) / sine
    return torch.where(sine > 1e-3, around, torch.lerp(first, second, weight))


def _sides(height: int, width: int) -> NDArray[np.int64]:  # (height * width, 2)
    return np.stack(np.meshgrid(np.arange(1, height + 1), np.arange(1, width + 1)), axis=-1).reshape(-1, 2)


def _rectangles(
    sides: NDArray[np.int64],  # (count, 2) to choose from
    shape: tuple[int, ...],  # c, h, w of the latents
    rows: int,
    rng: np.random.Generator,
) -> NDArray[np.bool_]:  # (rows, 1, height, width)
    """Return for each row one of the rectangles at a random place, all equally likely."""
    chosen = sides[rng.integers(0, len(sides), rows)]
    bounds = []
    for axis, length in enumerate(shape[1:]):
        start = np.floor(rng.random(rows) * (length - chosen[:, axis] + 1))
        place = np.arange(length)
        bounds.append((place >= start[:, None]) & (place < (start + chosen[:, axis])[:, None]))
    return np.asarray(bounds[0][:, None, :, None] & bounds[1][:, None, None, :])


def _channels(
    counts: NDArray[np.int64],  # (count, 1) to choose from
    shape: tuple[int, ...],  # c, h, w of the latents
    rows: int,
    rng: np.random.Generator,
) -> NDArray[np.bool_]:  # (rows, channels, 1, 1)
    """Return for each row a random choice of channels, as many as one of the counts."""
    chosen = counts[rng.integers(0, len(counts), rows)]
    order = rng.permuted(np.tile(np.arange(shape[0]), (rows, 1)), axis=1)
    return np.asarray(order < chosen)[:, :, None, None]
