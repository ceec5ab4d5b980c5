"""What the doctor finds: how one thing is, and where it is wrong the command that mends it."""

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from splitvirt.host.paths import Layout

OK, NOTE, PROBLEM = "ok", "note", "problem"
INSTALL = "packaging/install.sh --now"


@dataclass
class Finding:
    """One thing that was looked at."""

    level: str
    about: str
    said: str
    mend: str = ""


Check = Callable[[Layout], Iterator[Finding]]


def said(*command: str) -> str | None:
    """What a command printed, None when it is not there, fails or takes long."""
    status, words = asked(*command)
    return words if status == 0 else None


def asked(*command: str) -> tuple[int, str]:
    """A command's exit status and what it printed; -1 when it is not there or takes long."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=10, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return -1, ""
    return done.returncode, done.stdout
