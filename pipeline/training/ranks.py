"""Train one network in several processes, the ranks: each computes a part of every batch and gets the whole output."""

import torch
from torch import Tensor, distributed, nn

from pipeline.networks.resnet import LatentResNet, Prediction


class RankedNetwork(nn.Module):
    """A network whose batches are divided among the ranks that torch.distributed has joined.

    Outputs are gathered with their gradient, and every rank computes the losses of the whole batch. So losses over
    pairs of rows and over outliers are those of one process. The backward pass through the gathering sums gradients
    over the ranks, and DistributedDataParallel takes their mean. So every rank steps by the gradient of one process, up
    to rounding. A batch is padded with copies of its last row until all parts have the same size.
    """

    def __init__(self, network: LatentResNet) -> None:
        super().__init__()
        self.head = network.head
        self.parallel = nn.parallel.DistributedDataParallel(network)

    def forward(self, latents: Tensor) -> Prediction:
        """Return logits (n, k) and features (n, d) of standardised latents (n, c, h, w), the same on every rank."""
        from torch.distributed.nn.functional import all_gather

        ranks, rank = distributed.get_world_size(), distributed.get_rank()
        part_size = -(-len(latents) // ranks)
        padding = latents[-1:].expand(part_size * ranks - len(latents), -1, -1, -1)
        padded = torch.cat([latents, padding])
        prediction = self.parallel(padded[rank * part_size : (rank + 1) * part_size])
        return Prediction(*(torch.cat(all_gather(values))[: len(latents)] for values in prediction))


def shared_by_ranks(network: LatentResNet) -> LatentResNet | RankedNetwork:
    """Return the network with its batches divided among the ranks, or the network itself without ranks."""
    return RankedNetwork(network) if distributed.is_initialized() else network


def is_first() -> bool:
    """Return whether this process is the one that writes: rank 0, or the only process."""
    return not distributed.is_initialized() or distributed.get_rank() == 0
