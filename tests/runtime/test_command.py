"""A command is given the name of its set or method by DVC, not by a shell."""

import os

import pytest

from pipeline.runtime.command import NAME, SPIN, SPIN_CHOSEN_BY, run_app, stage_lines, with_name
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


@pytest.mark.parametrize(
    ("stage", "line"),
    [
        ("encode@held_out", "stage 2 of 3: encode@held_out"),
        ("score", "stage 3 of 3: score"),
        ("other", None),
        ("", None),
    ],
)
def test_a_stage_says_how_far_the_run_is(monkeypatch, tmp_path, stage, line):
    pipeline = tmp_path / "dvc.yaml"
    pipeline.write_text("stages:\n  encoder: {cmd: a}\n  encode: {foreach: [x], do: {cmd: b}}\n  score: {cmd: c}\n")
    monkeypatch.setenv("DVC_STAGE", stage)
    assert stage_lines(pipeline) == ([line] if line else [])
    assert stage_lines(tmp_path / "none.yaml") == []


@pytest.mark.parametrize("chosen", [None, *SPIN_CHOSEN_BY])
def test_threads_soon_sleep_unless_the_user_has_chosen(monkeypatch, chosen):
    for name in SPIN_CHOSEN_BY:
        monkeypatch.delenv(name, raising=False)
    if chosen:
        monkeypatch.setenv(chosen, "4")
    monkeypatch.setattr(os, "environ", dict(os.environ))
    run_app(lambda: None)
    found = {name: os.environ[name] for name in SPIN_CHOSEN_BY if name in os.environ}
    assert found == ({chosen: "4"} if chosen else SPIN)
