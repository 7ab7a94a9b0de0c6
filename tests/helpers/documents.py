"""The console blocks of README and docs/."""

import re

from tests.helpers.make import ROOT

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]


def console_blocks(path, heading=""):
    """Return the blocks of commands of a document, or those below the heading that begins like this."""
    text = path.read_text()
    if heading:
        _, below = re.split(rf"^#+ {re.escape(heading)}", text, maxsplit=1, flags=re.MULTILINE)
        text = re.split(r"^#+ ", below, maxsplit=1, flags=re.MULTILINE)[0]
    return re.findall(r"^```console\n(.+?)^```", text, re.MULTILINE | re.DOTALL)


def lines(block):
    """Return the commands of a block as they stand there, one line each."""
    return re.findall(r"^\$ (.+)$", block, re.MULTILINE)
