"""A report is read whole or refused in one line."""

from pathlib import Path

import pytest

from pipeline.errors import MissingInputError, PipelineError
from pipeline.files import write_json
from pipeline.guard.report import GUARD_FORMAT, read_guard

FILE = Path("guard.json")
REPORT = {"format": GUARD_FORMAT, "sets": {}, "shared": [], "near_duplicates": {}}


def test_what_was_written_is_read():
    write_json(FILE, REPORT)
    assert read_guard(FILE) == REPORT


def test_a_missing_report_says_how_to_make_it():
    with pytest.raises(MissingInputError, match="guard.json: not found. Run `dvc repro`"):
        read_guard(FILE)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": "latent-outliers-guard/1", "sets": {}}'])
def test_a_damaged_report_is_refused(content):
    FILE.write_bytes(content)
    with pytest.raises(PipelineError, match="guard.json: found no report in it .*dvc repro --force guard"):
        read_guard(FILE)


def test_another_format_is_refused():
    write_json(FILE, REPORT | {"format": "latent-outliers-guard/9"})
    with pytest.raises(
        PipelineError, match="its format is 'latent-outliers-guard/9', wanted 'latent-outliers-guard/1'"
    ):
        read_guard(FILE)
