"""Compute the losses of a step and their gradients, directly or as a CUDA graph that is recorded once."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

Losses = dict[str, Tensor]
"""The weighted mean of each loss, by name; their sum is minimised."""
StepInputs = tuple[Tensor, ...]
"""The tensors from which the losses of a step are computed."""
WARM_UP = 3
"""Passes before the recording. Libraries set up state in their first calls, which must not be part of a graph."""


@dataclass(frozen=True)
class Step:
    """The two parts of a training step: `draw` draws the inputs, `losses` computes the losses from them."""

    draw: Callable[[Tensor], StepInputs]
    """Takes the row indices of a batch (n,) and returns the inputs of `losses`, on the network's device."""
    losses: Callable[..., Losses]
    """Takes these tensors and returns the losses."""
    recordable: bool = False
    """Whether `losses` runs the same kernels each time, on its tensors and weights alone. So it has no randomness, no
    other state, and no branch that depends on a value on the GPU."""


class Gradients:
    """Computes a step's losses and writes their gradients to the parameters of a network.

    With a small network, a GPU is idle between kernels, since Python takes longer to launch a kernel than it runs. So a
    recordable step is recorded once as a CUDA graph and replayed. Batches of another size are computed directly.

    Source: https://pytorch.org/blog/accelerating-pytorch-with-cuda-graphs/
    """

    def __init__(self, network: nn.Module, step: Step) -> None:
        self.network, self.step = network, step
        on_gpu = next(network.parameters()).device.type == "cuda"
        self._graph: _RecordedStep | None = None
        self._uses_graph = step.recordable and on_gpu

    def __call__(self, batch: Tensor) -> Losses:
        """Return the detached losses of the rows with indices `batch` (n,)."""
        inputs = self.step.draw(batch)
        if not self._uses_graph:
            return self._compute(inputs)
        if self._graph is None:
            self._graph = _RecordedStep(self.network, self._compute, inputs)
        return self._graph(inputs) if self._graph.fits(inputs) else self._compute(inputs)

    def _compute(self, inputs: StepInputs) -> Losses:
        self.network.zero_grad(set_to_none=True)
        losses = self.step.losses(*inputs)
        torch.stack(list(losses.values())).sum().backward()
        return {name: value.detach() for name, value in losses.items()}


class _RecordedStep:
    """The kernels of one step as a CUDA graph, which reads and writes tensors at fixed addresses."""

    def __init__(self, network: nn.Module, compute: Callable[[StepInputs], Losses], inputs: StepInputs) -> None:
        self.inputs = tuple(values.clone() for values in inputs)
        side_stream = torch.cuda.Stream()
        side_stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side_stream):
            for _ in range(WARM_UP):
                compute(self.inputs)
        torch.cuda.current_stream().wait_stream(side_stream)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.losses = compute(self.inputs)
        self.gradients = [(parameter, parameter.grad) for parameter in network.parameters()]

    def fits(self, inputs: StepInputs) -> bool:
        """Return whether these tensors have the recorded shapes."""
        return all(old.shape == new.shape for old, new in zip(self.inputs, inputs, strict=True))

    def __call__(self, inputs: StepInputs) -> Losses:
        for old, new in zip(self.inputs, inputs, strict=True):
            old.copy_(new)
        self.graph.replay()
        for parameter, gradient in self.gradients:  # a step without the graph may have replaced the tensors
            parameter.grad = gradient
        return {name: value.clone() for name, value in self.losses.items()}
