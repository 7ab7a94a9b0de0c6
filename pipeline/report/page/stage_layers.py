"""Place the stages in layers, makers above readers, so that few lines cross and none runs through a stage."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import networkx as nx

from pipeline.report.page.stage_graph import Graph

SWEEPS = 8
GAP = 12.0  # between neighbours in a layer
BEND_WIDTH = 10.0


@dataclass(frozen=True)
class Layout:
    """The positions of stages and lines: x in the units of the widths, y as the number of the layer, from the top."""

    stages: dict[str, tuple[float, int]]  # the centre of each stage
    lines: list[list[tuple[float, int]]]  # from maker to reader, with a point in every layer between
    width: float
    layers: int


def lay_out(graph: Graph, widths: Mapping[str, float]) -> Layout:
    """Return the positions of the stages and of the lines between them.

    Only the lines of the transitive reduction are drawn: where a reads b and b reads c, there is no line from a to c.
    """
    directed = nx.DiGraph()
    directed.add_nodes_from(stage.name for stage in graph.stages)
    directed.add_edges_from(graph.edges)
    reduced = nx.transitive_reduction(directed)
    layer = _layers(directed, reduced, widths)
    rows, chains = _with_bends(sorted(reduced.edges), layer)
    rows = _uncrossed(rows, chains)
    size = {**dict.fromkeys((node for row in rows for node in row), BEND_WIDTH), **widths}
    width = max((_row_width(row, size) for row in rows), default=0.0)
    x = _across(rows, chains, size, width)
    position = {node: (x[node], number) for number, row in enumerate(rows) for node in row}
    lines = [[position[node] for node in chain] for chain in chains]
    return Layout({name: position[name] for name in layer}, lines, width, len(rows))


def _layers(directed: nx.DiGraph, reduced: nx.DiGraph, widths: Mapping[str, float]) -> dict[str, int]:
    """Return the layer of each stage: its generation, or a later layer with more room above its readers."""
    generations = list(nx.topological_generations(directed))
    layer = {name: number for number, row in enumerate(generations) for name in row}
    for row in reversed(generations):
        for name in sorted(row):
            readers = [layer[reader] for reader in reduced.successors(name)]
            if not readers:
                continue
            used_widths = dict.fromkeys(range(layer[name], min(readers)), 0.0)
            for other, number in layer.items():
                if other != name and number in used_widths:
                    used_widths[number] += widths[other]
            layer[name] = min(used_widths, key=lambda number: (used_widths[number], -number))
    return layer


def _with_bends(edges: list[tuple[str, str]], layer: dict[str, int]) -> tuple[list[list[str]], list[list[str]]]:
    """Return the nodes of each layer, and the chain of each edge with a bend in every layer that the edge passes."""
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
    """Return the layers in the order with the fewest crossings that barycentre sweeps find.

    Each sweep sorts the nodes of a layer by the mean position of their neighbours in the layer before.
    """
    links = _links(chains)
    best = [list(row) for row in rows]
    rows = [list(row) for row in rows]
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for number in range(1, len(rows)) if down else range(len(rows) - 2, -1, -1):
            fixed = rows[number - 1 if down else number + 1]
            order = {node: index / max(1, len(fixed) - 1) for index, node in enumerate(fixed)}
            ends = [(b, a) if down else (a, b) for a, b in links]
            barycentres = {}
            for index, node in enumerate(rows[number]):
                neighbours = [order[neighbour] for end, neighbour in ends if end == node and neighbour in order]
                current = index / max(1, len(rows[number]) - 1)
                barycentres[node] = sum(neighbours) / len(neighbours) if neighbours else current
            rows[number].sort(key=barycentres.__getitem__)
        if crossings(rows, links) < crossings(best, links):
            best = [list(row) for row in rows]
    return best


def crossings(rows: list[list[str]], links: list[tuple[str, str]]) -> int:
    """Return how many pairs of links between neighbouring layers cross."""
    row_and_index = {node: (number, index) for number, row in enumerate(rows) for index, node in enumerate(row)}
    ends = [(*row_and_index[a], row_and_index[b][1]) for a, b in links]
    return sum(
        first[0] == second[0] and (first[1] - second[1]) * (first[2] - second[2]) < 0
        for index, first in enumerate(ends)
        for second in ends[:index]
    )


def _row_width(row: list[str], size: Mapping[str, float]) -> float:
    return sum(size[node] for node in row) + GAP * (len(row) - 1)


def _across(
    rows: list[list[str]], chains: list[list[str]], size: Mapping[str, float], width: float
) -> dict[str, float]:
    """Return the centre of each node: rows are centred, then nodes move towards their neighbours as room allows."""
    x: dict[str, float] = {}
    for row in rows:
        left_edge = (width - _row_width(row, size)) / 2
        for node in row:
            x[node] = left_edge + size[node] / 2
            left_edge += size[node] + GAP
    links = _links(chains)
    for sweep in range(2 * SWEEPS):
        for row in rows if sweep % 2 else reversed(rows):
            for node in row:
                neighbours = [x[b] for a, b in links if a == node] + [x[a] for a, b in links if b == node]
                low, high = _room(node, row, x, size, width)
                target = sum(neighbours) / len(neighbours) if neighbours else x[node]
                x[node] = min(max(target, low), high)
    return x


def _room(
    node: str, row: list[str], x: Mapping[str, float], size: Mapping[str, float], width: float
) -> tuple[float, float]:
    """Return the leftmost and rightmost centre that a node may take between its neighbours in a row."""
    index, half = row.index(node), size[node] / 2
    low = x[row[index - 1]] + size[row[index - 1]] / 2 + GAP + half if index else half
    high = x[row[index + 1]] - size[row[index + 1]] / 2 - GAP - half if index + 1 < len(row) else width - half
    return low, max(low, high)
