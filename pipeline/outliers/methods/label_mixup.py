"""Outliers between classes: a diffusion model samples latents under a mix of class conditions."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.networks.denoiser import Denoiser, load_denoiser
from pipeline.outliers.class_shares import convex_shares, distinct_classes, further_column_values, further_columns
from pipeline.outliers.diffusion import guided, sample
from pipeline.outliers.method import Method, Outliers, Parents
from pipeline.params.methods.base import NOBODY
from pipeline.params.methods.label_mixup import LabelMixupParams
from pipeline.runtime.errors import PipelineError


class LabelMixup(Method):
    """Label-mixup diffusion: latents sampled under the convex combination of class embeddings.

    Source: Wahd 2024, https://arxiv.org/abs/2405.00631, where a class-conditional diffusion model is conditioned on a
    mix of labels. The range of its shares is not published; here the range is a parameter. Differs: it samples
    latents, which are never decoded. A row has classes and shares, but no parents.
    """

    method_names = ("label_mixup",)

    def __init__(self, parents: Parents, params: LabelMixupParams, folder: Path) -> None:
        if len(parents.members) < params.classes:
            raise PipelineError(
                f"synthesize.label_mixup.classes is {params.classes}, but there are {len(parents.members)} ID classes. "
                f"Lower it to {len(parents.members)} or less."
            )
        denoiser, self.schedule, card = load_denoiser(folder, parents.header)
        if problems := params.problems(self.schedule.config.num_train_timesteps, card.class_dropout):
            raise PipelineError(f"{'; '.join(problems)}.")
        self.denoiser: Denoiser = denoiser.to(parents.values.device)
        self.parents = parents
        self.params = params
        self.extra_columns = further_columns(params.classes, "class", "lam")

    def block(self, rows: NDArray[np.int64], rng: np.random.Generator) -> Outliers:
        """Return the outliers numbered `rows`."""
        params, present = self.params, len(self.parents.members)
        classes = distinct_classes(self.parents.cycle(rows), params.classes, present, rng)
        shares = convex_shares(len(rows), params.classes, params.lam_min, params.lam_max, rng)
        weights = np.zeros((len(rows), present), np.float32)
        np.put_along_axis(weights, classes, shares.astype(np.float32), axis=1)
        noise = rng.standard_normal((len(rows), *self.parents.values.shape[1:]), np.float32)
        nobody = np.full(len(rows), NOBODY)
        return Outliers(
            values=self.sample(torch.from_numpy(weights), torch.from_numpy(noise)),
            class_a=classes[:, 0],
            class_b=classes[:, 1],
            parent_a=nobody,
            parent_b=nobody,
            lam=shares[:, 0],
            method=np.zeros(len(rows), np.int64),
            extra=further_column_values(**{"class": classes, "lam": shares}),
        )

    def sample(
        self,
        weights: Tensor,  # (n, k) share of each class
        noise: Tensor,  # (n, c, h, w)
    ) -> Tensor:  # (n, c, h, w), standardised
        """Return the latents that the denoiser makes from the noise, conditioned on a mix of classes."""
        device = self.parents.values.device
        condition = self.denoiser.mixed(weights.to(device))
        predict = guided(self.denoiser, condition, self.denoiser.unconditional(len(noise)), self.params.guidance)
        return sample(predict, self.schedule, noise.to(device), self.params.steps)
