"""Runs a program that has no network but the Worker: in a network namespace of its own, whose loopback has
one port, and that leads to the Worker through a Unix socket.

As a script it is the inside of the namespace: `python offline.py SOCKET PORT COMMAND...`
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

_SET_FLAGS = 0x8914
_UP_AND_RUNNING = 0x1 | 0x40


def can_run_offline() -> bool:
    """Whether this machine allows network namespaces."""
    return (
        shutil.which("unshare") is not None
        and subprocess.run(["unshare", "-rn", "true"], capture_output=True, check=False).returncode == 0
    )


def run_offline(
    command: Sequence[str],
    base_url: str,
    *,
    environment: Mapping[str, str],
    cwd: Path,
    timeout_seconds: float,
) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end; `base_url`, on loopback, is all that it can reach.

    Its standard input is empty.
    """
    port = urlsplit(base_url).port
    assert port is not None
    with tempfile.TemporaryDirectory(prefix="offline-") as folder, socket.socket(socket.AF_UNIX) as listener:
        path = f"{folder}/worker"
        listener.bind(path)
        listener.listen(64)
        _relay_all(listener, lambda: socket.create_connection(("127.0.0.1", port)))
        try:
            return subprocess.run(
                ["unshare", "-rn", sys.executable, __file__, path, str(port), *command],
                env=dict(environment),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=timeout_seconds,
                check=False,
            )
        finally:
            listener.shutdown(socket.SHUT_RDWR)


def _inside(path: str, port: int, command: Sequence[str]) -> int:
    with socket.socket() as control:
        fcntl.ioctl(control, _SET_FLAGS, struct.pack("16sH14x", b"lo", _UP_AND_RUNNING))
    listener = socket.create_server(("127.0.0.1", port), backlog=64)

    def connect() -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(path)
        return connection

    _relay_all(listener, connect)
    return subprocess.run(command, check=False).returncode


def _relay_all(listener: socket.socket, connect: Callable[[], socket.socket]) -> None:
    """Joins each connection that comes to one that `connect` makes, until the listener is closed."""

    def accept() -> None:
        while True:
            try:
                near, _ = listener.accept()
                far = connect()
            except OSError:
                return
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=_copy, args=(source, target), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Copies bytes until one side has ended, and tells the other."""
    try:
        while data := source.recv(65_536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        for end in (source, target):
            end.close()


if __name__ == "__main__":
    os._exit(_inside(sys.argv[1], int(sys.argv[2]), sys.argv[3:]))
