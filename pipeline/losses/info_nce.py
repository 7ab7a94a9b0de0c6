"""InfoNCE with outlier negatives: the contrastive part of mutual-information contrastive learning (MICL)."""

import torch
from torch import Tensor
from torch.nn.functional import normalize


def info_nce(
    features: Tensor,  # (n, d) of ID rows, any scale
    labels: Tensor,  # (n,) class of each row
    outliers: Tensor,  # (m, d) features of outliers, m may be 0
    *,
    temperature: float,
) -> Tensor:  # (n,) nats
    """Return the loss that draws each ID row to its class and away from the other classes and the outliers.

        loss_i = mean over p in P(i) of  logsumexp([s_ip, s_ij for j in N(i), s_io for o in O] / t) - s_ip / t

    s is cosine similarity, t the temperature, P(i) the other rows of i's class, N(i) the rows of other classes, O the
    outliers. Each term is the InfoNCE loss of one positive among 1 + |N(i)| + m candidates. Lower is better. A row that
    is alone in its class has the value 0, attached to the graph.

    This is a contrastive loss and no bound, since the negatives are chosen. With negatives drawn from the marginal of
    the positives, log(candidates) - loss would be a lower bound of a mutual information: that of the features of two
    rows of a class.

    Source: van den Oord et al. 2018, https://arxiv.org/abs/1807.03748, eq. 4. Several positives are as in Khosla et al.
    2020, https://arxiv.org/abs/2004.11362, eq. 2. Differs in that the other positives are not among the negatives.
    """
    id_directions, outlier_directions = normalize(features, dim=1), normalize(outliers, dim=1)
    similarity = id_directions @ id_directions.T / temperature
    same_class = labels[:, None] == labels[None, :]
    positive = same_class & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    lowest = torch.finfo(similarity.dtype).min
    outlier_similarity = id_directions @ outlier_directions.T / temperature
    negatives = torch.cat([similarity.masked_fill(same_class, lowest), outlier_similarity], dim=1)
    negative_sum = torch.logsumexp(negatives, dim=1, keepdim=True)
    per_pair = torch.logaddexp(similarity, negative_sum) - similarity
    return (per_pair * positive).sum(1) / positive.sum(1).clamp(min=1)
