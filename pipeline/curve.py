"""The learning curve of a training: a CSV file with a line per epoch, there to be watched as soon as the epoch ends."""

import math
from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import DivergedError

Epoch = dict[str, float]
"""`learning_rate`, that of the epoch's last step, and the mean over its steps of each weighted loss, by name."""
History = list[Epoch]
"""One entry per epoch."""

RATE = "learning_rate"
SUM = "loss"
"""What is minimised: the sum of the losses. It is in every curve, and last, where `dvc plots` looks by itself."""


class Curve:
    """The file, which follows a growing history.

    It holds what a rerun gives again, and no times. Until a training ends its file is what came so far.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.shown = path, 0

    def show(self, history: History) -> int:
        """Add the epochs that `history` has beyond those shown and return how many; the first call starts a new file.

        An old file is deleted and not written over, since it may be a link into DVC's cache.
        """
        new = history[self.shown :]
        lines = [_line(number, epoch) for number, epoch in enumerate(new, self.shown + 1)]
        if not self.shown:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.unlink(missing_ok=True)
            lines.insert(0, ",".join(("epoch", RATE, *(_losses(history[0]) if history else ()), SUM)))
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write("".join(f"{line}\n" for line in lines))
        self.shown += len(new)
        return len(new)


def end_epoch(history: History, rate: float, losses: Mapping[str, float], peak_rate: float) -> None:
    """Add to `history` an epoch that ended at a learning rate; raises DivergedError unless its losses are finite."""
    for name, value in losses.items():
        if not math.isfinite(value):
            raise DivergedError(name, value, len(history) + 1, peak_rate)
    history.append({RATE: rate, **losses})


def epochs_in(path: Path) -> int:
    """Return how many epochs a curve shows; none where no file is yet."""
    try:
        return max(0, path.read_bytes().count(b"\n") - 1)
    except FileNotFoundError:
        return 0


def remove_curves(folder: Path) -> None:
    """Make `folder` a folder without curves."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.csv"):
        path.unlink()


def _losses(epoch: Epoch) -> list[str]:
    return sorted(name for name in epoch if name != RATE)


def _line(number: int, epoch: Epoch) -> str:
    losses = [epoch[name] for name in _losses(epoch)]
    return ",".join(map(repr, (number, epoch[RATE], *losses, math.fsum(losses))))
