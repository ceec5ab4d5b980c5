"""Debian's own libvirtd, started privately as the oracle and the other side of the benchmarks.

It runs in a mount namespace of its own with empty directories in place of libvirt's, and optionally in a network
namespace of its own, listens on a socket below a temporary directory, and is killed with all it started.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from .virtqemud import answers

LIBVIRTD = "/usr/sbin/libvirtd"
SCRIPT = r"""
set -e
for folder in /etc/libvirt /var/lib/libvirt /run/libvirt /var/cache/libvirt /var/log/libvirt; do
    mkdir -p $folder; mount -t tmpfs tmpfs $folder
done
mkdir -p /etc/libvirt/qemu
printf 'unix_sock_dir = "%s"\nauth_unix_rw = "none"\nauth_unix_ro = "none"\n' "$1" > /etc/libvirt/libvirtd.conf
printf 'stdio_handler = "file"\nsecurity_driver = "none"\n%s\n' "$2" > /etc/libvirt/qemu.conf
/usr/sbin/libvirtd -p "$1/libvirtd.pid" -f /etc/libvirt/libvirtd.conf & wait
"""

AS_ROOT = 'user = "root"\ngroup = "root"\nremember_owner = 0'
"""Without notes at files, which a libvirtd that is killed, as this one is, would leave at them until the next boot."""


def available() -> bool:
    """Whether a private libvirtd can run here: installed, and we are root."""
    return os.path.exists(LIBVIRTD) and os.geteuid() == 0


@contextlib.contextmanager
def private_libvirtd(*, own_network: bool = True, qemu_conf: str = AS_ROOT) -> Iterator[str]:
    """A running libvirtd; the value is the path of its socket. TimeoutError when it does not come up in a minute.

    `qemu_conf` is what its qemu.conf says besides; its `libvirtd.pid` beside the socket leads to its own directories.
    """
    folder = Path(tempfile.mkdtemp(prefix="lv-"))
    network = ["--net"] if own_network else []
    spaces = ["--mount", "--propagation", "private", "--pid", "--fork", "--mount-proc", "--kill-child"]
    argv = ["unshare", *spaces, *network, "bash", "-c", SCRIPT, "bash", str(folder), qemu_conf]
    with (folder / "log").open("wb") as log:
        daemon = subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        socket = folder / "libvirt-sock"
        deadline = time.monotonic() + 60
        while not answers(socket):
            if daemon.poll() is not None or time.monotonic() > deadline:
                raise TimeoutError((folder / "log").read_text())
            time.sleep(0.02)
        yield str(socket)
    finally:
        daemon.kill()  # and with it all that runs in its namespace of processes
        daemon.wait()
        shutil.rmtree(folder)
