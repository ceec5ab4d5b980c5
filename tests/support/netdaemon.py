"""The network daemon as a process of its own, below a directory, in the current network namespace."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path


class Daemon:
    """A running daemon; `socket` is its read-write socket."""

    def __init__(self, root: Path, *args: str) -> None:
        self.root, self.args = root, args
        self.socket = root / "run/libvirt/virtnetworkd-sock"
        self.log = root / "daemon.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, timeout: float = 60) -> None:
        """Start it and wait until it answers. TimeoutError with its log when it does not."""
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "virtnetworkd", "--root", str(self.root), *self.args],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env,
            )  # fmt: skip
        deadline = time.monotonic() + timeout
        while b"is ready" not in self.log.read_bytes():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise TimeoutError(self.log.read_text())
            time.sleep(0.02)

    def stop(self, how: int = signal.SIGTERM) -> int:
        """End it; its exit status."""
        assert self.process is not None
        self.process.send_signal(how)
        status = self.process.wait(60)
        self.log.write_bytes(b"")
        return status

    @property
    def uri(self) -> str:
        """Where virsh finds it."""
        return f"network+unix:///system?socket={self.socket}"


@contextlib.contextmanager
def daemon(root: Path, *args: str) -> Iterator[Daemon]:
    """A daemon for as long as the block."""
    made = Daemon(root, *args)
    made.start()
    try:
        yield made
    finally:
        if made.process is not None and made.process.poll() is None:
            made.stop()
