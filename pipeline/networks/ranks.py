"""Train one network in several processes, the ranks: each passes a part of every batch, and all see the whole of it."""

import torch
from torch import Tensor, distributed, nn

from pipeline.networks.resnet import LatentResNet, Prediction


class Spread(nn.Module):
    """A network whose batches are divided among the ranks that torch.distributed has joined.

    Outputs are gathered with their gradient, so that losses over pairs of rows, and over outliers, are those of the
    whole batch: every rank computes all of them. The backward pass through the gathering sums over the ranks, and
    DistributedDataParallel takes the mean, so that every rank steps by the gradient of one process, up to rounding.
    A batch is filled up with its last row until all parts are of one size.
    """

    def __init__(self, network: LatentResNet) -> None:
        super().__init__()
        self.head = network.head
        self.spread = nn.parallel.DistributedDataParallel(network)

    def forward(self, latents: Tensor) -> Prediction:
        """Return logits (n, k) and features (n, d) of standardised latents (n, c, h, w), the same on every rank."""
        from torch.distributed.nn.functional import all_gather

        ranks, rank = distributed.get_world_size(), distributed.get_rank()
        own = -(-len(latents) // ranks)
        filled = torch.cat([latents, latents[-1:].expand(own * ranks - len(latents), -1, -1, -1)])
        passed = self.spread(filled[rank * own : (rank + 1) * own])
        return Prediction(*(torch.cat(all_gather(values))[: len(latents)] for values in passed))


def spread(network: LatentResNet) -> LatentResNet | Spread:
    """Return what passes the batches of a training: the network itself where this process is the only one."""
    return Spread(network) if distributed.is_initialized() else network


def is_first() -> bool:
    """Return whether this process is the one that writes."""
    return not distributed.is_initialized() or distributed.get_rank() == 0
