"""The schedule of a learning rate over a training."""

import math


def warm_cosine(step: int, total: int) -> float:
    """Return the learning rate at a step as a share of the peak: a warm-up times a cosine.

    The warm-up rises linearly over the first twentieth of the steps. The cosine falls from 1 to 0 over all steps.
    """
    warm_up = max(1, total // 20)
    return min(1.0, (step + 1) / warm_up) * 0.5 * (1.0 + math.cos(math.pi * min(1.0, step / total)))
