"""Distillation: the student keeps the teacher's predictions of ID classes while it learns to reject outliers."""

from torch import Tensor
from torch.nn.functional import kl_div, log_softmax


def logit_distillation(
    student: Tensor,  # (n, k) logits
    teacher: Tensor,  # (n, k) logits
    *,
    temperature: float,
) -> Tensor:  # (n,) nats
    """Return the divergence of each prediction of the student from the teacher's.

        loss_i = t^2 KL(q_i || p_i),   q = softmax(teacher / t),   p = softmax(student / t)

    t is the temperature; t^2 keeps the size of the gradient. The loss is 0 when both agree; lower is better.

    Source: Hinton et al. 2015, https://arxiv.org/abs/1503.02531, section 2. With t = 1 it is the logit term of OAL,
    https://arxiv.org/abs/2406.16525, except that the caller takes the batch mean.
    """
    return _softened_divergence(student, teacher, temperature)


def feature_distillation(
    student: Tensor,  # (n, d) features
    translated: Tensor,  # (n, d) the teacher's features, after the translator
    *,
    temperature: float,
) -> Tensor:  # (n,) nats
    """Return the divergence of each row's features from the teacher's, translated to the student's width.

        loss_i = t^2 KL(q_i || p_i),   q = softmax(translated / t),   p = softmax(student / t)

    t is the temperature. The soft-max is over the d features, so an equal shift of all features does not change the
    loss. The gradient reaches `translated` too, since the translator is trained together with the student. The loss is
    0 when both agree; lower is better; no rows give no values.

    Source: OAL, https://arxiv.org/abs/2406.16525, the feature term of its code, which is t = 1. Differs in that the
    caller takes the batch mean, and in t, which is ours.
    """
    return _softened_divergence(student, translated, temperature)


def _softened_divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    p = log_softmax(student / temperature, dim=1)
    q = log_softmax(teacher / temperature, dim=1)
    return temperature**2 * kl_div(p, q, reduction="none", log_target=True).sum(1)
