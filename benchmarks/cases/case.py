"""Two ways to do the same work, measured in turns."""

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from pipeline.runtime.progress import progress

Side = Callable[[], object]


@dataclass(frozen=True)
class Case:
    """Two ways to do the same work, and how many times as fast ours should be."""

    plain: Side
    ours: Side
    goal: float
    rounds: int = 7
    work: float = 1.0
    """How much of ours one call does for each unit of work of the plain one, where they differ."""
    threads: int = 2
    """Of PyTorch, on both sides."""
    clear: Side = lambda: None
    """Called before each timing: what an earlier one left on disk is not part of it."""


def measured(what: str, case: Case) -> dict[str, float | bool]:
    """Return the ratio of the fastest times, that of the medians, both fastest times and the goal.

    1 means as fast, above 1 faster. Which side goes first alternates.
    """
    times: dict[Side, list[float]] = {case.plain: [], case.ours: []}
    with progress(f"{what}, rounds", case.rounds) as advance:
        for index in range(case.rounds):
            for side in (case.plain, case.ours) if index % 2 else (case.ours, case.plain):
                times[side].append(_seconds(side, case))
            advance(1)
    plain, ours = times[case.plain], times[case.ours]
    return {
        "value": round(case.work * min(plain) / min(ours), 3),
        "of_medians": round(case.work * statistics.median(plain) / statistics.median(ours), 3),
        "plain_seconds": round(min(plain), 4),
        "our_seconds": round(min(ours), 4),
        "goal": case.goal,
        "at_least": True,
    }


def _seconds(side: Side, case: Case) -> float:
    """Return how long one call takes, on a disk that has nothing else to do.

    Ours computes as stages do, so that it repeats to the bit; the plain side as PyTorch does by itself.
    """
    import torch

    from pipeline.runtime.device import prepare_torch

    case.clear()
    prepare_torch(case.threads)
    if side is case.plain:
        torch.set_deterministic_debug_mode("default")
    os.sync()
    wait_for_gpu()
    began = time.perf_counter()
    side()
    wait_for_gpu()
    return time.perf_counter() - began


def wait_for_gpu() -> None:
    """Let a GPU, where there is one, end what it was told to do."""
    import torch

    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
