"""`client.py SOCKET PYTHON ARGUMENTS...`: have PYTHON ARGUMENTS run by the warm Python, and end as it ends."""

import json
import os
import signal
import socket
import sys

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(address, python, *arguments):
    first = arguments[0] if arguments else "-"
    code = asked(address, arguments) if first == "-m" or not first.startswith("-") else None
    if code is None:
        os.execv(python, [python, *arguments])
    if code < 0:
        os.kill(os.getpid(), -code)
    sys.exit(code)


def asked(address, arguments):
    """Return how the process ended, or None where the warm Python cannot stand for it."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        for number in FORWARDED:
            signal.signal(number, lambda received, _: connection.send(bytes([received])))
        request = {"arguments": arguments, "folder": os.getcwd(), "environment": dict(os.environ)}  # noqa: PTH109
        content = json.dumps(request).encode() + b"\n"
        connection.sendall(content[socket.send_fds(connection, [content], [0, 1, 2]) :])
        answer = connection.makefile().readline()
    for number in FORWARDED:
        signal.signal(number, signal.SIG_DFL)
    return None if answer == "cold\n" else int(answer)


main(*sys.argv[1:])
