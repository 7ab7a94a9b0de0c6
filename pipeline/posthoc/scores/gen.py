"""GEN: the generalised entropy of the prediction."""

import torch
from torch import Tensor
from torch.nn.functional import softplus

from pipeline.posthoc.logits import largest_and_others
from pipeline.posthoc.score import NetworkOutputs, PosthocScore


class Gen(PosthocScore):
    """Generalised entropy of the most probable classes; see `generalised_entropy`."""

    title = "GEN"
    source = (
        "Liu et al. 2023, eq. 5 and 6, https://openaccess.thecvf.com/content/CVPR2023/html/"
        "Liu_GEN_Pushing_the_Limits_of_Softmax-Based_Out-of-Distribution_Detection_CVPR_2023_paper.html"
    )

    def score(self, outputs: NetworkOutputs) -> Tensor:
        """Return the score of each image, (n,)."""
        return generalised_entropy(outputs.logits, gamma=self.params.gen.gamma, classes=self.params.gen.classes)


def generalised_entropy(
    logits: Tensor,  # (n, k)
    *,
    gamma: float,
    classes: int | None,
) -> Tensor:  # (n,)
    """Return the generalised entropy of the most probable classes.

        score_i = sum over the `classes` largest p_ic of  p_ic^gamma (1 - p_ic)^gamma

    p is the softmax. All classes count if `classes` is None or larger than k. The sum is computed from logarithms: for
    a confident prediction, 1 - p rounds to 0 in float64 while (1 - p)^gamma is still far from 0.
    """
    log_p = torch.log_softmax(logits, 1)
    largest, others = largest_and_others(logits)
    first = log_p == log_p.max(1, keepdim=True).values
    log_rest = torch.where(first, -softplus(largest - others)[:, None], torch.log1p(-log_p.exp()))
    terms = (gamma * (log_p + log_rest)).exp()
    order = log_p.argsort(1, descending=True)[:, :classes]
    return terms.gather(1, order).sum(1)
