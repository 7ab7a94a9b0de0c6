"""Append to `logs/runs.jsonl` what does not determine an output: when, where, how long, with which versions."""

import json
import platform
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

LOG = Path("logs") / "runs.jsonl"
PACKAGES = ("torch", "diffusers", "zarr", "numpy")


@contextmanager
def timed_run(output: Path, work: str, **how: object) -> Iterator[None]:
    """Log one line about the making of `output`, whether it ends well or not."""
    began, clock, ended = time.strftime("%Y-%m-%dT%H:%M:%S%z"), time.perf_counter(), "error"
    try:
        yield
        ended = "ok"
    finally:
        seconds = round(time.perf_counter() - clock, 3)
        append({"output": output.as_posix(), "work": work, "began": began, "seconds": seconds, "ended": ended, **how})


def append(facts: dict[str, object]) -> None:
    """Append one line with `facts` and the machine, package versions and git revision they were made with."""
    line = facts | {
        "host": platform.node(),
        "platform": platform.platform(),
        "versions": {name: version(name) for name in PACKAGES},
        "revision": git_revision(),
    }
    LOG.parent.mkdir(parents=True, exist_ok=True)
    with LOG.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line, sort_keys=True) + "\n")


def git_revision() -> str | None:
    """Return the checked-out commit, or None outside a repository or without git."""
    try:
        result = subprocess.run(
            ["git", "rev-parse", "HEAD"],  # noqa: S607  # whichever git the user runs
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return None
    return result.stdout.strip() if result.returncode == 0 else None
