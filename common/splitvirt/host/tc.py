"""Traffic shaping with tc(8): one process for a batch of commands."""

import errno
import shutil
import subprocess
from collections.abc import Sequence


def batch(lines: Sequence[str], *, force: bool = False, timeout: float = 10.0) -> None:
    """Run tc commands in one process; with `force` go on after one that fails, and say nothing of it.

    Raises OSError: tc is not installed, or it refused a line.
    """
    if not lines:
        return
    program = shutil.which("tc")
    if program is None:
        raise FileNotFoundError(errno.ENOENT, "tc (iproute2) is needed to limit a network's bandwidth", "tc")
    argv = [program, *(["-force"] if force else []), "-batch", "-"]
    done = subprocess.run(
        argv, input="\n".join(lines) + "\n", capture_output=True, text=True, timeout=timeout, check=False
    )
    if done.returncode and not force:
        words = done.stderr.strip().partition("\n")[0]  # the rest is a lesson in tc
        raise OSError(errno.EIO, f"tc refused to limit the bandwidth: {words or 'no reason given'}")
