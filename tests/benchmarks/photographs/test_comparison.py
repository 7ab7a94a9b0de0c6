"""Ours minus a contestant, on the same seeds and images; the best of several scores where it is said to be."""

import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks.photographs.comparison import compared, network_scores
from benchmarks.photographs.parts import Parts
from pipeline.params.score import BootstrapParams
from pipeline.runtime.errors import PipelineError
from tests.benchmarks.photographs.make import parts_of

FEW = BootstrapParams(replicates=100, seed=0)


def auroc(known, other):
    """Count pairs of an ID and an OOD image, by loops."""
    wins = [(a < b) + (a == b) / 2 for a in known for b in other]
    return sum(wins) / len(wins)


def values(parts, name, seed, score, group):
    of = parts.read(name, seed)["ranks"][score]
    return auroc(*([int(rank) for rank in of[which].split()] for which in ("id_test", group)))


def test_a_difference_is_that_of_the_means_over_seeds():
    parts = parts_of({"supervised": 6.0, "cnn": 0.0})
    line = compared(parts, FEW)["lines"]["cnn"]
    for group in ("near", "far"):
        ours, other = (
            np.mean([values(parts, name, seed, score, group) for seed in range(3)])
            for name, score in (("supervised", "combined"), ("cnn", "msp"))
        )
        assert line["ours_minus"][group]["mean"] == pytest.approx(ours - other)
        assert line[group]["mean"] == pytest.approx(other)
        assert line["ours_minus"][group]["verdict"] == "better"


def test_a_difference_in_accuracy_is_that_of_the_means():
    lines = compared(parts_of({"supervised": 2.0, "cnn": 0.5}), FEW)["lines"]
    apart = lines["supervised"]["id_accuracy"]["mean"] - lines["cnn"]["id_accuracy"]["mean"]
    assert lines["cnn"]["ours_minus"]["id_accuracy"]["mean"] == pytest.approx(apart)


def test_frozen_features_have_the_best_of_their_three_scores_figure_by_figure():
    parts = parts_of({"backbone": 1.0, "frozen": 0.5})
    line, scores = compared(parts, FEW)["lines"]["frozen"], parts.read("frozen", 0)["scores"]
    three = ("msp", "knn", "mahalanobis_pp")
    for group in ("near", "far"):
        assert line[group]["mean"] == max(scores[score][group]["auroc"] for score in three)
        assert scores[line[group]["score"]][group]["auroc"] == line[group]["mean"]
    assert line["foreign_flagged"]["mean"] == max(scores[score]["flagged"]["foreign"] for score in three)
    assert line["near"]["std"] is None


def test_a_teacher_is_beside_the_detector_of_its_run():
    lines = compared(parts_of({"supervised": 2.0}), FEW)["lines"]
    assert set(lines) == {"supervised", "supervised-teacher"}
    assert lines["supervised-teacher"]["ours_minus"]["far"]["mean"] > 0
    assert "foreign_flagged" not in lines["supervised-teacher"]
    assert lines["supervised-teacher"]["costs"] == lines["supervised"]["costs"]


def test_without_ours_there_is_nothing_to_subtract_from():
    assert "ours_minus" not in compared(parts_of({"cnn": 1.0}), FEW)["lines"]["cnn"]


def test_what_has_no_seeds_is_the_same_beside_each_seed():
    parts = parts_of({"frozen": 1.0})
    one = network_scores([parts.read("frozen", 0)], 3)
    assert one.hits.shape == (3, 30)
    np.testing.assert_array_equal(one.of["near"]["msp"][0], one.of["near"]["msp"][2])


def test_some_seeds_of_several_are_refused():
    parts = parts_of({"cnn": 1.0}, seeds=2)
    with pytest.raises(PipelineError, match="found 2 seeds of a contestant, wanted 1 or 3"):
        network_scores([parts.read("cnn", seed) for seed in range(2)], 3)


def test_parts_of_other_images_are_refused():
    parts = parts_of({"cnn": 1.0}, digest="of others")
    with pytest.raises(PipelineError, match=re.escape("parts: its parts cnn are of other images; run cnn again")):
        compared(parts, FEW)


def test_without_parts_there_are_no_lines():
    assert compared(parts_of({}), FEW)["lines"] == {}


def test_images_have_to_be_there():
    with pytest.raises(PipelineError, match=re.escape("nothing/images.json: not found")):
        compared(Parts(Path("nothing")), FEW)
