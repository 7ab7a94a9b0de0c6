"""README's table and the page say what the parts say."""

import re
from pathlib import Path

import pytest

from benchmarks.photographs.__main__ import PAGE
from benchmarks.photographs.comparison import compared
from benchmarks.photographs.folders import FINAL
from benchmarks.photographs.page import HEADING, main_table, page, results_of
from benchmarks.photographs.parts import Parts
from pipeline.params.score import BootstrapParams
from tests.benchmarks.photographs.make import photographs, write_parts
from tests.helpers.make import ROOT

SHIFTS = {"supervised": 2.0, "cnn": 0.5, "backbone": 3.0, "frozen": 1.0}


def require_table(text, table, where):
    """Raise ValueError where a document has a table with the heading of `table` that is another."""
    (heading, *_) = wanted = table.splitlines()
    lines = text.splitlines()
    if heading in lines:
        start = lines.index(heading)
        if lines[start : start + len(wanted)] != wanted or lines[start + len(wanted) : start + len(wanted) + 1] != [""]:
            raise ValueError(f"{where}: its table differs from `python -m benchmarks.photographs --table`")


@pytest.fixture
def made():
    """A folder of photographs with parts, and its results."""
    one = photographs()
    parts = write_parts(Parts.of(one), SHIFTS)
    return one, {one.name: compared(parts, BootstrapParams(replicates=100, seed=0))}


def cells(text):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]


def test_the_table_has_a_line_for_each_contestant_in_order(made):
    one, results = made
    heading, _, *rows = cells(main_table(results, [one]))
    assert heading == HEADING
    assert [row[0] for row in rows] == ["Things", "", "", "", "", ""]
    assert [row[1].split()[0] for row in rows] == ["**ours,", "its", "plain", "**ours,", "its", "logistic"]
    assert {len(row) for row in rows} == {len(HEADING)}


def test_a_line_says_what_the_results_say(made):
    one, results = made
    line = results["things"]["lines"]["cnn"]
    (row,) = (row for row in cells(main_table(results, [one])) if row[1].startswith("plain CNN"))
    near, apart = line["near"], line["ours_minus"]["near"]
    assert row[2] == "1.5"
    assert row[4] == f"{100 * near['mean']:.1f} ± {100 * near['std']:.1f}"
    low, high = apart["ci95"]
    assert row[7] == f"{100 * apart['mean']:+.1f} ({100 * low:+.1f} to {100 * high:+.1f}) {apart['verdict']}"


def test_the_best_of_several_scores_is_named(made):
    one, results = made
    (row,) = (row for row in cells(main_table(results, [one])) if row[1].endswith("on EfficientNet-Lite0"))
    assert all(re.search(r"\((MSP|k-NN|Mahalanobis\+\+)\)$", cell) for cell in row[4:7])


def test_the_page_begins_with_the_table_and_has_every_score(made):
    one, results = made
    text = page(results, [one])
    assert text.index(main_table(results, [one])) < text.index("## How it is measured") < text.index("## Things")
    assert all(f"| {name} | MSP |" in text for name in SHIFTS)
    assert "Seconds of **ours, without a backbone** (`supervised`): train 40, encode 20." in text


def test_a_document_with_another_table_is_refused_and_one_without_is_not(made):
    one, results = made
    wanted = main_table(results, [one])
    good = f"# Title\n\n{wanted}\n\nMore.\n"
    require_table(good, wanted, Path("README.md"))
    require_table("# Title\n", wanted, Path("README.md"))
    for bad in (good.replace("1.5 |", "1.4 |", 1), good.replace("\n\nMore", "\n| another | line |\n\nMore")):
        with pytest.raises(ValueError, match=re.escape("README.md: its table differs")):
            require_table(bad, wanted, Path("README.md"))


@pytest.fixture
def published(monkeypatch):
    """The results in the repository, as they are read there."""
    monkeypatch.chdir(ROOT)
    if not (results := results_of(FINAL)):
        pytest.skip("there are no results in benchmarks/results/photographs yet")
    return results


def test_readme_and_page_say_what_the_results_of_the_repository_say(published):
    require_table(Path("README.md").read_text(), main_table(published), Path("README.md"))
    assert PAGE.read_text() == page(published)


def test_results_of_the_repository_follow_from_its_parts(published):
    for one in FINAL:
        if one.name in published:
            again = compared(Parts.of(one), BootstrapParams(replicates=100, seed=0))["lines"]
            stored = published[one.name]["lines"]
            assert set(stored) == set(again)
            for name, line in again.items():
                for what, gain in line.pop("ours_minus", {}).items():
                    assert stored[name]["ours_minus"][what]["mean"] == pytest.approx(gain["mean"])
                assert line.items() <= stored[name].items()
