"""One look for progress on the terminal: a bar with what is done, what is left and how long it takes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


@contextmanager
def progress(what: str, total: int, done: int = 0) -> Iterator[Callable[[int], None]]:
    """Show a bar for `total` steps on stderr and yield the function that advances it.

    Where stderr is no terminal (a log file, CI) one line is printed when all is done.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        console = Console(stderr=True, width=100)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(escape(what), total=total, completed=done)
        yield lambda steps: bar.advance(task, steps)


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show on a terminal that something of unknown length goes on; nothing of it stays, or comes into a log file."""
    with Console(stderr=True).status(escape(what)):
        yield
