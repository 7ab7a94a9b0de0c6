"""Log every run to `logs/runs.jsonl`: time, machine, duration, versions, git revision. None of it affects outputs."""

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
def timed_run(output: Path, work: str, **logged: object) -> Iterator[None]:
    """Log one line about the run that makes `output`, whether or not it succeeds.

    logged: further facts for the line.
    """
    began, clock, ended = time.strftime("%Y-%m-%dT%H:%M:%S%z"), time.perf_counter(), "error"
    try:
        yield
        ended = "ok"
    finally:
        seconds = round(time.perf_counter() - clock, 3)
        append(
            {"output": output.as_posix(), "work": work, "began": began, "seconds": seconds, "ended": ended, **logged}
        )


def append(facts: dict[str, object]) -> None:
    """Append a line with `facts`, the machine, the package versions and the git revision."""
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
    """Return the checked-out commit; None outside a repository or without git."""
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
