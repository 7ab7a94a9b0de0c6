"""Errors of other libraries are told in one short line."""

import pytest

from pipeline.runtime.errors import reason


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError("no\n  such host"), "no such host"),
        (ValueError("word " * 99), ("word " * 40)),
        (TimeoutError(), "TimeoutError"),
        (KeyError("logits"), "'logits'"),
    ],
)
def test_the_reason_of_a_foreign_error_is_one_short_line(error, told):
    assert reason(error) == told
