"""The learning curve of a training: a CSV file with a line per epoch, written as soon as the epoch ends."""

import math
from collections.abc import Mapping
from pathlib import Path

from pipeline.runtime.errors import DivergedError

Epoch = dict[str, float]
"""`learning_rate` of the epoch's last step, the mean over its steps of each weighted loss, by name, and the share of ID
validation images that the network named rightly after it, where that was asked for."""
History = list[Epoch]
"""One entry per epoch."""

RATE, ACCURACY = "learning_rate", "id_validation_accuracy"
SUM = "loss"
"""The column of the minimised sum of the losses. It is the last column, which `dvc plots` draws by default."""


class Curve:
    """The CSV file of one training; it grows with the history.

    It has no times, so that a rerun writes the same bytes. During the training it has the epochs so far.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.epochs_written = path, 0

    def show(self, history: History) -> int:
        """Append the epochs of `history` that are not in the file yet, and return how many; the first call starts it.

        An old file is deleted instead of overwritten, since it may be a link into DVC's cache.
        """
        new_epochs = history[self.epochs_written :]
        lines = [_line(number, epoch) for number, epoch in enumerate(new_epochs, self.epochs_written + 1)]
        if not self.epochs_written:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.unlink(missing_ok=True)
            lines.insert(0, ",".join(("epoch", *(_columns(history[0]) if history else (RATE,)), SUM)))
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write("".join(f"{line}\n" for line in lines))
        self.epochs_written += len(new_epochs)
        return len(new_epochs)


def end_epoch(history: History, rate: float, losses: Mapping[str, float], peak_rate: float) -> None:
    """Add an epoch with its last learning rate to `history`; raises DivergedError unless its losses are finite."""
    for name, value in losses.items():
        if not math.isfinite(value):
            raise DivergedError(name, value, len(history) + 1, peak_rate)
    history.append({RATE: rate, **losses})


def latest_accuracy(path: Path) -> float | None:
    """Return the accuracy after the last epoch in the file of a curve; None where there is none yet."""
    try:
        lines = path.read_text(encoding="utf-8").rpartition("\n")[0].splitlines()  # the last line may be half written
    except FileNotFoundError:
        return None
    if len(lines) < 2 or ACCURACY not in (names := lines[0].split(",")):
        return None
    return float(lines[-1].split(",")[names.index(ACCURACY)])


def epochs_in(path: Path) -> int:
    """Return the number of epochs in the file of a curve; 0 where there is no file yet."""
    try:
        return max(0, path.read_bytes().count(b"\n") - 1)
    except FileNotFoundError:
        return 0


def remove_curves(folder: Path) -> None:
    """Create `folder` if there is none, and delete the curves in it."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.csv"):
        path.unlink()


def loss_names(epoch: Epoch) -> list[str]:
    """Return the names of the losses of an epoch."""
    return sorted(epoch.keys() - {RATE, ACCURACY})


def _columns(epoch: Epoch) -> list[str]:
    accuracy = [ACCURACY] if ACCURACY in epoch else []
    return [RATE, *accuracy, *loss_names(epoch)]


def _line(number: int, epoch: Epoch) -> str:
    values = [epoch[name] for name in _columns(epoch)]
    return ",".join(map(repr, (number, *values, math.fsum(epoch[name] for name in loss_names(epoch)))))
