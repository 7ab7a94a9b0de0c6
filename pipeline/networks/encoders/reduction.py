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
class Projection:
    """The projection of places onto principal channels: components (place - mean)."""

    mean: Tensor  # (c,)
    components: Tensor  # (k, c) orthonormal rows

    def __call__(self, maps: Tensor) -> Tensor:
        """Return maps (n, c, h, w) as (n, k, h, w)."""
        centred = maps - self.mean.to(maps.device)[:, None, None]
        return torch.einsum("kc,nchw->nkhw", self.components.to(maps.device), centred)

    def undone(self, reduced: Tensor) -> Tensor:
        """Return maps (n, c, h, w) of projected ones; what the left-out channels held is lost."""
        maps = torch.einsum("kc,nkhw->nchw", self.components.to(reduced.device), reduced)
        return maps + self.mean.to(reduced.device)[:, None, None]

    def save(self, folder: Path) -> None:
        """Write the tensors."""
        write_bytes(folder / FILE, tensor_bytes({"mean": self.mean, "components": self.components}))

    @classmethod
    def load(cls, folder: Path, channels: int) -> Self:
        """Read the tensors; raises ModelError when they are damaged, or do not keep so many channels."""
        try:
            tensors = read_tensors(folder / FILE, inside=folder)
            require_finite(tensors)
            mean, components = tensors["mean"], tensors["components"]
        except (OSError, KeyError, ValueError, SafetensorError) as error:
            raise ModelError(f"{folder / FILE}: no reduction could be read ({reason(error)}).") from error
        if mean.ndim != 1 or components.shape != (channels, len(mean)):
            found = f"mean {tuple(mean.shape)}, components {tuple(components.shape)}"
            raise ModelError(f"{folder / FILE}: found {found}, wanted (c,) and ({channels}, c).")
        return cls(mean, components)


@dataclass(frozen=True)
class Reduction:
    """Average pooling to `side` places a side, then the projection onto principal channels if there is one.

    Principal channels are those of all places of all maps that the reduction was fitted to.
    """

    side: int
    pools: bool
    """Whether maps had more places, which have no way back."""
    projection: Projection | None
    variance: float
    """Share of the maps' variance that is kept."""

    def __call__(self, maps: Tensor) -> Tensor:
        """Return maps (n, c, h, w) reduced to (n, k, side, side)."""
        kept = pooled(maps, self.side)
        return kept if self.projection is None else self.projection(kept)

    def undone(self, reduced: Tensor) -> Tensor:
        """Return maps (n, c, side, side) of reduced ones; what the left-out channels held is lost."""
        return reduced if self.projection is None else self.projection.undone(reduced)


def pooled(maps: Tensor, side: int) -> Tensor:
    """Return maps (n, c, h, w) averaged over areas to (n, c, side, side)."""
    return maps if maps.shape[-1] == side else adaptive_avg_pool2d(maps, side)


def fit_reduction(
    batches: Iterable[Tensor],  # of maps (n, c, h, w)
    channels: int | None,  # to keep; None keeps all, as they are
    side: int | None,  # places to keep; None keeps all
) -> Reduction:
    """Return the reduction that keeps most variance of these maps (principal component analysis, Pearson 1901).

    Sums are float64. A component's sign is that of its largest entry, so that the result does not depend on the
    library of linear algebra.
    """
    whole, kept, width = _Moments(), _Moments(covary=channels is not None), 0
    for maps in batches:
        width = maps.shape[-1]
        side = min(side or width, width)
        whole.add(maps)
        kept.add(pooled(maps, side))
    assert side is not None  # there is at least one batch
    pools = side < width
    if channels is None:
        return Reduction(side, pools, None, _share(kept.variance, whole.variance))
    variances, vectors = torch.linalg.eigh(kept.square / kept.count - torch.outer(kept.mean, kept.mean))
    channels = min(channels, len(variances))
    components = vectors.flip(1)[:, :channels].T
    largest = components.gather(1, components.abs().argmax(1, keepdim=True))
    projection = Projection(kept.mean.float(), (components * largest.sign()).float().contiguous())
    return Reduction(side, pools, projection, _share(float(variances.flip(0)[:channels].sum()), whole.variance))


def _share(kept: float, whole: float) -> float:
    """Return the share of a variance that is kept, which rounding may put above 1; all of none is kept."""
    return min(1.0, max(0.0, kept / whole)) if whole else 1.0


class _Moments:
    """Sums over the places of maps, in float64: of values, and of squares or of products of two channels."""

    def __init__(self, *, covary: bool = False) -> None:
        self.covary, self.count, self.total, self.square = covary, 0, torch.zeros(()), torch.zeros(())

    def add(self, maps: Tensor) -> None:
        """Count the places of maps (n, c, h, w)."""
        places = maps.double().permute(0, 2, 3, 1).flatten(0, 2).cpu()
        squares = places.T @ places if self.covary else places.square().sum(0)
        self.count, self.total = self.count + len(places), self.total + places.sum(0)
        self.square = self.square + squares

    @property
    def mean(self) -> Tensor:  # (c,)
        """Return the mean of each channel."""
        return self.total / self.count

    @property
    def variance(self) -> float:
        """Return the sum of the channels' variances."""
        squares = self.square.diagonal() if self.covary else self.square
        return float((squares / self.count - self.mean.square()).sum())
