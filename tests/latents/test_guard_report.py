"""A report is read whole or refused in one line."""

from pathlib import Path

import pytest

from pipeline.latents.guard_report import GUARD_FORMAT, read_guard
from pipeline.runtime.errors import PipelineError
from pipeline.runtime.files import write_json

FILE = Path("guard.json")
REPORT = {"format": GUARD_FORMAT, "sets": {}, "files": {}, "shared": [], "near_duplicates": {}}


def test_what_was_written_is_read():
    write_json(FILE, REPORT)
    assert read_guard(FILE) == REPORT


def test_a_missing_report_says_how_to_make_it():
    with pytest.raises(PipelineError, match="guard.json: not found; run `dvc repro`"):
        read_guard(FILE)


def test_a_report_that_lacks_a_part_is_refused():
    write_json(FILE, {"format": GUARD_FORMAT, "sets": {}})
    with pytest.raises(PipelineError, match="it lacks files, near_duplicates, shared; run `dvc repro --force guard`"):
        read_guard(FILE)


@pytest.mark.parametrize("content", [b"", b"{", b"[]"])
def test_a_damaged_report_is_refused(content):
    FILE.write_bytes(content)
    with pytest.raises(PipelineError, match="guard.json: found no report in it .*dvc repro --force guard"):
        read_guard(FILE)


def test_another_format_is_refused():
    write_json(FILE, REPORT | {"format": "latent-outliers-guard/9"})
    with pytest.raises(
        PipelineError, match="its format is 'latent-outliers-guard/9', wanted 'latent-outliers-guard/2'"
    ):
        read_guard(FILE)
