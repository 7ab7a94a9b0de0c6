"""Reduce wide feature maps: average pooling to fewer places, principal channels in place of all."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from safetensors import SafetensorError
from safetensors.torch import save as tensor_bytes
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from pipeline.networks.tensor_file import read_tensors, require_finite
from pipeline.runtime.errors import ModelError, reason
from pipeline.runtime.files import write_bytes

FILE = "reduction.safetensors"


@dataclass(frozen=True)
class Reduction:
    """Average pooling to `side` places a side, then the projection onto principal channels.

        reduced = components (pooled - mean)

    Principal channels are those of all places of all maps that the reduction was fitted to.
    """

    side: int
    mean: Tensor  # (c,)
    components: Tensor  # (k, c) orthonormal rows
    pools: bool
    """Whether maps had more places, which have no way back."""
    variance: float
    """Share of the pooled maps' variance that the components keep."""

    def __call__(self, maps: Tensor) -> Tensor:
        """Return maps (n, c, h, w) reduced to (n, k, side, side)."""
        centred = pooled(maps, self.side) - self.mean.to(maps.device)[:, None, None]
        return torch.einsum("kc,nchw->nkhw", self.components.to(maps.device), centred)

    def undone(self, reduced: Tensor) -> Tensor:
        """Return maps (n, c, side, side) of reduced ones; what the left-out channels held is lost."""
        maps = torch.einsum("kc,nkhw->nchw", self.components.to(reduced.device), reduced)
        return maps + self.mean.to(reduced.device)[:, None, None]

    def save(self, folder: Path) -> None:
        """Write the tensors."""
        write_bytes(folder / FILE, tensor_bytes({"mean": self.mean, "components": self.components}))

    @classmethod
    def load(cls, folder: Path, side: int, *, pools: bool, variance: float) -> Self:
        """Read the tensors; raises ModelError when they are damaged or do not fit each other."""
        try:
            tensors = read_tensors(folder / FILE, inside=folder)
            require_finite(tensors)
            mean, components = tensors["mean"], tensors["components"]
        except (OSError, KeyError, ValueError, SafetensorError) as error:
            raise ModelError(f"{folder / FILE}: no reduction could be read ({reason(error)}).") from error
        if mean.ndim != 1 or components.ndim != 2 or components.shape[1] != len(mean):
            found = f"mean {tuple(mean.shape)}, components {tuple(components.shape)}"
            raise ModelError(f"{folder / FILE}: found {found}, wanted (c,) and (k, c).")
        return cls(side, mean, components, pools, variance)


def pooled(maps: Tensor, side: int) -> Tensor:
    """Return maps (n, c, h, w) averaged over areas to (n, c, side, side)."""
    return maps if maps.shape[-1] == side else adaptive_avg_pool2d(maps, side)


def fit_reduction(
    batches: Iterable[Tensor],  # of maps (n, c, h, w)
    channels: int | None,  # to keep; None keeps all
    side: int | None,  # places to keep; None keeps all
) -> Reduction:
    """Return the reduction that keeps most variance of these maps (principal component analysis, Pearson 1901).

    Sums are float64. A component's sign is that of its largest entry, so that the result does not depend on the
    library of linear algebra.
    """
    count, total, square, width = 0, torch.zeros(()), torch.zeros(()), 0
    for maps in batches:
        width = maps.shape[-1]
        side = min(side or width, width)
        rows = pooled(maps, side).double().permute(0, 2, 3, 1).flatten(0, 2).cpu()
        count, total, square = count + len(rows), total + rows.sum(0), square + rows.T @ rows
    assert side is not None  # there is at least one batch
    mean = total / count
    variances, vectors = torch.linalg.eigh(square / count - torch.outer(mean, mean))
    kept = min(channels or len(mean), len(mean))
    components = vectors.flip(1)[:, :kept].T
    largest = components.gather(1, components.abs().argmax(1, keepdim=True))
    share = variances.flip(0)[:kept].sum() / variances.sum()
    return Reduction(side, mean.float(), (components * largest.sign()).float().contiguous(), side < width, float(share))
