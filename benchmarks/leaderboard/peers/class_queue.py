"""The last features of each class: what VOS and NPOS synthesize outliers from."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class ClassQueue(nn.Module):
    """As many rows of every class, the newest in place of the oldest.

    The smallest class sets how many, at most `largest`: all classes are full, and of the last pass over the data, once
    every row has been seen.
    """

    rows: Tensor  # (k, q, d), in no order
    seen: Tensor  # (k,) how many rows came so far

    def __init__(self, class_sizes: Sequence[int], features: int, largest: int) -> None:
        super().__init__()
        self.capacity = min(largest, *class_sizes)
        self.register_buffer("rows", torch.zeros(len(class_sizes), self.capacity, features))
        self.register_buffer("seen", torch.zeros(len(class_sizes), dtype=torch.long))

    @property
    def full(self) -> bool:
        """Whether every class has all its rows."""
        return bool((self.seen >= self.capacity).all())

    def push(self, features: Tensor, labels: Tensor) -> None:  # (n, d), (n,)
        """Take in the rows of a batch, without their gradient, in their order."""
        own = labels[:, None] == torch.arange(len(self.seen), device=labels.device)
        earlier = own.cumsum(0).gather(1, labels[:, None])[:, 0] - 1  # of the same class in this batch
        arrived = own.sum(0)
        kept = earlier >= arrived[labels] - self.capacity  # of two rows for one place, PyTorch would write either
        places = (self.seen[labels] + earlier) % self.capacity
        self.rows[labels[kept], places[kept]] = features.detach()[kept]
        self.seen += arrived
