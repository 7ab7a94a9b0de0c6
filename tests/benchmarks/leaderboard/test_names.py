"""A name that there is not is answered with the nearest one."""

import re

import pytest

from benchmarks.leaderboard.names import known
from pipeline.runtime.errors import PipelineError


def test_a_word_that_is_not_known_is_answered_with_the_nearest():
    with pytest.raises(PipelineError, match=re.escape("'npo' is no method; did you mean 'npos'?")):
        known(["npo"], ["vos", "npos"], "method")


def test_nothing_asked_for_is_everything():
    assert known(None, ["vos", "npos"], "method") == ["vos", "npos"]
    assert known(["npos"], ["vos", "npos"], "method") == ["npos"]
