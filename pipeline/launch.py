"""Where units of work run: in processes of this machine, or as tasks of a Ray cluster."""

from dataclasses import dataclass

from pipeline.errors import ClusterError


@dataclass(frozen=True)
class Launch:
    """What the command line says of it; never a parameter, since it may not change a byte."""

    workers: int | None = None
    """How many run side by side on this machine; None: one per core, or one on a GPU."""
    ray: str | None = None
    """Address of the Ray cluster that runs them instead: `host:port`, or `auto` for the one that this machine is in."""

    ranks: int = 1
    """Processes of the cluster that share the training of one seed. They add gradients in another order than one
    process does, so this, alone here, may change last bits."""

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        if self.ranks > 1 and not self.ray:
            raise ClusterError(
                "--ranks",
                f"{self.ranks} without a Ray cluster",
                "one to run them on",
                "Set RAY_ADDRESS or --ray (docs/cluster.md), or leave out --ranks.",
            )
        if self.workers and self.ray:
            raise ClusterError(
                "--workers",
                f"{self.workers} beside the Ray cluster {self.ray!r}",
                "one of the two",
                "A cluster runs as many units as it has cores: leave out --workers, or unset RAY_ADDRESS.",
            )
