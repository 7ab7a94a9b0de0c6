"""How a learning rate changes over a training."""

import math


def warm_cosine(step: int, total: int) -> float:
    """Return the share of the peak rate at a step: up over the first twentieth, then down along a cosine."""
    warm = max(1, total // 20)
    return min(1.0, (step + 1) / warm) * 0.5 * (1.0 + math.cos(math.pi * min(1.0, step / total)))
