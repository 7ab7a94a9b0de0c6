"""Outliers between classes: two latents of different classes, mixed everywhere or block by block."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.errors import PipelineError
from pipeline.synthesize.method import Columns, Outliers, Parents, draw
from pipeline.synthesize.params import MixupParams

LINEAR, MASKED = 0, 1


class Mixup:
    """Class-crossing mixup of latents.

    linear: lam a + (1 - lam) b, Zhang et al. 2018, https://arxiv.org/abs/1710.09412, eq. 1, with a and b always of
    different classes and lam away from 0 and 1: what is a regulariser there is an outlier here.
    masked: a rectangle of b pasted into a, Yun et al. 2019, https://arxiv.org/abs/1905.04899, eq. 1; it keeps local
    statistics and breaks global ones. Its size is such that the share of a that is left, the recorded lam, is in range.
    """

    method_names: tuple[str, ...] = ("mixup/linear", "mixup/masked")
    extra_columns: Mapping[str, np.dtype[Any]] = MappingProxyType({})

    def __init__(self, parents: Parents, params: MixupParams) -> None:
        if len(parents.members) < 2:
            raise PipelineError("synthesize.methods has 'mixup', which wants two or more ID classes; there is one.")
        self.parents = parents
        self.params = params
        height, width = parents.values.shape[2:]
        self.sides = _sides_in_range(height, width, params)
        if params.masked_share and not len(self.sides):
            raise PipelineError(
                f"synthesize.mixup: no rectangle of {height} x {width} latents leaves a share of {params.lam_min} to "
                f"{params.lam_max}. Widen lam_min and lam_max, set masked_share to 0, or use larger images."
            )

    def block(self, rows: NDArray[np.int64], rng: np.random.Generator) -> Outliers:
        """Return the outliers numbered `rows`."""
        classes = len(self.parents.members)
        class_a = self.parents.cycle(rows)
        class_b = (class_a + rng.integers(1, classes, len(rows))) % classes
        parent_a, parent_b = draw(self.parents.members, class_a, rng), draw(self.parents.members, class_b, rng)
        lam = rng.uniform(self.params.lam_min, self.params.lam_max, len(rows)).astype(np.float32)
        method = np.where(rng.random(len(rows)) < self.params.masked_share, MASKED, LINEAR)
        masks = _rectangles(self.sides, self.parents.values.shape[2:], len(rows), rng)
        lam = np.where(method == MASKED, 1.0 - masks.mean((1, 2)), lam).astype(np.float32)
        share = np.where((method == MASKED)[:, None, None], ~masks, lam[:, None, None]).astype(np.float32)
        return Outliers(
            values=self._mix(parent_a, parent_b, share),
            class_a=class_a,
            class_b=class_b,
            parent_a=parent_a,
            parent_b=parent_b,
            lam=lam,
            method=method,
        )

    def facts(self, columns: Columns) -> dict[str, Any]:  # noqa: ARG002  # the interface of Method
        """Return nothing: mixing derives nothing from the latents as a whole."""
        return {}

    def _mix(
        self,
        parent_a: NDArray[np.int64],  # (n,)
        parent_b: NDArray[np.int64],  # (n,)
        share: NDArray[np.float32],  # (n, h, w) of parent a at each place
    ) -> Tensor:  # (n, c, h, w)
        a, b = (self.parents.values[torch.from_numpy(rows)] for rows in (parent_a, parent_b))
        return torch.lerp(b, a, torch.from_numpy(share)[:, None].to(a.device))


def _sides_in_range(height: int, width: int, params: MixupParams) -> NDArray[np.int64]:  # (count, 2)
    """Return the height and width of every rectangle that leaves parent a a share of the range."""
    sides = np.stack(np.meshgrid(np.arange(1, height + 1), np.arange(1, width + 1)), axis=-1).reshape(-1, 2)
    left = 1.0 - sides.prod(1) / (height * width)
    allowed: NDArray[np.int64] = sides[(left >= params.lam_min) & (left <= params.lam_max)]
    return allowed


def _rectangles(
    sides: NDArray[np.int64],  # (count, 2) to choose from
    places: tuple[int, ...],  # height, width of the latents
    rows: int,
    rng: np.random.Generator,
) -> NDArray[np.bool_]:  # (rows, height, width)
    """Return for each row one of the rectangles at a random place, all equally likely."""
    if not len(sides):
        return np.zeros((rows, *places), np.bool_)
    chosen = sides[rng.integers(0, len(sides), rows)]
    bounds = []
    for axis, length in enumerate(places):
        start = np.floor(rng.random(rows) * (length - chosen[:, axis] + 1))
        place = np.arange(length)
        bounds.append((place >= start[:, None]) & (place < (start + chosen[:, axis])[:, None]))
    return np.asarray(bounds[0][:, :, None] & bounds[1][:, None, :])
