"""What qemu.conf lets a guest's process take: `max_processes`, `max_files`, `max_core`."""

import resource
from collections.abc import Mapping

from splitvirt.api.constants import VIR_FROM_QEMU
from splitvirt.api.errors import SystemError_

WHAT = {"RLIMIT_NPROC": "subprocesses", "RLIMIT_NOFILE": "open files", "RLIMIT_CORE": "core file size"}
"""The limits by their names in `resource`, and what they are called in messages."""


def limit(pid: int, limits: Mapping[str, int]) -> None:
    """Set limits of a process that has just begun; -1: none. SystemError_ where we may not."""
    for name, size in limits.items():
        try:
            resource.prlimit(pid, getattr(resource, name), (size, size))
        except ProcessLookupError:
            return  # why it has ended is told by whoever waits for its monitor
        except OSError as error:
            what = f"cannot limit {WHAT[name]} to {'unlimited' if size < 0 else size}: {error.strerror}"
            raise SystemError_(what, domain=VIR_FROM_QEMU) from error
