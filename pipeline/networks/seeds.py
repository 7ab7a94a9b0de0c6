"""Train one network per seed, side by side and each with its learning curve; those of a killed run are kept."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from pipeline.curve import Curve, epochs_in, remove_curves
from pipeline.files import read_json
from pipeline.launch import Launch
from pipeline.networks.folder import HISTORY
from pipeline.units import Unit, run_units


class Training(Unit, Protocol):
    """The training of one seed."""

    @property
    def curve(self) -> Path:
        """The file that it shows its epochs in."""
        ...


TrainingT = TypeVar("TrainingT", bound=Training)


def train_seeds(
    function: Callable[[TrainingT], None],
    trainings: Sequence[TrainingT],
    *,
    curves: Path,
    epochs: int,
    launch: Launch,
    what: str,
) -> None:
    """Call `function` on every training that is not finished, with a bar of all their epochs.

    curves: the folder of the curves. DVC has emptied it, and what a killed run left of a seed that did not end says
    nothing any more, so it starts empty; a finished seed's curve is written again from its history.
    """
    remove_curves(curves)
    for training in trainings:
        if training.output.is_dir():
            Curve(training.curve).show(read_json(training.output / HISTORY))
    run_units(
        function, trainings, launch=launch, what=f"{what}, epochs", steps=epochs,
        done=lambda training: epochs_in(training.curve),
    )  # fmt: skip
