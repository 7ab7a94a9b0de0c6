"""Compute the losses of a step and their gradients: anew each time, or on a GPU recorded once and replayed."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

Losses = dict[str, Tensor]
"""Weighted mean of each loss, by name; their sum is minimised."""
Drawn = tuple[Tensor, ...]
"""What the losses of a step are computed from."""
WARM_UP = 3
"""Passes before one is recorded: what libraries set up on their first calls may not be part of a graph."""


@dataclass(frozen=True)
class Step:
    """What a training does in a step, in two parts: the first draws, the second computes."""

    draw: Callable[[Tensor], Drawn]
    """Given the row numbers of a batch (n,), the tensors that its losses are computed from, on the network's device."""
    losses: Callable[..., Losses]
    """Given these tensors, the losses."""
    recordable: bool = False
    """Whether `losses` is the same kernels each time, on its tensors and weights alone: no randomness, no other state,
    no decision that the GPU would have to be asked for."""


class Gradients:
    """Leaves the gradients of a step's losses in a network's parameters.

    A small network leaves a GPU idle between kernels, as Python takes longer to ask for one than it runs. So a
    recordable step is recorded as a CUDA graph, once, and replayed; batches of another size are computed anew.

    Source: https://pytorch.org/blog/accelerating-pytorch-with-cuda-graphs/
    """

    def __init__(self, network: nn.Module, step: Step) -> None:
        self.network, self.step = network, step
        on_gpu = next(network.parameters()).device.type == "cuda"
        self._recorded: _Recorded | None = None
        self._records = step.recordable and on_gpu

    def __call__(self, batch: Tensor) -> Losses:
        """Return the losses of the rows numbered `batch` (n,), detached."""
        drawn = self.step.draw(batch)
        if not self._records:
            return self._computed(drawn)
        if self._recorded is None:
            self._recorded = _Recorded(self.network, self._computed, drawn)
        return self._recorded(drawn) if self._recorded.fits(drawn) else self._computed(drawn)

    def _computed(self, drawn: Drawn) -> Losses:
        self.network.zero_grad(set_to_none=True)
        losses = self.step.losses(*drawn)
        torch.stack(list(losses.values())).sum().backward()
        return {name: value.detach() for name, value in losses.items()}


class _Recorded:
    """The kernels of one step, on tensors that stay where they are."""

    def __init__(self, network: nn.Module, computed: Callable[[Drawn], Losses], drawn: Drawn) -> None:
        self.drawn = tuple(values.clone() for values in drawn)
        beside = torch.cuda.Stream()
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            for _ in range(WARM_UP):
                computed(self.drawn)
        torch.cuda.current_stream().wait_stream(beside)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.losses = computed(self.drawn)
        self.gradients = [(parameter, parameter.grad) for parameter in network.parameters()]

    def fits(self, drawn: Drawn) -> bool:
        """Return whether these tensors are of the shapes that were recorded."""
        return all(mine.shape == its.shape for mine, its in zip(self.drawn, drawn, strict=True))

    def __call__(self, drawn: Drawn) -> Losses:
        for mine, its in zip(self.drawn, drawn, strict=True):
            mine.copy_(its)
        self.graph.replay()
        for parameter, gradient in self.gradients:  # another step in between may have left its own
            parameter.grad = gradient
        return {name: value.clone() for name, value in self.losses.items()}
