"""What `dvc repro` costs when nothing or only the synthesis has to run, and which part of that is ours.

Run `python -m benchmarks.repro_costs` in a clean checkout. In a clone of it, which shares its DVC cache, every stage
runs first. Then, several times and in turn: `dvc repro` in a project of one small stage that is up to date, which is
what DVC costs by itself, and `dvc repro` here with nothing to do; at last, several times, `dvc repro synthesize@METHOD`
after a new parameter, and a Python that only imports what the stage does. Medians of seconds are printed and written to
`benchmarks/results/repro-costs-cpu.json`.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks.bench import hardware
from pipeline.runtime.command import PARAMS_FILE
from pipeline.runtime.files import write_json
from pipeline.runtime.run_log import LOG, git_revision
from pipeline.schema.text import dump_yaml, load_yaml

FORMAT = "latent-outliers-repro-costs/1"
RESULT = Path("benchmarks/results/repro-costs-cpu.json")
METHOD, PARAMETER = "perturb", "sigma"
IMPORTS = (
    "import zarr, stages.synthesize, pipeline.outliers.make, pipeline.params.methods.section; "
    "import pipeline.runtime.launch, pipeline.runtime.workspace; "
    f"import pipeline.outliers.methods.{METHOD}, pipeline.params.methods.{METHOD}"
)
ROUNDS = 5
FIRST, STEP = 0.91, 0.01
"""Values of the parameter, another one in each round."""
ALONE, NOTHING, SYNTHESIS = "DVC alone", "nothing to do", "synthesis"
START, WORK = "imports of the stage", "work of the stage"
ONE_STAGE = {"stages": {"one": {"cmd": "echo 1 > out", "deps": ["in"], "outs": ["out"]}}}


def main() -> None:
    """Measure, print and write."""
    if changed := _call(Path(), "git", "status", "--porcelain", "--untracked-files=no"):
        sys.exit(f"error: found changes that are not committed, wanted a clean checkout:\n{changed}")
    with tempfile.TemporaryDirectory() as name:
        alone, project = Path(name) / "alone", Path(name) / "project"
        make_project_of_one_stage(alone)
        clone(project)
        idle = [doing_nothing(alone, project) for _ in range(ROUNDS)]
        busy = [synthesizing(project, FIRST + STEP * number) for number in range(ROUNDS)]
    found = medians(idle) | medians(busy)
    report = {"format": FORMAT, "hardware": hardware(), "commit": git_revision(), "rounds": ROUNDS, "seconds": found}
    write_json(RESULT, report)
    show(found)


def make_project_of_one_stage(folder: Path) -> None:
    """Make a project that DVC has nothing to do in."""
    folder.mkdir()
    (folder / "in").write_text("1\n")
    (folder / "dvc.yaml").write_text(json.dumps(ONE_STAGE))  # JSON is YAML
    for command in ("git init --quiet", "dvc init --quiet", "dvc repro --quiet"):
        _call(folder, *command.split())


def clone(folder: Path) -> None:
    """Clone this project and run it, or take from its cache what has run with the same inputs."""
    cache = _call(Path(), "dvc", "cache", "dir").strip()
    _call(Path(), "git", "clone", "--quiet", ".", str(folder))
    _call(folder, "dvc", "cache", "dir", "--local", str(Path(cache).absolute()))
    _call(folder, "dvc", "repro")


def doing_nothing(alone: Path, project: Path) -> dict[str, float]:
    """Return the seconds of `dvc repro` where all is up to date."""
    return {name: _seconds(folder, "dvc", "repro", "--quiet") for name, folder in ((ALONE, alone), (NOTHING, project))}


def synthesizing(project: Path, value: float) -> dict[str, float]:
    """Return the seconds of a synthesis, of them what its stage logs of its work, and those of its imports."""
    content = load_yaml((project / PARAMS_FILE).read_text(encoding="utf-8"))
    content["synthesize"][METHOD][PARAMETER] = round(value, 2)
    (project / PARAMS_FILE).write_text(dump_yaml(content), encoding="utf-8")
    whole = _seconds(project, "dvc", "repro", "--quiet", "--no-run-cache", f"synthesize@{METHOD}")
    last = json.loads((project / LOG).read_text(encoding="utf-8").splitlines()[-1])
    if METHOD not in last["output"]:
        sys.exit(f"error: {LOG} ends with {last['output']}, wanted synthesize@{METHOD}: the stage did not run")
    start = _seconds(project, sys.executable, "-c", IMPORTS)
    return {SYNTHESIS: whole, START: start, WORK: last["seconds"]}


def medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    """Return the median of each figure."""
    return {what: round(median(costs[what] for costs in rounds), 2) for what in rounds[0]}


def show(found: dict[str, float]) -> None:
    """Print a line per command, with the share that is ours."""
    ours = found[START] + found[WORK]
    table = Table("command", "seconds", "DVC by itself", "DVC with our graph", "our imports", "our work", "share ours")
    nothing = _numbers(found[NOTHING], found[ALONE], found[NOTHING] - found[ALONE])
    table.add_row("dvc repro, nothing to do", *nothing, "", "", "0 %")
    synthesis = _numbers(found[SYNTHESIS], found[ALONE], found[SYNTHESIS] - found[ALONE] - ours)
    own = _numbers(found[START], found[WORK])
    table.add_row(f"dvc repro synthesize@{METHOD}", *synthesis, *own, f"{ours / found[SYNTHESIS]:.0%}")
    Console(width=120).print(table)


def _numbers(*seconds: float) -> list[str]:
    return [f"{value:.2f}" for value in seconds]


def _seconds(folder: Path, *arguments: str) -> float:
    began = time.perf_counter()
    _call(folder, *arguments)
    return time.perf_counter() - began


def _call(folder: Path, *arguments: str) -> str:
    """Run a command in a folder and return what it prints; its errors are printed and end this one."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(arguments, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE)  # noqa: S603  # our own
    return done.stdout.decode()


if __name__ == "__main__":
    main()
