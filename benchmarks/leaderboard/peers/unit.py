"""One training of a peer, as its process gets it."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.params.networks import NetworkParams, OptimiserParams


@dataclass(frozen=True)
class PeerUnit:
    """One seed's training, whole in itself: it can run in any process."""

    peer: str
    """A key of `PEERS` in `train.py`."""
    seed: int
    network: NetworkParams
    optimiser: OptimiserParams
    latents: Path
    """The ID training latents."""
    exposure: Path | None
    """Latents of real outliers, for the peer that sees them."""
    output: Path
    curve: Path
