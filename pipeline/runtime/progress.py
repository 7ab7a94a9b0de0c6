"""Progress bars of all stages and commands, with the finished steps, the elapsed and the remaining time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from pipeline.runtime.text.terminal import Console, visible


@contextmanager
def progress(title: str, total: int, done: int = 0) -> Iterator[Callable[[int], None]]:
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
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(visible(title, console.encoding), total=total, completed=done)
        yield lambda steps: bar.advance(task, steps)


@contextmanager
def waiting(title: str) -> Iterator[None]:
    """Show a spinner while work of unknown length runs. It is removed at the end, and never written to a log file."""
    console = Console(stderr=True)
    with console.status(console.render_str(title), spinner="line"):
        yield
