"""The tutorial's commands run as they stand there, and print what it shows, but for the figures."""

import csv
import os
import re
import shutil
import subprocess

import pytest

from tests.make import ROOT
from tests.project import commit, environment, make_repository

TUTORIAL = ROOT / "docs/tutorial.md"
SECONDS = 1200


@pytest.fixture
def clone(tmp_path):
    """A clone of this project as it is now, committed or not."""
    folder = tmp_path / "latent-outliers"
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listed, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    make_repository(folder)
    commit(folder, "start")
    return folder


class Reader:
    """Someone who does what the tutorial says, in one shell that stays where it went."""

    def __init__(self, folder):
        self.folder = folder
        self.environment = environment(folder) | {"PYTHONPATH": str(folder)}

    def run(self, *command):
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, text=True, check=False, timeout=SECONDS,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def console(self, block):
        for command, shown in re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
            done = self.run("bash", "-c", f"{command}\ncode=$?; echo; pwd; exit $code")
            assert done.returncode == 0, done.stdout
            *printed, where = done.stdout.splitlines()
            self.folder = type(self.folder)(where)
            assert_shown(shown, "\n".join(printed))

    def diff(self, block):
        before, after = (re.search(rf"^\{sign}( .+)$", block, re.MULTILINE)[1] for sign in "-+")
        params = self.folder / "params.yaml"
        assert params.read_text().count(before) == 1
        params.write_text(params.read_text().replace(before, after))

    def python(self, block):
        self.printed = self.run("python", "-c", block).stdout

    def text(self, block):
        assert_shown(block, self.printed)


def assert_shown(shown, printed):
    """Compare lines without figures and extra blanks; `...` stands for lines that are not shown."""
    left = iter(map(bare, printed.splitlines()))
    for line in map(bare, shown.splitlines()):
        assert line == "..." or line in left, f"not printed, or not in this order: {line}\n{printed}"


def bare(line):
    return re.sub(r"[-+]?\d[\d,]*(\.\d+)?", "#", " ".join(line.split()))


@pytest.mark.slow
@pytest.mark.timeout(SECONDS)
def test_every_command_of_the_tutorial_does_what_it_shows(clone):
    reader = Reader(clone)
    for kind, block in re.findall(r"```(\w+)\n(.+?)```", TUTORIAL.read_text(), re.DOTALL):
        getattr(reader, kind)(block)
    with (reader.folder / "answers.csv").open() as stream:
        answers = list(csv.DictReader(stream))
    unknown = [answer["is_outlier"] == "True" for answer in answers if "other" in answer["file"]]
    known = [answer["is_outlier"] == "True" for answer in answers if "other" not in answer["file"]]
    assert (len(unknown), len(known)) == (10, 40)
    assert sum(unknown) >= 8
    assert sum(known) <= 8


def test_what_is_not_printed_is_noticed():
    assert_shown("a 1\n...\nc 2.5\n", "a 3\nb\nc  -1,000\n")
    with pytest.raises(AssertionError, match="not printed, or not in this order: b"):
        assert_shown("c\nb\n", "b\nc\n")


def test_the_tutorial_is_found_from_the_start():
    assert os.path.relpath(TUTORIAL, ROOT) in (ROOT / "README.md").read_text()
