"""Outlier exposure: the prediction for an outlier should be uniform, or the mix of the classes that it lies between."""

from torch import Tensor
from torch.nn.functional import log_softmax


def outlier_exposure(
    logits: Tensor,  # (m, k) of outliers
    targets: Tensor,  # (m, k) probabilities, sums of 1
) -> Tensor:  # (m,) nats
    """Return the Kullback-Leibler divergence from the target of each outlier to its prediction.

        loss_i = KL(y_i || p_i) = sum_c y_ic log y_ic - sum_c y_ic log p_ic

    y is the target, p the soft-max of the logits. The loss is 0 where prediction and target agree; lower is better; no
    outliers give no values.

    Source: Hendrycks et al. 2019, https://arxiv.org/abs/1812.04606, section 4.3, where every target is uniform. Its
    cross-entropy to the uniform distribution is this loss plus log k.
    """
    return (targets.xlogy(targets) - targets * log_softmax(logits, dim=1)).sum(1)
