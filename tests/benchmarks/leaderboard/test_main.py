"""The command knows its words, prints its tables, and writes a page from the reports that are there."""

import re
from pathlib import Path

import pytest

from benchmarks.leaderboard import __main__ as main_module
from benchmarks.leaderboard.__main__ import main, show, write_page
from benchmarks.leaderboard.page import PICTURE
from pipeline.runtime.errors import PipelineError
from pipeline.runtime.files import write_json
from tests.benchmarks.leaderboard.make import by_rows, report
from tests.helpers.make import ROOT

PAGE = Path("docs/benchmarks/results.md")


def test_every_method_is_printed(capsys):
    show(report())
    printed = capsys.readouterr().out
    assert all(one["title"] in printed for one in report()["methods"].values())


def test_the_page_is_of_the_benchmarks_that_were_run():
    Path("presets").symlink_to(ROOT / "presets")
    write_json(Path("results/leaderboard-digits.json"), report())
    write_page(Path("results"))
    assert re.findall(r"^## (.+)$", PAGE.read_text(), re.MULTILINE) == ["In short", "Digits"]
    assert not (PAGE.parent / PICTURE).exists()


def test_numbers_of_outliers_are_a_section_and_a_picture_of_the_page():
    Path("presets").symlink_to(ROOT / "presets")
    write_json(Path("results/leaderboard-digits.json"), report())
    write_json(Path("results/rows-fashion_mnist.json"), by_rows() | {"benchmark": "fashion_mnist"})
    write_page(Path("results"))
    found = re.findall(r"^##+ (.+)$", PAGE.read_text(), re.MULTILINE)
    assert found == ["In short", "Digits", "How many outliers it takes", "Fashion-MNIST"]
    assert (PAGE.parent / PICTURE).is_file()


@pytest.fixture
def ran(monkeypatch):
    """Have every benchmark give the same report at once; what was asked for is noted."""
    Path("presets").symlink_to(ROOT / "presets")
    noted = []

    def run(name, entrants, seeds, launch, *, development):
        noted.append((name, seeds))
        return report() | {"benchmark": name}

    monkeypatch.setattr(main_module, "run_benchmark", run)
    monkeypatch.setattr(main_module, "require_clean", lambda: None)
    return noted


def test_without_a_name_all_benchmarks_are_run_with_their_seeds(ran):
    main()
    assert ran == [("digits", 5), ("fashion_mnist", 5), ("cifar10_layer3", 3), ("cifar10_layer2", 3)]
    assert PAGE.is_file()
    ran.clear()
    main(benchmark=["fashion_mnist", "digits"], seeds=2)
    assert ran == [("digits", 2), ("fashion_mnist", 2)]


def test_some_methods_are_published_when_asked_for(ran):
    main(benchmark=["digits"], methods=["vos"])
    assert not PAGE.exists()
    assert Path(".work/leaderboard/part-digits.json").is_file()
    main(benchmark=["digits"], methods=["vos"], publish=True)
    assert PAGE.is_file()
    assert Path("benchmarks/results/leaderboard-digits.json").is_file()


def test_what_settings_are_chosen_on_is_never_published():
    with pytest.raises(PipelineError, match="for choosing settings"):
        main(publish=True, development=True)


def test_numbers_of_outliers_and_methods_are_two_runs():
    with pytest.raises(PipelineError, match="another run"):
        main(methods=["vos"], rows=True)
