"""A command is given the name of its set or method by DVC, not by a shell."""

import pytest

from pipeline.runtime.command import NAME, with_name
from pipeline.runtime.outputs import STAGE


@pytest.mark.parametrize("stage", ["encode@held_out", "../dvc.yaml:encode@held_out"])
def test_the_name_behind_the_at_sign_is_put_where_a_command_asks_for_it(monkeypatch, stage):
    monkeypatch.setenv(STAGE, stage)
    assert with_name(["--", NAME, f"data/latents/{NAME}", "x"]) == ["--", "held_out", "data/latents/held_out", "x"]


@pytest.mark.parametrize("stage", [None, "train"])
def test_arguments_stay_as_they_are_where_no_name_is_known(monkeypatch, stage):
    monkeypatch.delenv(STAGE, raising=False)
    if stage:
        monkeypatch.setenv(STAGE, stage)
    assert with_name([NAME, "x"]) == [NAME, "x"]
