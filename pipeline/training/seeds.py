"""Train one network per seed, side by side, each with a learning curve; a rerun keeps finished networks."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from pipeline.networks.saved_network import HISTORY
from pipeline.runtime.files import read_json
from pipeline.runtime.launch import Launch
from pipeline.runtime.units import Done, Unit, run_units
from pipeline.training.curve import Curve, epochs_in, latest_accuracy, remove_curves


class SeedTraining(Unit, Protocol):
    """The training of one seed."""

    @property
    def curve(self) -> Path:
        """The file of its learning curve."""
        ...


TrainingT = TypeVar("TrainingT", bound=SeedTraining)


def train_seeds(
    function: Callable[[TrainingT], None],
    trainings: Sequence[TrainingT],
    *,
    curves: Path,
    epochs: int,
    launch: Launch,
    title: str,
) -> None:
    """Call `function` on every training that is not finished, with a progress bar of all their epochs.

    curves: the folder of the curves, which starts empty. DVC has emptied it, or a killed run left curves of unfinished
    seeds, which are out of date. The curve of a finished seed is written again from its history.
    """
    remove_curves(curves)
    for training in trainings:
        if training.output.is_dir():
            Curve(training.curve).show(read_json(training.output / HISTORY))
    run_units(function, trainings, launch=launch, title=f"{title}, epochs", steps=epochs, done=_so_far)


def _so_far(trainings: Sequence[SeedTraining]) -> Done:
    """Return the finished epochs, and the accuracy on ID validation after the last one of each, the mean of them."""
    curves = [training.curve for training in trainings]
    found = [accuracy for curve in curves if (accuracy := latest_accuracy(curve)) is not None]
    note = f"ID validation {100 * sum(found) / len(found):.1f} %" if found else ""
    return Done(sum(map(epochs_in, curves)), note)
