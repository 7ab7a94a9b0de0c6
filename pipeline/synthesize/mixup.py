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
    statistics and breaks global ones. The recorded lam is the share of a that is really left.
    """

    method_names: tuple[str, ...] = ("mixup/linear", "mixup/masked")
    extra_columns: Mapping[str, np.dtype[Any]] = MappingProxyType({})

    def __init__(self, parents: Parents, params: MixupParams) -> None:
        if len(parents.members) < 2:
            raise PipelineError("synthesize.methods has 'mixup', which wants two or more ID classes; there is one.")
        self.parents = parents
        self.params = params

    def block(self, rows: NDArray[np.int64], rng: np.random.Generator) -> Outliers:
        """Return the outliers numbered `rows`."""
        classes = len(self.parents.members)
        class_a = self.parents.cycle(rows)
        class_b = (class_a + rng.integers(1, classes, len(rows))) % classes
        parent_a, parent_b = draw(self.parents.members, class_a, rng), draw(self.parents.members, class_b, rng)
        lam = rng.uniform(self.params.lam_min, self.params.lam_max, len(rows)).astype(np.float32)
        method = np.where(rng.random(len(rows)) < self.params.masked_share, MASKED, LINEAR)
        masks = _rectangles(1.0 - lam, self.parents.values.shape[2:], rng)
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


def _rectangles(
    area: NDArray[np.float32],  # (n,) wanted share of the places
    sides: tuple[int, ...],  # h, w
    rng: np.random.Generator,
) -> NDArray[np.bool_]:  # (n, h, w)
    """Return a rectangle of about the wanted area at a random place: never empty, never everything."""
    bounds = []
    for side in sides:
        length = np.clip(np.round(side * np.sqrt(area)), 1, side - 1)
        start = np.floor(rng.random(len(area)) * (side - length + 1))
        place = np.arange(side)
        bounds.append((place >= start[:, None]) & (place < (start + length)[:, None]))
    return np.asarray(bounds[0][:, :, None] & bounds[1][:, None, :])
