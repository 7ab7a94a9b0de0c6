"""The drawing names every stage, how many it stands for and how long it took."""

import xml.etree.ElementTree as ET

import pytest

from pipeline.report.page.drawing import duration, graph_svg
from pipeline.report.page.stage_graph import Graph, Stage
from tests.report.page.make import GRAPH


def texts(graph):
    return [element.text for element in ET.fromstring(graph_svg(graph)).iter("text")]


def test_every_stage_is_told_with_its_members_and_duration():
    assert texts(GRAPH) == ["encode", "6 \N{MULTIPLICATION SIGN}, 1 min 15 s", "train", "1 min 15 s", "score", "-"]


def test_every_line_is_drawn():
    paths = [path.get("d") for path in ET.fromstring(graph_svg(GRAPH)).iter("path")]
    assert len(paths) == 1
    assert paths[0].startswith("M")


def test_the_drawing_has_words_for_those_who_do_not_see_it():
    assert ET.fromstring(graph_svg(GRAPH)).get("aria-label") == "Graph of the stages: encode to train"


def test_names_are_text_and_not_markup():
    assert texts(Graph((Stage('<b>&"', None, None),), ())) == ['<b>&"', "-"]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.04, "0.0 s"), (59.9, "59.9 s"), (59.97, "1 min 00 s"), (75, "1 min 15 s"), (3599.7, "1 h 00 min")],
)
def test_durations_have_at_most_two_units(seconds, said):
    assert duration(seconds) == said
