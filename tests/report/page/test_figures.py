"""Every figure is there, in the colours of the page, the same bytes for the same numbers."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from pipeline.report.page import figures
from pipeline.report.page.theme import COLOURS, themed_svg
from tests.helpers.make import changed
from tests.report.page.make import content, whole

MAKERS = {
    "forest": lambda: figures.forest(whole()),
    "roc": lambda: [figures.roc_panel(whole(), 0, "close"), figures.roc_panel(whole(), 1, "noise")],
    "histogram": lambda: [figures.histogram_panel(whole(), 0, "close"), figures.histogram_panel(whole(), 1, "noise")],
    "training": lambda: figures.training(whole()),
}


@pytest.fixture(params=MAKERS)
def panels(request):
    return MAKERS[request.param]()


def test_colours_are_those_of_the_page(panels):
    for panel in panels:
        assert set(re.findall(r"var\(--([a-z]+)\)", panel.svg)) <= set(COLOURS)
        assert re.findall(r":\s*#[0-9a-f]{3,6}", panel.svg) == []


def test_ids_are_not_shared_between_figures(panels):
    ids = [found for panel in panels for found in re.findall(r'\bid="([^"]+)"', panel.svg)]
    assert len(ids) == len(set(ids))


def test_every_reference_is_found_in_its_figure(panels):
    for panel in panels:
        wanted = re.findall(r'(?:url\(|href=")#([^)"]+)', panel.svg)
        assert set(wanted) <= set(re.findall(r'\bid="([^"]+)"', panel.svg))


def test_figures_hold_no_style_sheet_and_no_address(panels):
    assert all("<style" not in panel.svg and "http" not in panel.svg for panel in panels)


def test_every_figure_has_words(panels):
    for panel in panels:
        assert re.search(r'role="img" aria-label="[^"]{20,}"', panel.svg)


@pytest.mark.parametrize("name", MAKERS)
def test_the_same_numbers_are_the_same_bytes(name):
    assert MAKERS[name]() == MAKERS[name]()


def test_there_is_a_forest_panel_per_group_and_set():
    assert [panel.title for panel in MAKERS["forest"]()] == ["near: close", "far (mean)", "remote", "noise"]


def svg_texts(svg):
    plain = svg.replace("xlink:href", "href")
    return [element.text for element in ET.fromstring(plain).iter("text")]


def test_a_forest_panel_has_every_score_the_headline_first():
    wanted = ["combined", "cosine", "energy", "GEN", "k-NN", "Mahalanobis", "Mahalanobis++", "max logit", "MSP"]
    wanted += ["rel. Mahalanobis", "ViM"]
    assert [text for text in svg_texts(MAKERS["forest"]()[0].svg) if text in wanted] == wanted


def test_verdicts_differ_in_shape_and_not_in_colour_alone():
    assert len(set(figures.MARKERS.values())) == 3


def test_labels_keep_all_their_digits():
    svg = themed_svg("x", "a", 100, (10, 10, 10, 10), lambda axes: axes.set_yticks([0.12345], ["0.12345"]))
    assert "0.12345" in svg_texts(svg)


def test_words_for_a_figure_are_escaped():
    svg = themed_svg("x", 'of <b>&"', 100, (10, 10, 10, 10), lambda axes: None)
    assert 'aria-label="of &lt;b&gt;&amp;&quot;"' in svg


def test_losses_are_told_by_role_without_the_learning_rate():
    titles = [panel.title for panel in MAKERS["training"]()]
    assert titles == [f"{role}: {loss}" for role in ("teacher", "detector") for loss in ("cross entropy", "InfoNCE")]


def test_the_accuracy_on_id_validation_is_the_first_panel_of_a_role():
    epochs = [{"learning_rate": 0.1, "cross_entropy": 1.0, "id_validation_accuracy": share} for share in (0.5, 0.875)]
    panels = figures.training(content(histories={"teacher": {0: epochs, 1: epochs}, "detector": {0: epochs[:1]}}))
    assert [panel.title for panel in panels] == [
        f"{role}: {of}" for role in ("teacher", "detector") for of in ("validation accuracy, %", "cross entropy")
    ]
    assert "that the teacher named rightly over 2 epochs: from 50.0 to 87.5, mean over the seeds" in panels[0].svg
    assert len({panel.svg.partition("training-")[2][:1] for panel in panels}) == 4


def test_loss_curves_have_a_row_per_seed():
    curves = figures.loss_curves({0: [{"a": 1.0}, {"a": 2.0}], 1: [{"a": 3.0}, {"a": 4.0}]})
    np.testing.assert_array_equal(curves["a"], [[1, 2], [3, 4]])


def test_no_history_is_no_figure():
    assert figures.training(content(histories={"teacher": {}, "detector": {}})) == []


def test_no_outliers_are_no_figure():
    metrics = changed(whole().metrics, groups={}, sets={})
    assert figures.forest(content(metrics=metrics)) == []


def test_the_threshold_is_the_mean_over_the_seeds():
    metrics = changed(whole().metrics, threshold__values={"0": 1.0, "1": 2.0})
    assert figures.mean_threshold(content(metrics=metrics)) == 1.5
