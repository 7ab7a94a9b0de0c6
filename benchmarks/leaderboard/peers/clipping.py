"""Clip gradients by their norm, for methods that a first steep step would end before they have begun.

The networks here have group normalisation, and `pipeline/networks/fit.py` begins at the full learning rate. Official
codes have batch normalisation or a warm-up, with which the same losses start gently.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook


@contextmanager
def clipped(norm: float | None) -> Iterator[None]:
    """Clip the gradients of every step inside to this norm, over all parameters of an optimiser; None: leave them."""
    if norm is None:
        yield
        return

    def clip(optimiser: Optimizer, *_: Any) -> None:
        clip_grad_norm_([weight for group in optimiser.param_groups for weight in group["params"]], norm)

    handle = register_optimizer_step_pre_hook(clip)
    try:
        yield
    finally:
        handle.remove()
