"""What is forked is a process like any other: its arguments, streams, environment, exit code and end are its own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers.make import ROOT
from tests.helpers.project import call, environment
from tests.helpers.warm import warmed

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="nothing is forked here")
SHOWN = """
import os, sys
print(sys.argv[1:], os.environ["HOME"], os.getcwd(), "torch" in sys.modules, sys.path[0])
print(sys.stdin.read(), file=sys.stderr)
"""


def run(*arguments, given="", **changes):
    own = warmed(environment(Path.cwd())) | changes
    done = subprocess.run(
        ["python", *arguments], env=own, input=given, capture_output=True, text=True, check=False, timeout=60
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(params=["module", "script"])
def written(request):
    """Write a program; return how it is run."""

    def write(program):
        Path("program.py").write_text(program)
        return ("-m", "program") if request.param == "module" else ("program.py",)

    return write


def test_it_has_its_own_arguments_streams_and_environment(written, tmp_path):
    home = tmp_path.parent / "home"
    assert run(*written(SHOWN), "a", "b c", given="in") == (
        0,
        f"['a', 'b c'] {home} {tmp_path} True {tmp_path}\n",
        "in\n",
    )


@pytest.mark.parametrize(
    ("program", "code", "told"),
    [
        ("", 0, ""),
        ("raise SystemExit(3)", 3, ""),
        ("raise SystemExit('no')", 1, "no"),
        ("1 / 0", 1, "ZeroDivisionError: division by zero"),
        ("import os; os.kill(os.getpid(), 9)", -9, ""),
        ("import os; os.kill(os.getpid(), 15)", -15, ""),
    ],
)
def test_it_ends_as_it_ended(written, program, code, told):
    found, _, err = run(*written(program))
    assert (found, err.splitlines()[-1:]) == (code, [told] if told else [])


def test_what_it_does_at_its_end_is_done():
    Path("program.py").write_text("import atexit\natexit.register(print, 'last', end='')")
    assert run("program.py") == (0, "last", "")


@pytest.mark.parametrize("changes", [{"OMP_NUM_THREADS": "1"}, {"HF_HOME": "elsewhere"}])
def test_where_libraries_would_read_other_variables_they_are_imported_anew(changes):
    Path("program.py").write_text("import sys\nprint('torch' in sys.modules)")
    assert run("program.py", **changes) == (0, "False\n", "")
    added = {"TORCHINDUCTOR_CACHE_DIR": "diffusers", "KMP_INIT_AT_FORK": "scikit-learn", "PYTHONBREAKPOINT": "ray"}
    assert run("program.py", **added) == (0, "True\n", "")


def test_code_on_the_command_line_and_the_command_run_too():
    assert run("-c", "print(1)") == (0, "1\n", "")
    assert "Usage: latent-outliers" in call(ROOT, "latent-outliers", "--help")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_reaches_it_and_a_killed_client_leaves_nothing_behind(number):
    Path("program.py").write_text("import os, time\nopen('pid', 'w').write(str(os.getpid()))\ntime.sleep(60)")
    process = subprocess.Popen(["python", "program.py"], env=warmed(environment(Path.cwd())), stderr=subprocess.DEVNULL)
    wait_for(lambda: Path("pid").is_file() and Path("pid").read_text())
    process.send_signal(number)
    assert process.wait() == -number
    wait_for(lambda: not is_running(int(Path("pid").read_text())))


def wait_for(reached):
    deadline = time.monotonic() + 20
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
