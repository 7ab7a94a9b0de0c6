"""Every command says what it is for, has an example that can be called, and the whole has a version."""

import shlex
import subprocess
import sys
from importlib.metadata import version

import pytest
import typer

from pipeline.cli import develop, share, start, study, use
from pipeline.cli.main import app
from tests.helpers.make import ROOT

GROUP = typer.main.get_command(app)
COMMANDS = GROUP.commands


def called(*arguments):
    command = [sys.executable, "-m", "pipeline", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_a_group_and_an_example_that_it_accepts(name):
    command = COMMANDS[name]
    assert command.rich_help_panel in (start.PANEL, use.PANEL, study.PANEL, share.PANEL, develop.PANEL)
    program, called_by, *arguments = shlex.split(command.epilog.removeprefix("Example: "))
    assert (program, called_by) == ("latent-outliers", name)
    command.make_context(name, arguments)  # raises an error where it would not be accepted


def test_an_example_that_is_not_accepted_would_be_found():
    with pytest.raises(Exception, match="No such option: --no-such-option"):  # its class is private
        COMMANDS["predict"].make_context("predict", ["--no-such-option"])


def test_the_version_is_that_of_the_package():
    done = called("--version")
    assert done.returncode == 0
    assert done.stdout.strip() == f"latent-outliers {version('latent-outliers')}, code in {ROOT / 'pipeline'}"


def test_without_a_command_help_is_printed_in_groups():
    done = called()
    assert (done.returncode, done.stderr) == (0, "")
    places = [done.stdout.index(title) for title in (start.PANEL, use.PANEL, study.PANEL, share.PANEL, develop.PANEL)]
    assert places == sorted(places)


def test_an_unknown_command_is_an_error():
    done = called("nonsense")
    assert done.returncode == 2
    assert "No such command 'nonsense'" in done.stderr
