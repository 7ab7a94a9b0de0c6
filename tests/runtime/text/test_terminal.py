"""What is printed is the text of the user, whatever is in it and whatever the terminal can show."""

import io
import subprocess
import sys

import pytest
from rich.table import Table

from pipeline.runtime.progress import progress
from pipeline.runtime.text.terminal import Console, say, styled, visible, warn
from tests.helpers.make import ROOT
from tests.stages.test_stages import ENVIRONMENT

AWKWARD = ["[red]fox", "cat [old]", "x[/b]y", ":cat:", "$x_$", "a\x1b[2Jb", "c\rd", "\u202egnp"]


def table(*cells, title=""):
    built = Table(*cells, title=title)
    built.add_row(*cells)
    return built


@pytest.mark.parametrize("name", AWKWARD)
def test_a_name_is_printed_as_it_is_wherever_it_stands(name):
    out = io.StringIO()
    console = Console(out, width=60)
    console.print(name)
    console.print(table(name, title=name))
    console.print(styled(name, "red"), style="green")
    assert out.getvalue().count(visible(name, "utf-8")) == 5
    assert not set("\x1b\r\u202e") & set(out.getvalue())


def test_styles_reach_a_terminal(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    out = io.StringIO()
    Console(out).print(styled("better", "green"))
    Console(out).print("[b]worse", style="red")
    assert out.getvalue() == "\x1b[32mbetter\x1b[0m\n\x1b[31m[b]worse\x1b[0m\n"


@pytest.mark.parametrize("name", AWKWARD)
def test_a_name_is_the_title_of_a_progress_bar(name, capsys):
    with progress(name, 1) as advance:
        advance(1)
    assert visible(name, "utf-8") in capsys.readouterr().err


def test_lines_go_where_they_should(capsys):
    say("first", "a\nb")
    warn("c\x1b[0m")
    assert capsys.readouterr() == ("first\na\\nb\n", "c\\x1b[0m\n")


@pytest.mark.parametrize(
    ("text", "encoding", "shown"),
    [
        ("猫 ±", "utf-8", "猫 ±"),
        ("猫 é ±", "latin-1", "\\u732b é +-"),
        ("\u22121.6 ± 0.2\xa0% …", "ascii", "-1.6 +- 0.2 % ..."),
        ("x", None, "x"),
    ],
)
def test_letters_that_the_encoding_lacks_are_escaped(text, encoding, shown):
    assert visible(text, encoding) == shown


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
@pytest.mark.parametrize("arguments", [["--help"], ["preset"], ["check", "--params", "猫.yaml"], ["no-such-\u732b"]])
def test_commands_run_in_terminals_that_are_not_unicode(encoding, arguments):
    environment = {**ENVIRONMENT, "PYTHONIOENCODING": encoding}
    command = [sys.executable, "-m", "pipeline", *arguments]
    process = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False)
    printed = (process.stdout + process.stderr).decode(encoding)
    assert printed
    assert "Traceback" not in printed
