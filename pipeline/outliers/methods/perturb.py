"""Outliers just outside a class: its outermost latents plus Gaussian noise, of which the farthest candidate is kept."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.latents.boundary import Boundary, require_neighbours
from pipeline.outliers.method import ClassRows, Columns, Method, Outliers, Parents
from pipeline.outliers.noise import covariance_root
from pipeline.params.methods.perturb import PerturbParams
from pipeline.runtime.memory import gathered
from pipeline.runtime.shortage import require_memory
from pipeline.store.format import BLOCK_ROWS


class Perturb(Method):
    """Boundary sampling by exact k-NN distance within the class.

    A candidate is a boundary latent of its class plus Gaussian noise. Of `candidates` such latents, the one farthest
    from the class becomes the row. With `noise: diagonal` the noise has `sigma` times the class's standard deviation
    per value. With `noise: covariance` it has `sigma` squared times the class's covariance, so it follows the
    directions in which the class varies.

    Source: NPOS, https://arxiv.org/abs/2303.02966, section 3.1, as used by OAL, https://arxiv.org/abs/2406.16525.
    Differs from both: it works on latents instead of unit features, so the noise is scaled to the class.
    """

    method_names = ("perturb",)

    def __init__(self, parents: Parents, params: PerturbParams) -> None:
        sizes = dict(zip(parents.class_names, map(len, parents.members), strict=True))
        require_neighbours(sizes, params.neighbours, "synthesize.perturb.neighbours")
        self.parents = parents
        self.params = params
        columns = {"knn_distance": np.dtype("<f4"), **parents.view_columns()}
        self.extra_columns: Mapping[str, np.dtype[Any]] = columns
        banks = [gathered(parents.values, rows).flatten(1) for rows in parents.members]
        self.boundary = Boundary(banks, params.neighbours, params.boundary_share)
        outermost = zip(parents.members, self.boundary.outermost, strict=True)
        self.outermost = ClassRows([rows[chosen] for rows, chosen in outermost])
        self.roots = [bank.std(0) if params.noise == "diagonal" else covariance_root(bank) for bank in banks]
        width = max(root.shape[0] for root in self.roots)
        candidates = BLOCK_ROWS * params.candidates * width * np.dtype(np.float32).itemsize
        require_memory("synthesize.perturb.candidates", candidates, "Lower it.")

    def block(self, rows: NDArray[np.int64], rng: np.random.Generator) -> Outliers:
        """Return the outliers numbered `rows`."""
        classes = self.parents.cycle(rows)
        chosen = self.outermost.draw(classes, rng)
        views = self.parents.draw_views(chosen.shape, rng)
        centres = self.parents.latents(chosen, views).flatten(1)
        width = max(root.shape[0] for root in self.roots)
        draws = rng.standard_normal((len(rows), self.params.candidates, width), np.float32)
        values, distances = torch.empty_like(centres), centres.new_empty(len(rows))
        for label in np.unique(classes):
            row_indices = torch.from_numpy(np.flatnonzero(classes == label))
            noise = self._noise(int(label), torch.from_numpy(draws[row_indices]).to(centres.device))
            candidates = centres[row_indices][:, None] + noise
            values[row_indices], distances[row_indices] = self.boundary.farthest(candidates, int(label))
        shaped = values.reshape(-1, *self.parents.values.shape[1:])
        extra = {"knn_distance": distances.cpu().numpy(), **self.parents.view_column_values(views, views)}
        return Outliers.of_one_parent(shaped, classes, chosen, extra)

    def facts(self, columns: Columns) -> dict[str, Any]:
        """Return the boundary radius of each class, and the share of rows beyond the radius of their own class."""
        beyond = columns["knn_distance"] > np.array(self.boundary.radii)[columns["class_a"]]
        return {"boundary_radius": self.boundary.radii, "beyond_boundary": float(beyond.mean())}

    def _noise(
        self,
        label: int,
        draws: Tensor,  # (n, candidates, width), unit variance
    ) -> Tensor:  # (n, candidates, d)
        root = self.roots[label]
        if self.params.noise == "diagonal":
            return self.params.sigma * root * draws
        return self.params.sigma * draws[..., : len(root)] @ root
