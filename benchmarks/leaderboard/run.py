"""Run a benchmark: prepare its tasks, train and score what is missing, and build the report."""

import time
from collections.abc import Mapping

from benchmarks.leaderboard.lines import Json
from benchmarks.leaderboard.methods import Method, synthesis_methods
from benchmarks.leaderboard.project import Project, prepare
from benchmarks.leaderboard.report import build_report
from benchmarks.leaderboard.scoring import load_scores, score_networks, scoring
from benchmarks.leaderboard.statistics import Split
from benchmarks.leaderboard.tasks import tasks
from benchmarks.leaderboard.training import TRAINED, networks, train, units
from pipeline.runtime.launch import Launch
from pipeline.runtime.units import run_units


def run_benchmark(
    benchmark: str, methods: Mapping[str, Method], seeds: int, launch: Launch, *, development: bool
) -> Json:
    """Return the report of a benchmark; what an earlier run has trained or scored is taken as it is."""
    started, chosen = time.monotonic(), tasks(benchmark, development=development)
    fresh = not any((TRAINED / task.name).is_dir() for task in chosen)
    projects = [prepare(task, seeds, synthesis_methods(methods)) for task in chosen]
    splits = splits_of(projects, methods, launch)
    return build_report(projects, methods, splits, time.monotonic() - started if fresh else None)


def splits_of(projects: list[Project], methods: Mapping[str, Method], launch: Launch) -> list[Split]:
    """Train and score every method on every task."""
    trainings = [units(project, methods) for project in projects]
    every = [unit for found in trainings for of in found.values() for unit in of]
    run_units(train, every, launch=launch, title="training networks")
    scorings = [
        {name: scoring(project, name, networks(project, found, name)) for name in methods}
        for project, found in zip(projects, trainings, strict=True)
    ]
    every_scoring = [unit for found in scorings for unit in found.values()]
    run_units(score_networks, every_scoring, launch=launch, title="scoring methods")
    return [
        Split(project.groups, {name: load_scores(unit) for name, unit in found.items()}, project.contents())
        for project, found in zip(projects, scorings, strict=True)
    ]
