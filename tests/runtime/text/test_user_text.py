"""Text of users is escaped at every border, and every border goes through the functions that do it."""

import ast
import csv
import io

import pytest

from pipeline.runtime.errors import BundleError, PipelineError, ScoreError
from pipeline.runtime.text.user_text import csv_text, markdown_text, printable
from tests.helpers.make import ROOT

LIBRARY = sorted([*ROOT.glob("pipeline/**/*.py"), *ROOT.glob("stages/*.py")])
BORDERS = {
    "rich.console": "pipeline/runtime/text/terminal.py",
    "rich.markup": "nowhere",
    "rich.print": "nowhere",
    "matplotlib.figure": "pipeline/runtime/text/figure.py",
    "csv.writer": "pipeline/detector/prediction_file.py",
    "print": "nowhere",
    "typer.echo": "nowhere",
    "typer.secho": "nowhere",
    "sys.stdout.write": "nowhere",
    "sys.stderr.write": "nowhere",
}
"""Ways out of the program, and the module that may use each."""
WITHOUT_USER_TEXT = {
    ("matplotlib.figure", "pipeline/report/page/theme.py"),  # sets NO_FORMULAS; browsers have their own fonts
    ("csv.writer", "pipeline/report/plots.py"),  # writes numbers only
}


def used_names(path):
    """Yield the dotted names that a file imports, and those that it calls."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Call):
            yield ast.unparse(node.func)


def test_no_module_prints_draws_or_writes_tables_beside_the_borders():
    found = {(name, path.relative_to(ROOT).as_posix()) for path in LIBRARY for name in used_names(path)}
    beside = {(name, path) for name, path in found if name in BORDERS and path != BORDERS[name]}
    assert beside - WITHOUT_USER_TEXT == set()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("red fox, ½ 猫 $x$ [b]", "red fox, ½ 猫 $x$ [b]"),
        ("1.2\xa0% [\u202f] キタ\u3000キツネ", "1.2\xa0% [\u202f] キタ\u3000キツネ"),
        ("a\nb\rc\td", r"a\nb\rc\td"),
        ("\x1b[31mred\x9b", r"\x1b[31mred\x9b"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("line\u2028end\udcff\ud800", r"line\u2028end\xff\ud800"),
        ("می\u200cروم", "می\u200cروم"),
    ],
)
def test_text_becomes_one_line_of_visible_letters(text, shown):
    assert printable(text) == shown


@pytest.mark.parametrize("text", ["=1+1", "@SUM(A1)", "+1+1", "-1+cmd|' /C calc'!A0", "\uff1d1+1", "-x"])
def test_a_formula_is_text_in_csv(text):
    assert csv_text(text) == f"'{text}"


@pytest.mark.parametrize("text", ["-", "+", "-1", "+0.5", "a=1", "photos/=1.png", "'", ""])
def test_what_is_no_formula_stays_as_it_is_in_csv(text):
    assert csv_text(text) == text


def test_a_name_is_one_row_of_csv_for_every_reader():
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([[csv_text(name)] for name in ("a\rb", "c\nd", 'e,"f"')])
    assert len(out.getvalue().splitlines()) == 3
    assert [row for (row,) in csv.reader(io.StringIO(out.getvalue()))] == [r"a\rb", r"c\nd", 'e,"f"']


def test_markdown_shows_a_name_as_it_is():
    assert markdown_text("red fox, 3/4") == "red fox, 3/4"
    assert markdown_text("*a* [b](c) <i> `d` | $e$") == r"\*a\* \[b\]\(c\) \<i\> \`d\` \| \$e\$"
    assert markdown_text("- x") == r"\- x"
    assert markdown_text("a\n# b") == r"a\\n\# b"


def test_an_error_is_one_visible_line_however_it_is_shown():
    for error in (
        PipelineError("a\nb\x1b[2J"),
        ScoreError("a\nb\x1b[2J"),
        BundleError("a\nb\x1b[2J", "one", "other"),
    ):
        assert str(error).startswith(r"a\nb\x1b[2J")
