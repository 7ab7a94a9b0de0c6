"""Our own contestants: a project of a folder of photographs, run by DVC as a user runs it, to the first decision."""

import re
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.leaderboard.keys import stage_code
from benchmarks.photographs.folders import Photographs
from benchmarks.photographs.judging import GROUPS, Json, judged
from benchmarks.photographs.parts import Parts
from benchmarks.photographs.project import (
    Encoder,
    call,
    costs,
    environment,
    images_digest,
    make_project,
    read_split,
    require_committed,
    required,
)
from pipeline.posthoc.table import SIDES, ScoreTable
from pipeline.posthoc.table_file import TABLE, read_table
from pipeline.runtime.command import PARAMS_FILE
from pipeline.runtime.errors import PipelineError
from pipeline.runtime.files import digest, file_digest, folder_digest, json_bytes, read_json
from pipeline.schema.text import plain_yaml

RUNNING = re.compile(r"Running stage '([a-z_]+)(?:@[^']*)?'")
LARGEST_DIFFERENCE = 1e-9
"""Between figures of metrics.json and those computed from data/scores."""


def run_ours(parts: Parts, photographs: Photographs, encoder: Encoder, backbone: Path | None, *, again: bool) -> None:
    """Make and run a project, unless its parts are valid, and write a part for each seed."""
    require_committed()
    project = photographs.folder / "projects" / encoder
    with costs() as made:
        make_project(project, photographs, encoder, backbone)
    contents = read_split(project, photographs).contents()
    settings, seeds = _settings(project, contents, encoder, backbone), _seeds(project)
    if not again and all(parts.has(encoder, seed, settings) for seed in seeds):
        return
    with costs() as ran:
        stages = repro(project)
        began = time.perf_counter()
        answers = {seeds[0]: predict(project, seeds[0], photographs)}
        stages["predict"] = round(time.perf_counter() - began, 1)
    stages = {"new-project": made["seconds"]} | stages
    spent = {name: round(made[name] + ran[name], 1) for name in ("seconds", "cpu_seconds")} | {"load": ran["load"]}
    answers |= {seed: predict(project, seed, photographs) for seed in seeds[1:]}
    table, metrics = read_table(project / "data/scores" / TABLE), read_json(project / "reports/metrics.json")
    require_same_images(project, contents, table)
    results = [
        seed_result(table, index, metrics["score"], metrics["threshold"]["id_rejection_target"])
        for index in range(len(seeds))
    ]
    require_same_figures(project, metrics, results)
    for seed, found in zip(seeds, results, strict=True):
        found["scores"][metrics["score"]]["flagged"]["foreign"] = float(np.mean(answers[seed]))
        parts.write(encoder, seed, settings, spent, found | {"run": _told(metrics) | {"stages": stages}})


def repro(project: Path) -> dict[str, float]:
    """Run `dvc repro` and return the seconds of each stage, those of all sets or methods together.

    Raises PipelineError with its last lines if it fails.
    """
    command = [sys.executable, "-m", "dvc", "repro"]
    process = subprocess.Popen(  # noqa: S603  # our own
        command, cwd=project, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    lines: list[tuple[float, str]] = [(time.perf_counter(), "")]
    lines += ((time.perf_counter(), line.rstrip()) for line in process.stdout or ())
    if process.wait():
        last = " ".join(text for _, text in lines[-3:])
        raise PipelineError(f"{project}: `dvc repro` ended with exit code {process.returncode}: {last}")
    return stage_seconds([*lines, (time.perf_counter(), "")])


def stage_seconds(lines: Iterable[tuple[float, str]]) -> dict[str, float]:
    """Return how long each stage took, from the times of the lines that DVC printed; its own start is 'dvc'."""
    found: dict[str, float] = {}
    stage, since = "dvc", None
    for at, line in lines:
        since = at if since is None else since
        if match := RUNNING.search(line):
            found[stage] = found.get(stage, 0.0) + at - since
            stage, since = match[1], at
        last = at
    found[stage] = found.get(stage, 0.0) + last - (since or last)
    return {name: round(seconds, 1) for name, seconds in found.items()}


def predict(project: Path, seed: int, photographs: Photographs) -> list[bool]:
    """Return whether the bundle of a seed calls each foreign image an outlier."""
    answers = project / f"reports/foreign-{seed}.parquet"
    foreign = str((photographs.images / "foreign").absolute())
    command = (sys.executable, "-m", "pipeline", "predict", f"models/bundle/{seed}", foreign)
    call(project, *command, "--out", str(answers.relative_to(project)))
    flagged: list[bool] = pq.read_table(answers)["is_outlier"].to_pylist()
    return flagged


def seed_result(table: ScoreTable, index: int, headline: str, id_rejection: float) -> Json:
    """Return what the detector of one seed reaches, and its teacher as `teacher`, by every score of a table."""
    found = {}
    for side in SIDES:
        names = [name for name in table.labels if not name.startswith("probe/")]
        scores = {
            name: {score: table.scores[side, name, score][index] for score in table.score_names} for name in names
        }
        hits = table.predicted[side, "id_test"][index] == table.labels["id_test"]
        found[side] = judged(scores, hits, id_rejection, ranked=(headline,))
    baseline, detector = (found[side] for side in SIDES)
    return detector | {"headline": headline, "teacher": baseline}


def _settings(
    project: Path, contents: Mapping[str, NDArray[np.int64]], encoder: Encoder, backbone: Path | None
) -> Json:
    """Return what a run follows from: images, parameters, code of the stages, backbone."""
    params = (project / PARAMS_FILE).read_text(encoding="utf-8")
    stages = plain_yaml(Path("dvc.yaml").read_text(encoding="utf-8"))["stages"]
    code = {name: [stage_code(name), file_digest(Path("stages") / f"{name}.py")] for name in stages}
    found = {"images": images_digest(contents), "code": digest(json_bytes(code)), "backbone": None}
    if encoder == "backbone":
        folder = required(backbone)
        params = params.replace(str(folder.resolve()), "BACKBONE")
        found["backbone"] = folder_digest(folder)
    return found | {"params": digest(params.encode())}


def _seeds(project: Path) -> list[int]:
    content = plain_yaml((project / PARAMS_FILE).read_text(encoding="utf-8"))
    return [int(seed) for seed in content["seeds"]]


def _told(metrics: Json) -> Json:
    """Return what the page tells of metrics.json: both sides by the headline score, and what the thresholds flag."""
    score = metrics["score"]
    groups = {group: metrics["groups"][group][score] for group in GROUPS}
    told: Json = {name: metrics[name] for name in ("score", "id_accuracy", "threshold", "sizes")}
    return told | {
        "groups": {
            group: {name: entry[name]["auroc"] for name in (*SIDES, "difference")} for group, entry in groups.items()
        }
    }


def require_same_images(project: Path, contents: Mapping[str, NDArray[np.int64]], table: ScoreTable) -> None:
    """Raise PipelineError where a run has scored other images than its parameters give to all contestants."""
    for name, images in contents.items():
        if name in table.contents and not np.array_equal(table.contents[name], images):
            raise PipelineError(f"{project}: its scores of {name} are of other images than its split; run it --again.")


def require_same_figures(project: Path, metrics: Json, results: Sequence[Json]) -> None:
    """Raise PipelineError where the figures of metrics.json are not those that follow from data/scores."""
    score = metrics["score"]
    for group in GROUPS:
        wanted = metrics["groups"][group][score]["detector"]["auroc"]["mean"]
        found = float(np.mean([one["scores"][score][group]["auroc"] for one in results]))
        if abs(found - wanted) > LARGEST_DIFFERENCE:
            raise PipelineError(
                f"{project}: {group} AUROC {wanted} in metrics.json, {found} by data/scores; wanted one."
            )
