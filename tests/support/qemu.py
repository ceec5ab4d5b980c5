"""Small QEMU guests for tests: most have nothing to boot, and stay paused."""

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from splitvirt.api import constants as c
from splitvirt.api.domain import Domain

from .guest import guest_files

PAUSED = c.VIR_DOMAIN_START_PAUSED


def tiny(name: str = "tiny", *, uuid: UUID | None = None, devices: str = "", extra: str = "", memory: int = 32) -> str:
    """A machine of some MiB without anything to boot."""
    return f"""<domain type='qemu'>
  <name>{name}</name>
  <uuid>{uuid or uuid4()}</uuid>
  <memory unit='MiB'>{memory}</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <features><acpi/></features>{extra}
  <devices>{devices}</devices>
</domain>"""


def linux(name: str = "linux", *, machine: str = "pc", devices: str = "", cmdline: str = "") -> str:
    """The test guest: kernel, busybox, a shell on the serial console."""
    kernel, initrd = guest_files()
    return f"""<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>128</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='{machine}'>hvm</type>
    <kernel>{kernel}</kernel>
    <initrd>{initrd}</initrd>
    <cmdline>console=ttyS0 panic=-1 quiet {cmdline}</cmdline>
  </os>
  <features><acpi/></features>
  <devices><serial type='pty'/><console type='pty'/>{devices}</devices>
</domain>"""


class Heard:
    """The events of a driver, as (name, subject's name, values)."""

    def __init__(self, driver: Any) -> None:
        self.all: list[tuple[str, str, tuple[Any, ...]]] = []
        self._changed = asyncio.Event()
        driver.events.subscribe(self._take)

    def _take(self, event: Any, subject: Any, values: tuple[Any, ...]) -> None:
        self.all.append((event.name, subject.name, values))
        self._changed.set()

    def lifecycle(self) -> list[tuple[int, int]]:
        """Lifecycle events: (event, detail)."""
        return [(values[0], values[1]) for name, _, values in self.all if name == Domain.lifecycle.name]

    async def until(self, event: int, seconds: float = 60.0) -> None:
        """Wait for a lifecycle event."""
        await self.when(lambda: any(kind == event for kind, _ in self.lifecycle()), seconds)

    async def when(self, true: Callable[[], bool], seconds: float = 60.0) -> None:
        """Wait until an event has made something true."""
        async with asyncio.timeout(seconds):
            while not true():
                self._changed.clear()
                await self._changed.wait()


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


def qemus(marker: str | os.PathLike[str]) -> list[int]:
    """The processes whose arguments speak of a path."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if os.fsencode(marker) in (entry / "cmdline").read_bytes() and alive(int(entry.name)):
                    found.append(int(entry.name))
    return found


def gone(pid: int, seconds: float = 30.0) -> bool:
    """Whether a process ends within so many seconds."""
    import time

    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not alive(pid):
            return True
        time.sleep(0.01)
    return False


needs_qemu = pytest.mark.skipif(
    not os.access("/usr/bin/qemu-system-x86_64", os.X_OK), reason="needs qemu-system-x86_64 (Debian: qemu-system-x86)"
)
