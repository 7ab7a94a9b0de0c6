"""The command knows its words, prints its tables, and writes a page from the reports that are there."""

import re
from pathlib import Path

import pytest

from benchmarks.quality.__main__ import _known, show, write_page
from pipeline.errors import PipelineError
from pipeline.files import write_json
from tests.benchmarks.quality.make import report
from tests.make import ROOT


def test_a_word_that_is_not_known_is_answered_with_the_nearest():
    with pytest.raises(PipelineError, match=re.escape("'npo' is no method; did you mean 'npos'?")):
        _known(["npo"], ["vos", "npos"], "method")


def test_nothing_asked_for_is_everything():
    assert _known(None, ["vos", "npos"], "method") == ["vos", "npos"]
    assert _known(["npos"], ["vos", "npos"], "method") == ["npos"]


def test_every_method_is_printed(capsys):
    show(report())
    printed = capsys.readouterr().out
    assert all(one["title"] in printed for one in report()["methods"].values())


def test_the_page_is_of_the_benchmarks_that_were_run():
    Path("presets").symlink_to(ROOT / "presets")
    write_json(Path("digits.json"), report())
    write_page([Path("digits.json"), Path("cifar10.json")])
    assert re.findall(r"^## (.+)$", Path("docs/results.md").read_text(), re.MULTILINE) == ["In short", "Digits"]
