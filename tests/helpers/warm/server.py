"""Import what stages import, then fork for every request; ends when its standard input does.

A request is a line of JSON with the standard streams as file descriptors. The answer is the exit code of the process,
as `subprocess` has it, or `cold` where libraries would have read other variables while they were imported.
"""

import atexit
import io
import json
import os
import runpy
import select
import signal
import socket
import sys
import threading
from importlib import import_module
from pathlib import Path

LIBRARIES = {
    "torch": (),
    "diffusers": ("AutoencoderKL", "DDIMScheduler", "UNet2DModel"),
    "transformers": (),
    "zarr": (),
    "pyarrow.parquet": (),
    "sklearn.datasets": (),
    "matplotlib.figure": (),
    "PIL.Image": (),
    "pydantic": (),
    "typer": (),
    "rich.progress": (),
}
"""What takes long, and what of it is imported when it is first asked for."""
READ_ON_IMPORT = ("OMP_", "MKL_", "GOMP_", "HF_", "CUDA", "MPL", "LD_", "PYTHON")
PYTHONPATH = "PYTHONPATH"
READ_LATER = (PYTHONPATH, "PYTHONBREAKPOINT")
"""Of these the first is read for each request, and the second, which Ray sets, where code stops for a debugger."""
STREAMS = ("rb", "wb", "wb")


def main():
    variables = read_on_import(os.environ)  # before libraries add their own
    for library, names in LIBRARIES.items():
        module = import_module(library)
        for name in names:
            getattr(module, name)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(sys.argv[1])
    listener.listen(64)
    os.write(1, b"+")
    while 0 not in (ready := select.select([listener, 0], [], [])[0]):
        connection, _ = ready[0].accept()
        if os.fork() == 0:
            listener.close()
            answer(connection, variables)
        connection.close()
        while os.waitpid(-1, os.WNOHANG)[0]:  # those that have answered
            pass


def read_on_import(environment):
    names = [name for name in environment if name.startswith(READ_ON_IMPORT) and name not in READ_LATER]
    return {name: environment[name] for name in names}


def answer(connection, variables):
    """Fork once more: one process becomes what is asked for, this one tells of its end; neither returns."""
    content, streams, _, _ = socket.recv_fds(connection, 2**20, len(STREAMS))
    while not content.endswith(b"\n"):
        content += connection.recv(2**20)
    request = json.loads(content)
    if read_on_import(request["environment"]) != variables:
        connection.sendall(b"cold\n")
    elif pid := os.fork():
        for stream in streams:
            os.close(stream)
        connection.sendall(f"{waited(pid, connection)}\n".encode())
    else:
        connection.close()
        for target, source in enumerate(streams):
            os.dup2(source, target)
            os.close(source)
        become(request)
    os._exit(0)


def waited(pid, connection):
    """Return the exit code of a process; it gets the signals that its client got, and is killed with it."""
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if select.select([connection], [], [], 0.01)[0]:
            received = connection.recv(1)
            os.kill(pid, received[0] if received else signal.SIGKILL)
            if not received:
                os._exit(0)


def become(request):
    """Run a module or a script as `python` would, to its end and that of this process."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where tests run in the background of a shell
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.stdin, sys.stdout, sys.stderr = (io.TextIOWrapper(os.fdopen(*stream)) for stream in enumerate(STREAMS))
    sys.stderr.reconfigure(line_buffering=True)
    first, *rest = request["arguments"]
    added = [path for path in os.environ.get(PYTHONPATH, "").split(os.pathsep) if path]
    code = 0
    try:
        if first == "-m":
            sys.path[:1], sys.argv = [str(Path.cwd()), *added], rest
            runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
        else:
            sys.path[:1], sys.argv = [str(Path(first).resolve().parent), *added], request["arguments"]
            runpy.run_path(first, run_name="__main__")
    except SystemExit as ended:
        code = ended.code
    except BaseException as error:  # noqa: BLE001  # whatever it is ends this process
        sys.excepthook(type(error), error, error.__traceback__)
        code = -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    leave(code or 0)


def leave(code):
    """End this process as Python does, but for clearing away every module one by one, which takes seconds."""
    threading._shutdown()
    atexit._run_exitfuncs()
    if isinstance(code, str):
        sys.stderr.write(f"{code}\n")
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    if code == -signal.SIGINT:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    os._exit(code)


main()
