"""Progress bars of all stages and commands, with the finished steps, the elapsed and the remaining time."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from pipeline.runtime.text.terminal import Console, visible


class Advance(Protocol):
    """Advances a bar by so many steps; a note is shown at its end until the next one."""

    def __call__(self, steps: int, /, note: str = "") -> None:
        """Advance the bar, and put the note there unless it is empty."""


@contextmanager
def progress(title: str, total: int, done: int = 0) -> Iterator[Advance]:
    """Show a bar for `total` steps on stderr, and yield the function that advances it.

    done: number of steps that are already finished.
    If stderr is not a terminal (a log file, CI), one line is printed at the end instead.
    """
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(visible(title, console.encoding), total=total, completed=done, note="")

        def advance(steps: int, /, note: str = "") -> None:
            bar.advance(task, steps)
            if note:
                bar.update(task, note=visible(note, console.encoding))

        yield advance


@contextmanager
def waiting(title: str) -> Iterator[None]:
    """Show a spinner while work of unknown length runs. It is removed at the end, and never written to a log file."""
    console = Console(stderr=True)
    with console.status(console.render_str(title), spinner="line"):
        yield
