"""Run independent units of work in parallel. Finished units are kept, and the first error ends the run."""

import multiprocessing
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from pipeline.runtime.child_process import end_with_parent
from pipeline.runtime.cluster import RanksPool, RayPool
from pipeline.runtime.device import UNIT_THREADS, chosen_device, default_workers
from pipeline.runtime.errors import PipelineError, UnitError
from pipeline.runtime.files import partial_path
from pipeline.runtime.launch import Launch
from pipeline.runtime.memory import share_budget
from pipeline.runtime.progress import progress
from pipeline.runtime.shortage import needed_memory


class Unit(Protocol):
    """Work whose only result is a folder. The folder exists if, and only if, the work is done."""

    @property
    def output(self) -> Path:
        """The folder that the unit makes."""
        ...


UnitT = TypeVar("UnitT", bound=Unit)

SECONDS_BETWEEN_UPDATES = 0.5


class Done(NamedTuple):
    """How far the units are: finished steps of all together, and what is shown beside the bar."""

    steps: int
    note: str = ""


def finished_units(units: Sequence[Unit]) -> Done:
    """Return how many units are finished; each is one step."""
    return Done(sum(unit.output.is_dir() for unit in units))


def run_units(
    function: Callable[[UnitT], None],
    units: Sequence[UnitT],
    *,
    launch: Launch,
    title: str,
    steps: int = 1,
    done: Callable[[Sequence[UnitT]], Done] = finished_units,
) -> None:
    """Call `function` on every unit that has no output yet, with a progress bar.

    The calls run in other processes, on this machine or on a cluster.
    title: of the progress bar; steps: number of steps per unit; done: returns how far the units are, and is called
    repeatedly.
    Raises UnitError when a unit ends with an error or its process dies. A PipelineError is raised unchanged, and so is
    an error that means that memory does not suffice.
    Ctrl-C and the death of this process, even by SIGKILL, end the workers too.
    """
    unfinished = [unit for unit in units if not unit.output.is_dir()]
    if not unfinished:
        return
    with progress(title, steps * len(units)) as advance, _pool(launch, len(unfinished)) as pool:
        futures = [pool.submit(_unless_done, function, unit) for unit in unfinished]
        shown_steps, ended = 0, False
        try:
            while not ended:
                ended = _ended(futures)
                finished = done(units)
                advance(finished.steps - shown_steps, finished.note)
                shown_steps = finished.steps
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    _raise_first_error(unfinished, futures)


def _pool(launch: Launch, unit_count: int) -> Executor:
    if launch.ray is not None and launch.ranks > 1:
        return RanksPool(launch.ray, UNIT_THREADS, launch.ranks)
    if launch.ray is not None:
        return RayPool(launch.ray, UNIT_THREADS)
    workers = launch.workers or default_workers(chosen_device())
    processes = min(workers, unit_count)
    return ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _prepare_worker, (processes,))


def _unless_done(function: Callable[[UnitT], None], unit: UnitT) -> None:
    """Call `function` on a unit, unless its output exists: a process may have been lost after it finished the unit."""
    if not unit.output.is_dir():
        function(unit)


@contextmanager
def finished_folder(output: Path) -> Iterator[Path]:
    """Yield a temporary folder, which is renamed to `output` when the body ends without an error."""
    partial = partial_path(output)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    yield partial
    partial.rename(output)


def _prepare_worker(processes: int) -> None:
    """Give this worker its share of the memory budget, and make it end with its parent process."""
    share_budget(processes)
    end_with_parent()


def _ended(futures: Sequence[Future[None]]) -> bool:
    """Wait a short time, and return whether all futures have ended, or one of them with an error."""
    ended, waiting = wait(futures, SECONDS_BETWEEN_UPDATES, FIRST_EXCEPTION)
    return not waiting or any(future.exception() is not None for future in ended)


def _raise_first_error(units: Sequence[Unit], futures: Sequence[Future[None]]) -> None:
    """Raise the first error that a unit raised, or else a UnitError for the units of a process that died.

    A process that dies breaks the pool, so the futures of other units fail too.
    """
    errors = [
        (unit, future.exception())
        for unit, future in zip(units, futures, strict=True)
        if future.done() and not future.cancelled() and future.exception() is not None
    ]
    unit_errors = [(unit, error) for unit, error in errors if not isinstance(error, BrokenExecutor)]
    for unit, error in unit_errors:
        if error is not None and (isinstance(error, PipelineError) or needed_memory(error)):
            raise error
        raise UnitError(unit.output.name, f"{type(error).__name__}: {error}") from error
    if errors:
        names = ", ".join(unit.output.name for unit, _ in errors)
        raise UnitError(names, "a process died (killed, or out of memory)") from errors[0][1]
