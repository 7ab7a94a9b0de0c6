"""Outliers just outside a class: Gaussian noise around its outermost latents, the farthest candidate kept."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.errors import PipelineError
from pipeline.neighbours import kth_distance
from pipeline.synthesize.method import Columns, Outliers, Parents, draw
from pipeline.synthesize.params import PerturbParams


class Perturb:
    """Boundary sampling by exact k-NN distance within the class.

    The boundary of a class is the `boundary_share` of its rows with the largest distance to their k-th neighbour of
    the class. A row is a boundary latent plus noise of `sigma` times the class's standard deviation per value; of
    `candidates` such rows the one with the largest k-NN distance to the class is kept.

    Source: NPOS, https://arxiv.org/abs/2303.02966, section 3.1, as used by OAL, https://arxiv.org/abs/2406.16525.
    Differs from both: in latents instead of unit features, so the noise is scaled to the class.
    """

    method_names: tuple[str, ...] = ("perturb",)
    extra_columns: Mapping[str, np.dtype[Any]] = MappingProxyType({"knn_distance": np.dtype("<f4")})

    def __init__(self, parents: Parents, params: PerturbParams) -> None:
        self.parents = parents
        self.params = params
        self.banks = [parents.values[torch.from_numpy(rows)].flatten(1) for rows in parents.members]
        self._check_class_sizes()
        self.spreads = [bank.std(0) for bank in self.banks]
        own = [kth_distance(bank, bank, params.neighbours + 1) for bank in self.banks]
        self.radii = [self._radius(distances) for distances in own]
        self.boundaries = [
            rows[(distances >= radius).cpu().numpy()]
            for rows, distances, radius in zip(parents.members, own, self.radii, strict=True)
        ]

    def block(self, rows: NDArray[np.int64], rng: np.random.Generator) -> Outliers:
        """Return the outliers numbered `rows`."""
        classes = self.parents.cycle(rows)
        chosen = draw(self.boundaries, classes, rng)
        centres = self.parents.values[torch.from_numpy(chosen)].flatten(1)
        shape = (len(rows), self.params.candidates, centres.shape[1])
        noise = torch.from_numpy(rng.standard_normal(shape, np.float32)).to(centres.device)
        values, distances = torch.empty_like(centres), centres.new_empty(len(rows))
        for label in np.unique(classes):
            mine = torch.from_numpy(np.flatnonzero(classes == label))
            values[mine], distances[mine] = self._farthest(int(label), centres[mine], noise[mine])
        shaped = values.reshape(-1, *self.parents.values.shape[1:])
        return Outliers.of_one_parent(shaped, classes, chosen, {"knn_distance": distances.cpu().numpy()})

    def facts(self, columns: Columns) -> dict[str, Any]:
        """Return the boundary radius of each class and the share of rows that lie beyond their own class's.

        The radius is the smallest k-NN distance among the boundary latents of the class.
        """
        beyond = columns["knn_distance"] > np.array(self.radii)[columns["class_a"]]
        return {"boundary_radius": self.radii, "beyond_boundary": float(beyond.mean())}

    def _farthest(
        self,
        label: int,
        centres: Tensor,  # (n, d)
        noise: Tensor,  # (n, candidates, d), unit variance
    ) -> tuple[Tensor, Tensor]:  # (n, d), (n,)
        candidates = centres[:, None] + self.params.sigma * self.spreads[label] * noise
        distances = kth_distance(candidates.flatten(0, 1), self.banks[label], self.params.neighbours)
        best = distances.view(noise.shape[:2]).max(dim=1)
        return candidates[torch.arange(len(centres)), best.indices], best.values

    def _radius(self, distances: Tensor) -> float:
        kept = max(1, round(self.params.boundary_share * len(distances)))
        return float(distances.topk(kept).values[-1])

    def _check_class_sizes(self) -> None:
        wanted = self.params.neighbours + 1
        for name, bank in zip(self.parents.class_names, self.banks, strict=True):
            if len(bank) < wanted:
                raise PipelineError(
                    f"synthesize.perturb.neighbours is {self.params.neighbours}, but class {name!r} has {len(bank)} ID "
                    f"training latents and {wanted} are wanted. Lower the parameter or add images."
                )
