"""Outliers from a text-to-image model, prompted with embeddings near the boundary of a class, or between classes."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from pipeline.latents.boundary import Boundary
from pipeline.latents.standardising import to_standardised
from pipeline.outliers.class_shares import convex_shares, distinct_classes, further_column_values, further_columns
from pipeline.outliers.diffusion import guided, sample
from pipeline.outliers.method import ClassRows, Columns, Method, Outliers, Parents
from pipeline.outliers.text_to_image import load_text_to_image
from pipeline.params.methods.base import NOBODY
from pipeline.params.methods.dream import DreamParams
from pipeline.runtime.errors import PipelineError

PASS_ROWS = 16
"""Number of rows in one pass through the UNet, which sees twice as many with guidance. Their activations take most of
the method's memory. It is a constant, since the number may change the last bit of a row."""


class Dream(Method):
    """Latents that Stable Diffusion makes from text embeddings outside a class or between classes; never decoded.

    A class is the set of its prompts' embeddings e, (l, d), one per template, as the text encoder returns them.

    perturbed: e of a boundary prompt of the class, plus `sigma` times the class's standard deviation per value times
    Gaussian noise. Each token is re-scaled to its norm before the noise. Of `candidates` such embeddings, the one
    farthest from the class is kept.
    mixed: the convex combination of one template's embeddings for `classes` different classes.

    A row has classes and shares, but no parents. Its knn_distance is the distance of its embedding to the prompts of
    its first class, also in a mixed row. Its template is an index from 0.

    Source: OAL, https://arxiv.org/abs/2406.16525, after DreamOOD, https://arxiv.org/abs/2309.13415, section 3.2.
    There the k-NN boundary is one of image features. Their encoder is trained to agree with the token embedding of the
    class name, and a sampled feature replaces that token.
    Differs: no such encoder is trained here, so a class has as many points as there are templates. A point is a whole
    prompt after the text encoder. Noise is scaled to the class. Candidates are re-scaled before the farthest is chosen,
    so the distance is that of the embedding in use. Mixed rows are an addition of this project.
    """

    def __init__(self, parents: Parents, params: DreamParams) -> None:
        if len(parents.members) < params.classes:
            raise PipelineError(
                f"synthesize.dream.classes is {params.classes}, but there are {len(parents.members)} ID classes. "
                f"Lower it to {len(parents.members)} or less."
            )
        assert params.model is not None  # SynthesizeParams refuses this method without a model
        self.model = load_text_to_image(params.model.source, params.model.revision, parents.values.device)
        self.model.require(parents.header.space)
        self.parents = parents
        self.params = params
        self.inputs: Mapping[str, Any] = {"text_to_image": self.model.identity}
        self.method_names = tuple(f"dream/{kind}" for kind in params.kinds)
        distances = {"knn_distance": np.dtype("<f4"), "template": np.dtype("<i4")}
        self.extra_columns = {**distances, **further_columns(params.classes, "class", "lam")}
        prompts = [[template.replace("{}", name) for template in params.prompts] for name in parents.class_names]
        self.embeddings = torch.stack(
            [self.model.embed(class_prompts) for class_prompts in prompts]
        )  # (k, templates, l, d)
        self.empty_prompt = self.model.embed([""])  # (1, l, d)
        self.boundary = Boundary(list(self.embeddings.flatten(2)), params.neighbours, params.boundary_share)
        self.outermost = ClassRows(self.boundary.outermost)

    def block(self, rows: NDArray[np.int64], rng: np.random.Generator) -> Outliers:
        """Return the outliers numbered `rows`."""
        params, present = self.params, len(self.parents.members)
        kinds = self.parents.kinds(rows, len(params.kinds))
        perturbed = np.array(params.kinds)[kinds] == "perturbed"
        classes = distinct_classes(self.parents.cycle(rows), params.classes, present, rng)
        shares = convex_shares(len(rows), params.classes, params.lam_min, params.lam_max, rng)
        outermost = self.outermost.draw(classes[:, 0], rng)
        templates = np.where(perturbed, outermost, rng.integers(0, len(params.prompts), len(rows)))
        condition = self._mixed(classes, shares, templates)
        distances = condition.new_empty(len(rows))
        for row, label in enumerate(classes[:, 0]):
            if perturbed[row]:
                condition[row], distances[row] = self._perturbed(int(label), int(templates[row]), rng)
            else:
                distances[row] = self.boundary.distance(condition[row].flatten()[None], int(label))[0]
        classes[perturbed, 1], classes[perturbed, 2:] = classes[perturbed, 0], NOBODY
        shares[perturbed, 0], shares[perturbed, 1:] = 1, 0
        nobody = np.full(len(rows), NOBODY)
        return Outliers(
            values=self.sample(condition, rng),
            class_a=classes[:, 0],
            class_b=classes[:, 1],
            parent_a=nobody,
            parent_b=nobody,
            lam=shares[:, 0],
            method=kinds,
            extra={
                "knn_distance": distances.cpu().numpy(),
                "template": templates,
                **further_column_values(**{"class": classes, "lam": shares}),
            },
        )

    def facts(self, columns: Columns) -> dict[str, Any]:
        """Return each class's boundary radius, and each variant's share of rows beyond the radius of their first class.

        Distances are between text embeddings, over all tokens together.
        """
        beyond = columns["knn_distance"] > np.array(self.boundary.radii)[columns["class_a"]]
        shares = {
            name: float(beyond[columns["method"] == code].mean())
            for code, name in enumerate(self.method_names)
            if code in columns["method"]
        }
        return {"boundary_radius": self.boundary.radii, "beyond_boundary": shares}

    def sample(
        self,
        condition: Tensor,  # (n, l, d)
        rng: np.random.Generator,
    ) -> Tensor:  # (n, c, h, w), standardised
        """Return the latents that the model makes from fresh noise, conditioned on embeddings."""
        noise = torch.from_numpy(rng.standard_normal((len(condition), *self.parents.values.shape[1:]), np.float32))
        generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
        scaled = [
            sample(
                guided(
                    self.model.predict,
                    embeddings,
                    self.empty_prompt.expand(len(embeddings), -1, -1),
                    self.params.guidance,
                ),
                self.model.schedule,
                noise_rows.to(embeddings.device),
                self.params.steps,
                generator,
            )
            for embeddings, noise_rows in zip(condition.split(PASS_ROWS), noise.split(PASS_ROWS), strict=True)
        ]
        return to_standardised(torch.cat(scaled), self.parents.header.standardisation)

    def _mixed(
        self,
        classes: NDArray[np.int64],  # (n, classes)
        shares: NDArray[np.float64],  # (n, classes)
        templates: NDArray[np.int64],  # (n,)
    ) -> Tensor:  # (n, l, d)
        """Return, for each row, the convex combination of one template's embeddings of several classes."""
        mixed = torch.zeros_like(self.embeddings[0, :1]).repeat(len(classes), 1, 1)
        for labels, share in zip(classes.T, torch.from_numpy(shares.T).to(mixed), strict=True):
            mixed += share[:, None, None] * self.embeddings[torch.from_numpy(labels), torch.from_numpy(templates)]
        return mixed

    def _perturbed(
        self, label: int, template: int, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:  # (l, d), one value
        """Return the farthest candidate around one embedding, and its distance to the class.

        Rows are made one at a time, since the candidates of a whole block would take half a gigabyte.
        """
        bank = self.embeddings[label]
        centre = bank[template]
        draws = torch.from_numpy(rng.standard_normal((self.params.candidates, *centre.shape), np.float32))
        candidates = centre + self.params.sigma * bank.std(0) * draws.to(centre.device)
        rescaled = normalize(candidates, dim=-1) * centre.norm(dim=-1, keepdim=True)
        farthest, distance = self.boundary.farthest(rescaled.flatten(1)[None], label)
        return farthest[0].view_as(centre), distance[0]
