"""The benchmark trains with both settings in processes of their own, and writes what it found."""

import pytest

from benchmarks.cases import waiting
from pipeline.runtime.files import read_json
from tests.helpers.make import ROOT


@pytest.mark.slow
def test_each_setting_is_timed_alone_and_beside_another_training(monkeypatch, tmp_path):
    monkeypatch.setattr(waiting, "ROUNDS", 1)
    monkeypatch.setattr(waiting, "STEPS", 1)
    monkeypatch.setattr(waiting, "RESULT", tmp_path / "waiting.json")
    monkeypatch.chdir(ROOT)
    waiting.main()
    report = read_json(tmp_path / "waiting.json")
    for state in ("alone", "beside another training"):
        library, stages = (report["seconds"][state][name] for name in ("library", "stages"))
        assert report["ratios"][state] == {"fastest": library[0] / stages[0], "median": library[0] / stages[0]}
