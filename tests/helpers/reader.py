"""Someone who does what a document says: its commands in one shell, its edits, and a look at what is printed."""

import re
import subprocess

from tests.helpers.project import environment

SECONDS = 1200


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
