"""What is computed is named by the code of the stage that computes it."""

from benchmarks.leaderboard.keys import stage_code
from pipeline.schema.text import plain_yaml
from tests.helpers.make import ROOT


def test_every_stage_has_a_digest_of_its_own_code(monkeypatch):
    monkeypatch.chdir(ROOT)
    stages = plain_yaml((ROOT / "dvc.yaml").read_text())["stages"]
    assert len({stage_code(name) for name in stages}) == len(stages)
