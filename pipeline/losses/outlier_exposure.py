"""Outlier exposure: the prediction for an outlier should be uniform over the classes."""

import math

from torch import Tensor
from torch.nn.functional import log_softmax


def outlier_exposure(
    logits: Tensor,  # (m, k) of outliers
) -> Tensor:  # (m,) nats
    """Return the Kullback-Leibler divergence from the uniform distribution to each prediction.

        loss_i = KL(u || p_i) = -log k - (1 / k) sum_c log p_ic

    p is the soft-max of the logits, u the uniform distribution over k classes. The loss is 0 for a uniform prediction;
    lower is better; no outliers give no values.

    Source: Hendrycks et al. 2019, https://arxiv.org/abs/1812.04606, section 4.3. Its cross-entropy to the uniform
    distribution is this loss plus log k.
    """
    return -math.log(logits.shape[1]) - log_softmax(logits, dim=1).mean(1)
