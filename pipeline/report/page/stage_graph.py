"""The graph of stages from `dvc.yaml` and `params.yaml`, with the last run of each stage from the log."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import PurePosixPath
from typing import Any

Json = dict[str, Any]
OUTPUTS = ("outs", "metrics", "plots")


@dataclass(frozen=True)
class Run:
    """The last run of a stage, from the log."""

    seconds: float  # of all outputs together
    began: str  # start of the latest output, ISO 8601
    revision: str | None  # the commit that was checked out
    platform: str
    versions: tuple[tuple[str, str], ...]  # of packages: (name, version)


@dataclass(frozen=True)
class Stage:
    """A stage; all members of a `foreach` or `matrix` count as one stage."""

    name: str
    members: int | None  # number of members; None without `foreach` and `matrix`
    run: Run | None  # None where the log has none


@dataclass(frozen=True)
class Graph:
    """Stages, and which stage reads the outputs of which."""

    stages: tuple[Stage, ...]
    edges: tuple[tuple[str, str], ...]  # (maker, reader)


@dataclass(frozen=True)
class _Member:
    stage: str
    deps: tuple[str, ...]
    outs: tuple[str, ...]


def build_graph(pipeline: Json, params: Json, log: Iterable[Json]) -> Graph:
    """Return the graph of a parsed dvc.yaml for these parameters.

    A reader depends on a maker when a dependency of one of its members is an output of the maker, is inside one, or
    contains one. So edges that these parameters do not need are left out. log: the entries of `logs/runs.jsonl`; the
    last entry of each output counts.
    """
    stages = pipeline["stages"]
    members = [member for name, body in stages.items() for member in _members(name, body, params)]
    edges = {
        (maker.stage, reader.stage)
        for maker in members
        for reader in members
        if maker.stage != reader.stage and any(_related(out, dep) for out in maker.outs for dep in reader.deps)
    }
    last_entries = {entry["output"]: entry for entry in log if entry.get("ended") == "ok"}
    members_of = {name: [member for member in members if member.stage == name] for name in stages}
    return Graph(
        tuple(_stage(name, body, members_of[name], last_entries) for name, body in stages.items()),
        tuple(sorted(edges)),
    )


def _stage(name: str, body: Json, members: list[_Member], last_entries: Mapping[str, Json]) -> Stage:
    entries = [last_entries[out] for member in members for out in member.outs if out in last_entries]
    has_members = "foreach" in body or "matrix" in body
    return Stage(name, len(members) if has_members else None, _run(entries) if entries else None)


def _run(entries: list[Json]) -> Run:
    """Return the run that made all outputs of a stage, from one log entry per output."""
    latest = max(entries, key=lambda entry: entry["began"])
    return Run(
        seconds=sum(entry["seconds"] for entry in entries),
        began=latest["began"],
        revision=latest["revision"],
        platform=latest["platform"],
        versions=tuple(sorted(latest["versions"].items())),
    )


def _members(name: str, body: Json, params: Json) -> Iterator[_Member]:
    """Yield the members of a stage, with the variables in their paths filled in."""
    inner = body.get("do", body)
    for variables in _contexts(body, params):
        outs = [path for kind in OUTPUTS for path in _paths(inner.get(kind, []), variables)]
        yield _Member(name, tuple(_paths(inner.get("deps", []), variables)), tuple(outs))


def _contexts(body: Json, params: Json) -> Iterator[Json]:
    """Yield the variables that `${...}` may name, for each member of a stage."""
    if "foreach" in body:
        items = _value(body["foreach"], params)
        pairs = items.items() if isinstance(items, dict) else enumerate(items)
        yield from ({**params, "key": key, "item": item} for key, item in pairs)
    elif "matrix" in body:
        axes = {axis: _value(axis_values, params) for axis, axis_values in body["matrix"].items()}
        yield from ({**params, "item": dict(zip(axes, values, strict=True))} for values in product(*axes.values()))
    else:
        yield params


def _paths(entries: list[Any], variables: Json) -> Iterator[str]:
    for entry in entries:
        path = next(iter(entry)) if isinstance(entry, dict) else entry
        yield re.sub(r"\$\{([^}]+)\}", lambda match: str(_lookup(match[1], variables)), path)


def _value(text: Any, variables: Json) -> Any:
    match = re.fullmatch(r"\$\{([^}]+)\}", text) if isinstance(text, str) else None
    return text if match is None else _lookup(match[1], variables)


def _lookup(name: str, variables: Json) -> Any:
    value: Any = variables
    for key in name.strip().split("."):
        value = value[key]
    return value


def _related(out: str, dep: str) -> bool:
    """Return whether two paths are equal, or one contains the other."""
    first, second = PurePosixPath(out), PurePosixPath(dep)
    return first == second or first in second.parents or second in first.parents
