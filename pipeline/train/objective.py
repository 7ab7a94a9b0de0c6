"""What a detector minimises in one step: cross-entropy, outlier exposure, MICL and distillation, weighted."""

from torch import Tensor
from torch.nn.functional import cross_entropy

from pipeline.losses.distillation import logit_distillation
from pipeline.losses.info_nce import info_nce
from pipeline.losses.outlier_exposure import outlier_exposure
from pipeline.networks.fit import Losses
from pipeline.networks.resnet import Prediction
from pipeline.train.params import TrainParams


def objective(
    known: Prediction,  # of n ID rows
    outliers: Prediction,  # of m outliers, through the same network
    labels: Tensor,  # (n,)
    teacher: Tensor,  # (n, k) logits of the teacher on the same ID rows
    params: TrainParams,
) -> Losses:
    """Return the weighted mean of each loss that has a weight.

        cross_entropy + w_oe KL(u || p_outlier) + w_micl InfoNCE(ID, outliers as negatives) + w_kd t^2 KL(q || p)

    Source: the parts of OAL's loss, https://arxiv.org/abs/2406.16525, with outliers that pass through the network and
    with a MICL whose gradient is not zero in expectation.
    """
    exposure, micl, distillation = params.outlier_exposure, params.micl, params.distillation
    losses = {"cross_entropy": cross_entropy(known.logits, labels)}
    if exposure.weight:
        losses["outlier_exposure"] = exposure.weight * outlier_exposure(outliers.logits).mean()
    if micl.weight:
        contrast = info_nce(known.features, labels, outliers.features, temperature=micl.temperature)
        losses["micl"] = micl.weight * contrast.mean()
    if distillation.weight:
        kept = logit_distillation(known.logits, teacher, temperature=distillation.temperature)
        losses["distillation"] = distillation.weight * kept.mean()
    return losses
