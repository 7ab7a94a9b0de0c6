"""What stages left beside their results is read where it is there, and named where it is damaged."""

import json
from pathlib import Path

import pytest

from pipeline.report.page.load import load_histories, load_run_record, machine, read_log
from pipeline.runtime.errors import ParamsError, PipelineError
from tests.helpers.make import ROOT

EPOCHS = [{"cross_entropy": 1.0}, {"cross_entropy": 0.5}]


def write(path, text):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_histories_are_read_per_role_and_seed():
    for seed in (0, 1):
        write(f"t/{seed}/history.json", json.dumps(EPOCHS))
    assert load_histories({"teacher": Path("t")}, (0, 1)) == {"teacher": {0: EPOCHS, 1: EPOCHS}}


def test_a_network_without_a_history_is_left_out():
    assert load_histories({"teacher": Path("t")}, (0,)) == {"teacher": {}}


@pytest.mark.parametrize("text", ["", "[{", "[1]", '[{"a": "x"}]', "7", '[{"a": null}]'])
def test_a_damaged_history_is_named(text):
    write("t/0/history.json", text)
    with pytest.raises(
        PipelineError, match=r"t/0/history.json: found no history in it \(.+\), wanted a list of losses"
    ):
        load_histories({"teacher": Path("t")}, (0,))


def test_a_line_that_a_crash_cut_short_is_passed_over():
    write("log", '{"output": "a"}\n{"outp')
    assert read_log(Path("log")) == [{"output": "a"}]


def test_no_log_has_no_lines():
    assert read_log(Path("log")) == []


def test_the_graph_and_the_parameters_are_those_of_the_project():
    run_record = load_run_record(ROOT / "params.yaml", ROOT / "dvc.yaml", Path("none"))
    assert {stage.name for stage in run_record.graph.stages} >= {"encoder", "train", "score"}
    assert run_record.params == (ROOT / "params.yaml").read_text()


def test_without_dvc_yaml_there_is_no_graph():
    assert load_run_record(ROOT / "params.yaml", Path("none")).graph is None


def test_parameters_that_are_not_there_are_named():
    with pytest.raises(ParamsError, match="params.yaml: not found"):
        load_run_record(Path("params.yaml"))


def test_the_machine_has_a_processor_and_cores():
    assert "core" in machine()
