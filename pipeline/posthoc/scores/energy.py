"""Energy: the free energy of the logits."""

import torch
from torch import Tensor

from pipeline.posthoc.score import NetworkOutputs, PosthocScore


class Energy(PosthocScore):
    """The free energy -logsumexp at temperature 1, in nats."""

    title = "energy"
    source = "Liu et al. 2020, https://arxiv.org/abs/2010.03759, eq. 4"

    def score(self, outputs: NetworkOutputs) -> Tensor:
        """Return the score of each image, (n,)."""
        return -torch.logsumexp(outputs.logits, 1)
