"""``retr`` without the seconds of its imports: a server that has imported all of it forks a child for every command.

    with warm_retr(folder) as tools: subprocess.run(..., env={"PATH": f"{tools}:…"})

``tools/retr`` hands its arguments, environment, folder and open files to the server and ends with the child's exit
code; for a shell, its pipes and its redirections it is a process like any other. Nothing is shared between commands but
what was imported before the first one.

As a program this is the server: warm_retr.py SOCKET.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

# What commands import when they need it, and take long over.
LATE = ("torchvision", "timm", "scipy.fft", "accelerate")
CLIENT = """#!{python} -IS
import json, os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
told = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(server, [len(told).to_bytes(4, "big")], [0, 1, 2])
server.sendall(told)
code = server.recv(1)
sys.exit(code[0] if code else "retr: the child died")
"""


@contextlib.contextmanager
def warm_retr(folder: Path) -> Iterator[Path]:
    """Start the server; yields a folder whose ``retr`` asks it.

    Args:
        folder: an empty folder with a short name: socket addresses hold about a hundred bytes.
    """
    address = str(folder / "socket")
    tools = folder / "bin"
    tools.mkdir()
    (tools / "retr").write_text(CLIENT.format(python=sys.executable, address=address))
    (tools / "retr").chmod(0o755)
    with subprocess.Popen([sys.executable, __file__, address], stdin=subprocess.DEVNULL) as server:
        try:
            while not Path(address).exists():
                assert server.poll() is None, "the server could not start"
                time.sleep(0.05)
            yield tools
        finally:
            server.terminate()


def serve(address: str) -> None:
    """Import everything, then fork a child for every client, for ever."""
    import retr

    for name in (*LATE, *(module.name for module in pkgutil.walk_packages(retr.__path__, "retr."))):
        importlib.import_module(name)
    assert threading.active_count() == 1, "what forks must have no other thread"
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{address}.new")
    listener.listen()
    os.rename(f"{address}.new", address)
    while True:
        client, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            os._exit(answer(client))
        client.close()


def answer(client: socket.socket) -> int:
    """In the child: become the client's process, run its command, tell it the exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, files, _, _ = socket.recv_fds(client, 4, 3)
    words, folder, environment = json.loads(exactly(client, int.from_bytes(size, "big")))
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["retr", *words]
    code = run_main()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    for number in range(3):  # a reader at the end of a pipe must see its end
        os.close(number)
    client.sendall(bytes([code]))
    return code


def exactly(client: socket.socket, size: int) -> bytes:
    """So many bytes."""
    parts = b""
    while len(parts) < size:
        part = client.recv(size - len(parts))
        assert part, "the client left"
        parts += part
    return parts


def run_main() -> int:
    """The exit code, as Python gives it for whatever ``main`` raises."""
    from retr.cli import main

    try:
        main()
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    serve(sys.argv[1])
