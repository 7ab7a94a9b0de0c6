"""The graph is the one that DVC sees, and a stage's run is what the log says last of its outputs."""

import re

import pytest

from pipeline.report.page.stage_graph import build_graph
from pipeline.schema.text import plain_yaml
from tests.helpers.make import ROOT, default_params, write_params
from tests.helpers.project import call, make_repository

PIPELINE = plain_yaml((ROOT / "dvc.yaml").read_text())
SMALL = {
    "stages": {
        "make": {"foreach": "${sets}", "do": {"cmd": "x", "deps": ["in"], "outs": ["data/${key}"]}},
        "mix": {"matrix": {"way": "${ways}"}, "cmd": "x", "deps": ["data/a"], "outs": [{"mixed/${item.way}": {}}]},
        "train": {"cmd": "x", "deps": ["mixed", "code.py"], "outs": ["model"], "metrics": ["loss.json"]},
        "score": {"cmd": "x", "deps": ["model/0", "data/b/part"], "plots": ["plots"]},
    }
}
PARAMS = {"sets": {"a": 1, "b": 2}, "ways": ["x", "y", "z"]}


def line(output, seconds=1.0, began="2026-01-01T00:00:00+0000", **changes):
    facts = {"output": output, "seconds": seconds, "began": began, "ended": "ok", "revision": "abc", "host": "h"}
    return facts | {"platform": "Linux", "versions": {"torch": "2", "numpy": "1"}} | changes


def stage(name, log):
    return next(found for found in build_graph(SMALL, PARAMS, log).stages if found.name == name)


def edges_of_dvc(folder, params):
    """Return what `dvc dag` draws, the members of a stage as one."""
    make_repository(folder)
    (folder / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    (folder / "stages").mkdir()
    (folder / "stages/__init__.py").touch()
    write_params(folder, params)
    drawn = re.findall(r'"([^"@]+)[^"]*" -> "([^"@]+)[^"]*";', call(folder, "dvc", "dag", "--dot"))
    return {pair for pair in drawn if pair[0] != pair[1]}


@pytest.mark.parametrize("methods", [["perturb", "mixup"], ["label_mixup"]])
def test_the_edges_are_those_of_dvc(methods, tmp_path):
    params = default_params()
    params["synthesize"]["methods"] = methods
    found = build_graph(PIPELINE, params, []).edges
    assert ("denoiser", "synthesize") in found or methods != ["label_mixup"]
    assert set(found) == edges_of_dvc(tmp_path / "p", params)


def test_a_reader_of_a_part_or_of_the_whole_depends_on_the_maker():
    wanted = {("make", "mix"), ("mix", "train"), ("train", "score"), ("make", "score")}
    assert set(build_graph(SMALL, PARAMS, []).edges) == wanted


def test_members_are_counted():
    members = {found.name: found.members for found in build_graph(SMALL, PARAMS, []).stages}
    assert members == {"make": 2, "mix": 3, "train": None, "score": None}


def test_a_list_of_items_has_a_member_each():
    body = {"foreach": ["p", "q"], "do": {"cmd": "x", "outs": ["o/${item}"]}}
    (found,) = build_graph({"stages": {"s": body}}, {}, [line("o/p", 1.0), line("o/q", 2.0), line("o/r", 4.0)]).stages
    assert (found.members, found.run.seconds) == (2, 3.0)


def test_outputs_are_summed_and_the_latest_names_the_commit():
    log = [line("data/a", 2.0, "2026-01-02T00:00:00+0000", revision="new"), line("data/b", 3.0, revision="old")]
    run = stage("make", log).run
    assert (run.seconds, run.began, run.revision) == (5.0, "2026-01-02T00:00:00+0000", "new")
    assert run.versions == (("numpy", "1"), ("torch", "2"))


def test_the_last_good_line_of_an_output_counts():
    log = [line("model", 9.0), line("model", 2.0), line("model", 1.0, ended="error")]
    assert stage("train", log).run.seconds == 2.0


def test_what_is_not_an_output_of_this_run_does_not_count():
    assert stage("mix", [line("mixed/other")]).run is None
    assert stage("score", []).run is None
