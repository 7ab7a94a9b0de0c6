"""What a rerun costs is told of a project that has nothing to do, and of medians."""

from benchmarks.repro_costs import make_project_of_one_stage, medians
from tests.helpers.project import call


def test_the_project_of_one_stage_has_nothing_to_do(tmp_path):
    make_project_of_one_stage(tmp_path / "alone")
    assert "up to date" in call(tmp_path / "alone", "dvc", "repro")
    assert (tmp_path / "alone/out").read_text() == "1\n"


def test_each_figure_is_the_median_of_its_rounds():
    rounds = [{"a": seconds, "b": 1.0} for seconds in (3.0, 1.234, 2.0, 9.0, 1.0)]
    assert medians(rounds) == {"a": 2.0, "b": 1.0}
