"""Where units of work run: in processes on this machine, or as tasks of a Ray cluster."""

from dataclasses import dataclass

from pipeline.runtime.errors import ClusterError


@dataclass(frozen=True)
class Launch:
    """Launch options of the command line. They are not parameters, since they may not change a byte of an output."""

    workers: int | None = None
    """Number of units in parallel on this machine. None means one per core, or one on a GPU."""
    ray: str | None = None
    """Address of the Ray cluster that runs the units instead: `host:port`, or `auto` for this machine's cluster."""
    ranks: int = 1
    """Number of cluster processes that share the training of one seed. They add gradients in another order than one
    process does. So this option, unlike the others, may change last bits."""

    def __post_init__(self) -> None:
        """Raise ClusterError when two options contradict each other."""
        if self.ranks > 1 and not self.ray:
            raise ClusterError(
                "--ranks",
                f"{self.ranks} without a Ray cluster",
                "a Ray cluster",
                "Set RAY_ADDRESS or --ray (docs/cluster.md), or leave out --ranks.",
            )
        if self.workers and self.ray:
            raise ClusterError(
                "--workers",
                f"{self.workers} beside the Ray cluster {self.ray!r}",
                "one of the two",
                "A cluster runs as many units as it has cores. Leave out --workers, or unset RAY_ADDRESS.",
            )
