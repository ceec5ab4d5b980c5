"""Guests in scopes of their own: what is asked of systemd, and of the register of machines, over the system's bus."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from splitvirt.api.errors import ConfigUnsupported, ServiceError, VirtError

from .tuning import Property

if TYPE_CHECKING:
    from splitvirt.dbus.bus import Bus

log = logging.getLogger(__name__)

SYSTEMD = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")
MACHINED = ("org.freedesktop.machine1", "/org/freedesktop/machine1", "org.freedesktop.machine1.Manager")
ANSWER = 10.0
"""Seconds that systemd has for each step."""
LEFTOVER = 3.0
"""Seconds for which an earlier scope of that name may still be on its way out."""
NAME_MAX = 64
"""Bytes of a machine's name (machined's, and the kernel's for a host)."""
PARTITION = "/machine"
"""Where guests are that ask for nothing else."""


def machine_name(id: int, name: str) -> str:
    """What a guest is called among machines: a host's name has letters, digits, and single dots and dashes inside."""
    made, last = "", "-"
    for letter in name:
        if (letter in ".-" and last in ".-") or not (letter in ".-" or (letter.isascii() and letter.isalnum())):
            last = letter
            continue
        made, last = made + letter, letter
    return f"qemu-{id}-{made}"[:NAME_MAX].rstrip(".-")


def escaped(text: str) -> str:
    r"""A part of a unit's name (systemd.unit(5)): what has a meaning there as \xNN."""
    plain = (byte for byte in text.encode())
    return "".join(
        chr(b) if chr(b).isascii() and (chr(b).isalnum() or chr(b) in ":_" or (chr(b) == "." and i)) else f"\\x{b:02x}"
        for i, b in enumerate(plain)
    )


def unit_name(machine: str) -> str:
    """The scope of a machine."""
    return f"machine-{escaped(machine)}.scope"


def slice_name(partition: str) -> str:
    """The slice of a partition. ConfigUnsupported for one that is no path."""
    if not partition.startswith("/"):
        raise ConfigUnsupported(f"Resource partition '{partition}' must start with '/'")
    return ("-".join(escaped(part) for part in partition.split("/") if part) or "-") + ".slice"


class Scopes:
    """What puts guests into scopes. Joins the bus when it is first asked to; `close` leaves it."""

    def __init__(self, bus: str = "system") -> None:
        self._address = bus
        self._bus: Bus | None = None
        self._joining = asyncio.Lock()
        self._jobs: dict[str, asyncio.Future[str]] = {}

    @staticmethod
    def there() -> bool:
        """Whether the host runs systemd (sd_booted(3))."""
        return os.path.isdir("/run/systemd/system")

    async def enclose(self, machine: str, slice: str, pids: Sequence[int], limits: Iterable[Property]) -> str:
        """Put processes into a new scope, with limits; its name. VirtError when systemd cannot or will not."""
        unit = unit_name(machine)
        bus = await self._joined()
        about = [
            Property("Description", "s", f"Virtual Machine {machine}"),
            Property("Slice", "s", slice),
            Property("Delegate", "b", True),
            Property("CollectMode", "s", "inactive-or-failed"),
            Property("TasksMax", "t", 16384),
            Property("After", "as", ["virtqemud.service"]),
            Property("Before", "as", ["virt-guest-shutdown.target"]),
            Property("PIDs", "au", list(pids)),
            *limits,
        ]
        done = self._jobs[unit] = asyncio.get_running_loop().create_future()
        try:
            await self._start(bus, [unit, "fail", _typed(bus, about), []])
            result = await asyncio.wait_for(done, ANSWER)
        except TimeoutError:
            raise ServiceError(f"systemd did not start {unit} in {ANSWER:g} s") from None
        finally:
            del self._jobs[unit]
        if result != "done":
            raise ServiceError(f"systemd did not start {unit}: {result}")
        return unit

    async def _start(self, bus: Bus, what: list[Any]) -> None:
        deadline = asyncio.get_running_loop().time() + LEFTOVER
        while True:
            try:
                await bus.call(*SYSTEMD, "StartTransientUnit", "ssa(sv)a(sa(sv))", what, timeout=ANSWER)
                return
            except ServiceError as error:
                if "UnitExists" not in error.message or asyncio.get_running_loop().time() > deadline:
                    raise
            await asyncio.sleep(0.05)

    async def change(self, unit: str, limits: Iterable[Property]) -> None:
        """Change limits of a scope, for as long as it lives. ServiceError in systemd's words when it refuses."""
        bus = await self._joined()
        await bus.call(*SYSTEMD, "SetUnitProperties", "sba(sv)", [unit, True, _typed(bus, limits)], timeout=ANSWER)

    async def register(self, machine: str, uuid: UUID, pid: int) -> None:
        """Have machinectl show a guest, where that is installed."""
        try:
            bus = await self._joined()
            about = [machine, uuid.bytes, "libvirt-qemu", "vm", pid, ""]
            await bus.call(*MACHINED, "RegisterMachine", "sayssus", about, timeout=ANSWER)
        except VirtError as error:
            log.debug("%s is not among the machines: %s", machine, error)

    async def _joined(self) -> Bus:
        async with self._joining:
            if self._bus is None or not self._bus.connected:
                from splitvirt.dbus.bus import Bus

                bus = await Bus.connect(self._address)
                rule = f"type='signal',sender='{SYSTEMD[0]}',interface='{SYSTEMD[2]}',member='JobRemoved'"
                await bus.subscribe(rule, SYSTEMD[2], "JobRemoved", self._job_removed)
                bus.on_lost(self._lost)
                self._bus = bus
            return self._bus

    def _job_removed(self, message: Any) -> None:
        _, _, unit, result = message.body
        self._settle(unit, result)

    def _lost(self) -> None:
        for unit in self._jobs:
            self._settle(unit, "the message bus is gone")

    def _settle(self, unit: str, result: str) -> None:
        job = self._jobs.get(unit)
        if job is not None and not job.done():
            job.set_result(result)

    def close(self) -> None:
        """Leave the bus."""
        if self._bus is not None:
            self._bus.close()
            self._bus = None


def _typed(bus: Bus, properties: Iterable[Property]) -> list[list[Any]]:
    return [[name, bus.variant(signature, value)] for name, signature, value in properties]
