"""The graph of stages as `dvc.yaml` and `params.yaml` give it, with what the log says of each stage's last run."""

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
    """What the log says of the last time that the outputs of a stage were made."""

    seconds: float  # of all outputs together
    began: str  # when the latest was begun, ISO 8601
    revision: str | None  # the commit checked out then
    platform: str
    versions: tuple[tuple[str, str], ...]  # packages


@dataclass(frozen=True)
class Stage:
    """A stage; all members of a `foreach` or `matrix` are one."""

    name: str
    members: int | None  # None where it is not one of several
    run: Run | None  # None where the log has none


@dataclass(frozen=True)
class Graph:
    """Stages and which of them reads what another makes."""

    stages: tuple[Stage, ...]
    edges: tuple[tuple[str, str], ...]  # (maker, reader)


@dataclass(frozen=True)
class _Member:
    stage: str
    deps: tuple[str, ...]
    outs: tuple[str, ...]


def build_graph(pipeline: Json, params: Json, log: Iterable[Json]) -> Graph:
    """Return the graph of a parsed dvc.yaml for these parameters.

    A reader depends on a maker when a dependency of one of its members is an output of the maker, or lies in one, or
    holds one; so an edge that these parameters do not ask for is not there. log: the lines of `logs/runs.jsonl`, the
    last of each output counts.
    """
    stages = pipeline["stages"]
    members = [member for name, body in stages.items() for member in _members(name, body, params)]
    found = {
        (maker.stage, reader.stage)
        for maker in members
        for reader in members
        if maker.stage != reader.stage and any(_related(out, dep) for out in maker.outs for dep in reader.deps)
    }
    last = {line["output"]: line for line in log if line.get("ended") == "ok"}
    return Graph(
        tuple(_stage(name, body, [one for one in members if one.stage == name], last) for name, body in stages.items()),
        tuple(sorted(found)),
    )


def _stage(name: str, body: Json, members: list[_Member], last: Mapping[str, Json]) -> Stage:
    lines = [last[out] for member in members for out in member.outs if out in last]
    several = "foreach" in body or "matrix" in body
    return Stage(name, len(members) if several else None, _run(lines) if lines else None)


def _run(lines: list[Json]) -> Run:
    latest = max(lines, key=lambda line: line["began"])
    return Run(
        seconds=sum(line["seconds"] for line in lines),
        began=latest["began"],
        revision=latest["revision"],
        platform=latest["platform"],
        versions=tuple(sorted(latest["versions"].items())),
    )


def _members(name: str, body: Json, params: Json) -> Iterator[_Member]:
    """Return a stage's members with their paths filled in."""
    inner = body.get("do", body)
    for known in _contexts(body, params):
        outs = [path for kind in OUTPUTS for path in _paths(inner.get(kind, []), known)]
        yield _Member(name, tuple(_paths(inner.get("deps", []), known)), tuple(outs))


def _contexts(body: Json, params: Json) -> Iterator[Json]:
    """Return what `${...}` may name in each member of a stage."""
    if "foreach" in body:
        items = _value(body["foreach"], params)
        pairs = items.items() if isinstance(items, dict) else enumerate(items)
        yield from ({**params, "key": key, "item": item} for key, item in pairs)
    elif "matrix" in body:
        axes = {axis: _value(values, params) for axis, values in body["matrix"].items()}
        yield from ({**params, "item": dict(zip(axes, choice, strict=True))} for choice in product(*axes.values()))
    else:
        yield params


def _paths(entries: list[Any], known: Json) -> Iterator[str]:
    for entry in entries:
        path = next(iter(entry)) if isinstance(entry, dict) else entry
        yield re.sub(r"\$\{([^}]+)\}", lambda found: str(_lookup(found[1], known)), path)


def _value(text: Any, known: Json) -> Any:
    found = re.fullmatch(r"\$\{([^}]+)\}", text) if isinstance(text, str) else None
    return text if found is None else _lookup(found[1], known)


def _lookup(name: str, known: Json) -> Any:
    here: Any = known
    for step in name.strip().split("."):
        here = here[step]
    return here


def _related(out: str, dep: str) -> bool:
    """Say whether one path is the other, or lies in it."""
    one, other = PurePosixPath(out), PurePosixPath(dep)
    return one == other or one in other.parents or other in one.parents
