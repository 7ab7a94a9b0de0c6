"""Run independent units of work side by side: every finished one is kept, the first error ends the run."""

import multiprocessing
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

import torch

from pipeline.errors import PipelineError, UnitError
from pipeline.files import PARTIAL
from pipeline.progress import progress


class Unit(Protocol):
    """Work whose only result is a folder, which exists when, and only when, the work is done."""

    @property
    def output(self) -> Path:
        """The folder."""
        ...


UnitT = TypeVar("UnitT", bound=Unit)


def run_units(function: Callable[[UnitT], None], units: Sequence[UnitT], *, workers: int, what: str) -> None:
    """Call `function` on every unit that has no output yet, in processes of one thread each, with a bar.

    One thread, whatever the number of workers: a sum split otherwise would change the last bit of a result.
    Raises UnitError when a unit ends with an error or its process dies; errors of the pipeline pass as they are.
    """
    todo = [unit for unit in units if not unit.output.is_dir()]
    if not todo:
        return
    context = multiprocessing.get_context("spawn")
    with (
        progress(what, len(units), len(units) - len(todo)) as advance,
        ProcessPoolExecutor(min(workers, len(todo)), context, torch.set_num_threads, (1,)) as pool,
    ):

        def count(future: Future[None]) -> None:
            if not future.cancelled() and future.exception() is None:
                advance(1)

        futures = {pool.submit(function, unit): unit for unit in todo}
        for future in futures:
            future.add_done_callback(count)
        done, waiting = wait(futures, return_when=FIRST_EXCEPTION)
        for future in waiting:
            future.cancel()
        for future in done:
            _raise_error_of(future, futures[future])


@contextmanager
def finished_folder(output: Path) -> Iterator[Path]:
    """Yield a folder to write into that is renamed to `output` when the body ends without an error."""
    partial = output.with_name(output.name + PARTIAL)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    yield partial
    partial.rename(output)


def _raise_error_of(future: Future[None], unit: Unit) -> None:
    error = None if future.cancelled() else future.exception()
    if error is None:
        return
    if isinstance(error, PipelineError):
        raise error
    reason = "its process died" if isinstance(error, BrokenProcessPool) else f"{type(error).__name__}: {error}"
    raise UnitError(unit.output.name, reason) from error
