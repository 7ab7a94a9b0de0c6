"""Run `python -m benchmarks.cases.waiting`: what it gains that threads of PyTorch soon sleep, as they do in stages.

A few steps of a plain CNN run in a process of their own, in turns with the setting of stages and with that of the
library: alone, and beside another such training. Written to `benchmarks/results/waiting-cpu.json`.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from pipeline.runtime.command import SPIN, SPIN_CHOSEN_BY
from pipeline.runtime.files import write_json
from pipeline.runtime.text.terminal import say

FORMAT = "latent-outliers-waiting/1"
RESULT = Path("benchmarks/results/waiting-cpu.json")
ROUNDS, STEPS, WARM_UP = 5, 20, 3
FOREVER = 10**9


def main() -> None:
    """Measure, print and write the ratios: seconds of the library's setting by those of stages."""
    from benchmarks.bench import hardware
    from pipeline.runtime.run_log import git_revision

    clean = {name: value for name, value in os.environ.items() if name not in SPIN_CHOSEN_BY}
    found = {"alone": _seconds(clean)}
    with _another(clean):
        found["beside another training"] = _seconds(clean)
    ratios = {}
    for state, seconds in found.items():
        library, stages = (seconds[name] for name in ("library", "stages"))
        ratios[state] = {"fastest": min(library) / min(stages), "median": median(library) / median(stages)}
        by_median, by_fastest = ratios[state]["median"], ratios[state]["fastest"]
        say(f"{state}: {by_median:.2f} times as fast by the median, {by_fastest:.2f} by the fastest")
    report = {"format": FORMAT, "hardware": hardware(), "commit": git_revision(), "ratios": ratios, "seconds": found}
    write_json(RESULT, report)


def _seconds(clean: Mapping[str, str]) -> dict[str, list[float]]:
    """Return the seconds of the steps by each setting, in turns."""
    seconds: dict[str, list[float]] = {"library": [], "stages": []}
    for _ in range(ROUNDS):
        for name, of_setting in seconds.items():
            environment = {**clean, **(SPIN if name == "stages" else {})}
            done = subprocess.run(_command(STEPS), env=environment, capture_output=True, text=True, check=True)  # noqa: S603
            of_setting.append(float(done.stdout))
    return seconds


@contextmanager
def _another(clean: Mapping[str, str]) -> Iterator[None]:
    """Run another training beside the block, with the library's setting."""
    process = subprocess.Popen(_command(FOREVER), env=dict(clean), stdout=subprocess.DEVNULL)  # noqa: S603
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _command(steps: int) -> list[str]:
    return [sys.executable, "-c", f"from benchmarks.cases.waiting import train; train({steps})"]


def train(steps: int) -> None:
    """Print the seconds of so many steps."""
    import torch
    from torch.nn.functional import cross_entropy

    from pipeline.networks.plain_cnn import PlainCnn
    from pipeline.runtime.device import STAGE_THREADS, prepare_torch

    prepare_torch(STAGE_THREADS)
    torch.manual_seed(0)
    network: Any = PlainCnn(8)
    network.to(memory_format=torch.channels_last)
    pixels = torch.randn(64, 3, 64, 64).contiguous(memory_format=torch.channels_last)
    labels = torch.arange(64) % 8
    optimiser = torch.optim.SGD(network.parameters(), 0.01)
    began = time.perf_counter()
    for step in range(WARM_UP + steps):
        if step == WARM_UP:
            began = time.perf_counter()
        loss = cross_entropy(network(pixels), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    sys.stdout.write(str(time.perf_counter() - began))


if __name__ == "__main__":
    main()
