"""Place the stages in layers, makers above readers, so that few lines cross and none runs through a stage."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import networkx as nx

from pipeline.page.graph import Graph

SWEEPS = 8
GAP = 12.0  # between neighbours in a layer
BEND_WIDTH = 10.0


@dataclass(frozen=True)
class Placed:
    """Where things lie: x in the units of the widths, y as a number of layers, from the top."""

    stages: dict[str, tuple[float, int]]  # the middle of each
    lines: list[list[tuple[float, int]]]  # from maker to reader, through a point in every layer between
    width: float
    layers: int


def place(graph: Graph, widths: Mapping[str, float]) -> Placed:
    """Return where each stage and each line lies.

    A line that follows from others is left out: who reads what a reader of yours makes needs no line of their own.
    """
    whole = nx.DiGraph()
    whole.add_nodes_from(stage.name for stage in graph.stages)
    whole.add_edges_from(graph.edges)
    reduced = nx.transitive_reduction(whole)
    layer = _layers(whole, reduced, widths)
    rows, chains = _with_bends(sorted(reduced.edges), layer)
    rows = _uncrossed(rows, chains)
    size = {**dict.fromkeys((node for row in rows for node in row), BEND_WIDTH), **widths}
    width = max((_row_width(row, size) for row in rows), default=0.0)
    x = _across(rows, chains, size, width)
    at = {node: (x[node], number) for number, row in enumerate(rows) for node in row}
    return Placed(
        {name: at[name] for name in layer}, [[at[node] for node in chain] for chain in chains], width, len(rows)
    )


def _layers(whole: nx.DiGraph, reduced: nx.DiGraph, widths: Mapping[str, float]) -> dict[str, int]:
    """Return the layer of each stage: that of its generation, or later where there is more room before its readers."""
    generations = list(nx.topological_generations(whole))
    layer = {name: number for number, row in enumerate(generations) for name in row}
    for row in reversed(generations):
        for name in sorted(row):
            readers = [layer[reader] for reader in reduced.successors(name)]
            if not readers:
                continue
            taken = dict.fromkeys(range(layer[name], min(readers)), 0.0)
            for other, number in layer.items():
                if other != name and number in taken:
                    taken[number] += widths[other]
            layer[name] = min(taken, key=lambda number: (taken[number], -number))
    return layer


def _with_bends(edges: list[tuple[str, str]], layer: dict[str, int]) -> tuple[list[list[str]], list[list[str]]]:
    """Return the nodes of each layer and the chain of each edge, with a bend in every layer that an edge passes."""
    rows: list[list[str]] = [[] for _ in range(max(layer.values(), default=-1) + 1)]
    for name, number in layer.items():
        rows[number].append(name)
    chains = []
    for maker, reader in edges:
        bends = [f"{maker}\n{reader}\n{number}" for number in range(layer[maker] + 1, layer[reader])]
        for number, bend in enumerate(bends, start=layer[maker] + 1):
            rows[number].append(bend)
        chains.append([maker, *bends, reader])
    return rows, chains


def _links(chains: list[list[str]]) -> list[tuple[str, str]]:
    return [pair for chain in chains for pair in pairwise(chain)]


def _uncrossed(rows: list[list[str]], chains: list[list[str]]) -> list[list[str]]:
    """Return the layers in the order with the fewest crossings that sweeps by the mean of the neighbours find."""
    links = _links(chains)
    best = [list(row) for row in rows]
    rows = [list(row) for row in rows]
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for number in range(1, len(rows)) if down else range(len(rows) - 2, -1, -1):
            fixed = rows[number - 1 if down else number + 1]
            order = {node: index / max(1, len(fixed) - 1) for index, node in enumerate(fixed)}
            ends = [(b, a) if down else (a, b) for a, b in links]
            means = {}
            for index, node in enumerate(rows[number]):
                met = [order[other] for mine, other in ends if mine == node and other in order]
                means[node] = sum(met) / len(met) if met else index / max(1, len(rows[number]) - 1)
            rows[number].sort(key=means.__getitem__)
        if crossings(rows, links) < crossings(best, links):
            best = [list(row) for row in rows]
    return best


def crossings(rows: list[list[str]], links: list[tuple[str, str]]) -> int:
    """Return how many pairs of links between neighbouring layers cross."""
    place_in_row = {node: (number, index) for number, row in enumerate(rows) for index, node in enumerate(row)}
    ends = [(*place_in_row[a], place_in_row[b][1]) for a, b in links]
    return sum(
        one[0] == other[0] and (one[1] - other[1]) * (one[2] - other[2]) < 0
        for index, one in enumerate(ends)
        for other in ends[:index]
    )


def _row_width(row: list[str], size: Mapping[str, float]) -> float:
    return sum(size[node] for node in row) + GAP * (len(row) - 1)


def _across(
    rows: list[list[str]], chains: list[list[str]], size: Mapping[str, float], width: float
) -> dict[str, float]:
    """Return the middle of each node: centred rows, then each drawn towards its neighbours as far as there is room."""
    x: dict[str, float] = {}
    for row in rows:
        left = (width - _row_width(row, size)) / 2
        for node in row:
            x[node] = left + size[node] / 2
            left += size[node] + GAP
    links = _links(chains)
    for sweep in range(2 * SWEEPS):
        for row in rows if sweep % 2 else reversed(rows):
            for node in row:
                met = [x[b] for a, b in links if a == node] + [x[a] for a, b in links if b == node]
                low, high = _room(node, row, x, size, width)
                wanted = sum(met) / len(met) if met else x[node]
                x[node] = min(max(wanted, low), high)
    return x


def _room(
    node: str, row: list[str], x: Mapping[str, float], size: Mapping[str, float], width: float
) -> tuple[float, float]:
    """Return the leftmost and the rightmost middle that a node may take between its neighbours in a row."""
    index, half = row.index(node), size[node] / 2
    low = x[row[index - 1]] + size[row[index - 1]] / 2 + GAP + half if index else half
    high = x[row[index + 1]] - size[row[index + 1]] / 2 - GAP - half if index + 1 < len(row) else width - half
    return low, max(low, high)
