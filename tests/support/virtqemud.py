"""virtqemud as a daemon below a root, for tests that speak to it as clients do."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from .qemu import qemus


@contextlib.contextmanager
def running(root: Path) -> Iterator[str]:
    """A running virtqemud; the value is the URI for libvirt's clients. Its guests end with it."""
    path = root / "run/libvirt/virtqemud-sock"
    with (root / "words").open("wb") as words:
        argv = [sys.executable, "-m", "virtqemud", "--root", str(root), "--bus", "none"]
        daemon = subprocess.Popen(argv, stdout=words, stderr=words)
    try:
        deadline = time.monotonic() + 60
        while not answers(path):
            if daemon.poll() is not None or time.monotonic() > deadline:
                raise TimeoutError((root / "words").read_text())
            time.sleep(0.02)
        yield f"qemu:///system?socket={path}"
    finally:
        daemon.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            daemon.wait(60)
        daemon.kill()
        daemon.wait()
        for pid in qemus(root):
            os.kill(pid, signal.SIGKILL)


def answers(path: Path) -> bool:
    """Whether somebody listens at a socket."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        return True
    return False
