"""Logit distillation: keep what a teacher knows of the ID classes while the student learns to reject outliers."""

from torch import Tensor
from torch.nn.functional import kl_div, log_softmax


def logit_distillation(
    student: Tensor,  # (n, k) logits
    teacher: Tensor,  # (n, k) logits
    *,
    temperature: float,
) -> Tensor:  # (n,) nats
    """Return how far each prediction of the student is from the teacher's.

        loss_i = t^2 KL(q_i || p_i),   q = softmax(teacher / t),   p = softmax(student / t)

    t is the temperature; t^2 keeps the size of the gradient. 0 when both agree; lower is better.

    Source: Hinton et al. 2015, https://arxiv.org/abs/1503.02531, section 2; with t = 1 the logit term of OAL,
    https://arxiv.org/abs/2406.16525, except that its batch mean is left to the caller.
    """
    p = log_softmax(student / temperature, dim=1)
    q = log_softmax(teacher / temperature, dim=1)
    return temperature**2 * kl_div(p, q, reduction="none", log_target=True).sum(1)
