"""A report says of every method what it reaches and what ours is beside it, and a page can be made of it."""

import pytest

from benchmarks.leaderboard.default import Default
from benchmarks.leaderboard.methods import METHODS
from benchmarks.leaderboard.page import page
from benchmarks.leaderboard.project import Project
from benchmarks.leaderboard.report import build_report
from benchmarks.leaderboard.statistics import Entrant, reached
from benchmarks.leaderboard.tasks import tasks
from pipeline.params.all_params import load_all
from pipeline.params.infer import SCORES
from pipeline.runtime.files import json_bytes
from tests.benchmarks.leaderboard.make import splits
from tests.helpers.make import tiny_params, write_params

NAMES = ("ours", "cross_entropy", "vos", "only_copies")


@pytest.fixture
def found():
    return splits(2, ours=2.0, cross_entropy=0.0, vos=1.0, only_copies=0.5)


@pytest.fixture
def report(found, tmp_path):
    params = load_all(write_params(tmp_path, tiny_params(seeds=[*range(5)])))
    chosen = tasks("digits", development=False)[: len(found)]
    projects = [Project(task, params, ("perturb",), {}, found[0].groups) for task in chosen]
    return build_report(projects, {name: METHODS[name] for name in NAMES}, found, None)


def test_every_method_has_every_score_of_both_groups(report, found):
    for name in NAMES:
        for score in SCORES:
            told = report["methods"][name]["scores"][score]["far"]["auroc"]
            assert told == reached(found, Entrant(name, score), "far")["auroc"]._asdict()


def test_cross_entropy_is_compared_by_every_score_and_others_by_their_own_and_their_best(report):
    methods = report["methods"]
    assert set(methods["cross_entropy"]["ours_minus"]) == set(SCORES)
    assert set(methods["vos"]["ours_minus"]) == {"energy", *methods["vos"]["best"].values()}
    assert methods["ours"]["ours_minus"] == {}


def test_ours_is_far_better_than_chance_here_and_said_to_be_so(report):
    (first, *_) = report["ranking"]
    assert first == ("ours", report["headline"])
    assert report["methods"]["cross_entropy"]["ours_minus"]["msp"]["near"]["auroc"]["verdict"] == "better"


def test_the_probe_of_each_task_is_told(report):
    assert {name: [*probes] for name, probes in report["probes"].items()} == {
        "digits-8-9": ["reencoded", "jpeg"],
        "digits-2-5": ["reencoded", "jpeg"],
    }


def test_a_page_is_made_of_it_and_it_is_json(report):
    assert page([report | {"commit": "0123456789"}], [], {"digits": Default.of_report(report)}).count("| VOS |") == 2
    assert json_bytes(report)
