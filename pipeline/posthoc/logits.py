"""Functions of logits that keep precision which a float64 softmax would lose."""

import torch
from torch import Tensor


def largest_and_others(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Return the largest logit of each row and the logsumexp of the other logits, each (n,)."""
    top = logits.max(1, keepdim=True)
    others = logits.scatter(1, top.indices, -torch.inf)
    return top.values[:, 0], torch.logsumexp(others, 1)
