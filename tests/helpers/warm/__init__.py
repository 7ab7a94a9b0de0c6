"""A warm Python: stages that tests start are forked from a process that has imported their libraries.

To import PyTorch and diffusers takes seconds, and most stages of a tiny project less. They stay processes with a
folder, environment, output and exit code of their own, and import the project's code themselves. Python starts as ever
for `python -c`, where a variable that libraries read is another one than when they were imported, and in
`test_tutorial.py`.
"""

import atexit
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE, PYTHON = Path(__file__).parent, Path(sys.executable)
COMMANDS = {"python": "", "latent-outliers": PYTHON.with_name("latent-outliers")}
SCRIPT = '#!/bin/sh\nexec "{python}" -IS "{client}" "{socket}" "{python}" {script} "$@"\n'


def warmed(environment):
    """Return an environment in which `python` and `latent-outliers` are forked, where a process can be."""
    commands = _commands() if sys.platform == "linux" else PYTHON.parent
    return environment | {"PATH": f"{commands}{os.pathsep}{environment['PATH']}"}


@functools.cache
def _commands():
    """Start the process that is forked, which ends with this one; return the folder of the commands that ask it."""
    folder = Path(tempfile.mkdtemp(prefix="warm"))
    socket, client = folder / "socket", HERE / "client.py"
    server = subprocess.Popen([PYTHON, HERE / "server.py", socket], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    atexit.register(_end, server, folder)
    assert server.stdout.read(1) == b"+", "the warm Python did not start"
    for name, script in COMMANDS.items():
        command = folder / "bin" / name
        command.parent.mkdir(exist_ok=True)
        command.write_text(SCRIPT.format(python=PYTHON, client=client, socket=socket, script=script))
        command.chmod(0o755)
    return folder / "bin"


def _end(server, folder):
    server.communicate()
    shutil.rmtree(folder)
