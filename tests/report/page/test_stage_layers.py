"""Every stage lies above its readers, beside its neighbours and not on them; no line runs through a stage."""

from itertools import pairwise

import numpy as np
import pytest

from pipeline.report.page.stage_graph import Graph, Stage, build_graph
from pipeline.report.page.stage_layers import BEND_WIDTH, crossings, lay_out
from pipeline.schema.text import plain_yaml
from tests.helpers.make import ROOT, default_params

PIPELINE = plain_yaml((ROOT / "dvc.yaml").read_text())
WIDTH = 80.0


def random_graph(seed, count=9):
    rng = np.random.default_rng(seed)
    names = [f"s{index}" for index in range(count)]
    edges = [(a, b) for place_, a in enumerate(names) for b in names[place_ + 1 :] if rng.random() < 0.3]
    return Graph(tuple(Stage(name, None, None) for name in names), tuple(edges))


GRAPHS = [build_graph(PIPELINE, default_params(), []), *map(random_graph, range(6))]


@pytest.fixture(params=range(len(GRAPHS)))
def drawn(request):
    graph = GRAPHS[request.param]
    return graph, lay_out(graph, {stage.name: WIDTH for stage in graph.stages})


def test_makers_lie_above_readers(drawn):
    graph, layout = drawn
    assert all(layout.stages[maker][1] < layout.stages[reader][1] for maker, reader in graph.edges)


def test_stages_lie_apart_and_inside(drawn):
    _, layout = drawn
    for number in range(layout.layers):
        row = sorted(x for x, layer in layout.stages.values() if layer == number)
        assert all(right - left >= WIDTH - 1e-6 for left, right in pairwise(row))
        assert all(WIDTH / 2 - 1e-6 <= x <= layout.width - WIDTH / 2 + 1e-6 for x in row)


def test_no_line_bends_in_a_stage(drawn):
    _, layout = drawn
    for chain in layout.lines:
        for x, number in chain[1:-1]:
            others = [middle for middle, layer in layout.stages.values() if layer == number]
            assert all(abs(x - middle) >= (WIDTH + BEND_WIDTH) / 2 - 1e-6 for middle in others)


def test_what_could_be_reached_still_can(drawn):
    graph, layout = drawn
    name = {at: stage for stage, at in layout.stages.items()}
    direct = {(name[chain[0]], name[chain[-1]]) for chain in layout.lines}
    reached = set(direct)
    for middle in layout.stages:  # Warshall's closure
        reached |= {(a, d) for a, b in reached for c, d in reached if b == c == middle}
    assert direct <= set(graph.edges) <= reached


def test_lines_that_follow_from_others_are_left_out():
    stages = tuple(Stage(name, None, None) for name in "abc")
    layout = lay_out(Graph(stages, (("a", "b"), ("a", "c"), ("b", "c"))), dict.fromkeys("abc", WIDTH))
    assert len(layout.lines) == 2


def test_crossings_are_counted():
    rows = [["a", "b"], ["c", "d"]]
    assert crossings(rows, [("a", "d"), ("b", "c")]) == 1
    assert crossings(rows, [("a", "c"), ("b", "d"), ("a", "d")]) == 0


def test_lines_are_uncrossed_where_they_can_be():
    stages = tuple(Stage(name, None, None) for name in "abcd")
    layout = lay_out(Graph(stages, (("a", "d"), ("b", "c"))), dict.fromkeys("abcd", WIDTH))
    x = {name: at[0] for name, at in layout.stages.items()}
    assert (x["a"] - x["b"]) * (x["d"] - x["c"]) > 0


def test_no_stage_is_no_picture():
    assert lay_out(Graph((), ()), {}).layers == 0
