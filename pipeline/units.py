"""Run independent units of work side by side: every finished one is kept, the first error ends the run."""

import multiprocessing
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from pipeline.child import end_with_parent
from pipeline.cluster import RanksPool, RayPool
from pipeline.device import UNIT_THREADS, chosen_device, default_workers
from pipeline.errors import PipelineError, UnitError
from pipeline.files import partial_path
from pipeline.launch import Launch
from pipeline.memory import share_budget
from pipeline.progress import progress


class Unit(Protocol):
    """Work whose only result is a folder, which exists when, and only when, the work is done."""

    @property
    def output(self) -> Path:
        """The folder."""
        ...


UnitT = TypeVar("UnitT", bound=Unit)

SECONDS_BETWEEN_LOOKS = 0.5


def finished(unit: Unit) -> int:
    """Return the steps that a unit of one step has done."""
    return int(unit.output.is_dir())


def run_units(
    function: Callable[[UnitT], None],
    units: Sequence[UnitT],
    *,
    launch: Launch,
    what: str,
    steps: int = 1,
    done: Callable[[UnitT], int] = finished,
) -> None:
    """Call `function` on every unit that has no output yet, in other processes, here or on a cluster, with a bar.

    steps: of each unit, as the bar counts them; done: how many of them a unit has behind it, asked again and again.
    Raises UnitError when a unit ends with an error or its process dies; errors of the pipeline pass as they are.
    Ctrl-C and the death of this process, SIGKILL included, end the workers too.
    """
    todo = [unit for unit in units if not unit.output.is_dir()]
    if not todo:
        return
    with progress(what, steps * len(units)) as advance, _pool(launch, len(todo)) as pool:
        futures = [pool.submit(_unless_done, function, unit) for unit in todo]
        shown, ended = 0, False
        try:
            while not ended:
                ended = _ended(futures)
                reached = sum(map(done, units))
                advance(reached - shown)
                shown = reached
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    _raise_first_error(todo, futures)


def _pool(launch: Launch, most: int) -> Executor:
    if launch.ray is not None and launch.ranks > 1:
        return RanksPool(launch.ray, UNIT_THREADS, launch.ranks)
    if launch.ray is not None:
        return RayPool(launch.ray, UNIT_THREADS)
    workers = launch.workers or default_workers(chosen_device())
    processes = min(workers, most)
    return ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _begin, (processes,))


def _unless_done(function: Callable[[UnitT], None], unit: UnitT) -> None:
    """Call `function` on a unit, unless a process that was lost on its way back had finished it."""
    if not unit.output.is_dir():
        function(unit)


@contextmanager
def finished_folder(output: Path) -> Iterator[Path]:
    """Yield a folder to write into that is renamed to `output` when the body ends without an error."""
    partial = partial_path(output)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    yield partial
    partial.rename(output)


def _begin(processes: int) -> None:
    """Leave this worker its share of the memory, and let it end with its parent."""
    share_budget(processes)
    end_with_parent()


def _ended(futures: Sequence[Future[None]]) -> bool:
    """Wait a little, and say whether there is nothing more to wait for: all have ended, or one with an error."""
    ended, waiting = wait(futures, SECONDS_BETWEEN_LOOKS, FIRST_EXCEPTION)
    return not waiting or any(future.exception() is not None for future in ended)


def _raise_first_error(units: Sequence[Unit], futures: Sequence[Future[None]]) -> None:
    """Raise the first error of a unit itself; a process that died takes its neighbours' futures with it."""
    errors = [
        (unit, future.exception())
        for unit, future in zip(units, futures, strict=True)
        if future.done() and not future.cancelled() and future.exception() is not None
    ]
    own = [(unit, error) for unit, error in errors if not isinstance(error, BrokenExecutor)]
    for unit, error in own:
        if isinstance(error, PipelineError):
            raise error
        raise UnitError(unit.output.name, f"{type(error).__name__}: {error}") from error
    if errors:
        waiting = ", ".join(unit.output.name for unit, _ in errors)
        raise UnitError(waiting, "a process died (killed, or out of memory)") from errors[0][1]
