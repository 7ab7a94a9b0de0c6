"""InfoNCE with outlier negatives: the contrastive part of mutual-information contrastive learning (MICL)."""

import torch
from torch import Tensor
from torch.nn.functional import normalize


def info_nce(
    features: Tensor,  # (n, d) of ID rows, any scale
    labels: Tensor,  # (n,) class of each
    outliers: Tensor,  # (m, d) features of outliers, m may be 0
    *,
    temperature: float,
) -> Tensor:  # (n,) nats
    """Contrast each ID row with its class against the other classes and the outliers.

        loss_i = mean over p in P(i) of  logsumexp([s_ip, s_ij for j in N(i), s_io for o in O] / t) - s_ip / t

    s is cosine similarity, t the temperature, P(i) the other rows of i's class, N(i) the rows of other classes, O the
    outliers. Each term is the InfoNCE loss of one positive among 1 + |N(i)| + m candidates. With negatives drawn from
    the marginal of the positives, log(candidates) - loss would be a lower bound of the mutual information of a feature
    and its class-mate's; these negatives are chosen, so here it is a contrastive loss and no bound. Lower is better. A
    row that is alone in its class has the value 0, still attached to the graph.

    Source: van den Oord et al. 2018, https://arxiv.org/abs/1807.03748, eq. 4; several positives as in Khosla et al.
    2020, https://arxiv.org/abs/2004.11362, eq. 2, but other positives are not counted among a positive's negatives.
    """
    unit, others = normalize(features, dim=1), normalize(outliers, dim=1)
    alike = unit @ unit.T / temperature
    same = labels[:, None] == labels[None, :]
    positive = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    lowest = torch.finfo(alike.dtype).min
    negatives = torch.cat([alike.masked_fill(same, lowest), unit @ others.T / temperature], dim=1)
    against = torch.logsumexp(negatives, dim=1, keepdim=True)
    per_pair = torch.logaddexp(alike, against) - alike
    return (per_pair * positive).sum(1) / positive.sum(1).clamp(min=1)
