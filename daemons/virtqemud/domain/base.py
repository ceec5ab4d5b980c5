"""One guest as the driver holds it: what it is, what it does, and what every call on it begins with."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from splitvirt.api import constants as c
from splitvirt.api.domain import Domain
from splitvirt.api.errors import OperationInvalid
from splitvirt.api.params import TypedParam
from splitvirt.host import topology, usage
from splitvirt.xml.domain import Domain as DomainXML

from .job import JobLock

log = logging.getLogger(__name__)
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Collection

    from splitvirt.host.cgroup import Group
    from splitvirt.host.pidfd import Held
    from virtqemud.driver import QemuDriver
    from virtqemud.places import GuestPlaces
    from virtqemud.running.agent import Agent
    from virtqemud.running.guest import Guest
    from virtqemud.running.pump import Pump
    from virtqemud.running.tuning import Threads
    from virtqemud.security.dac import Given

    from .domain import QemuDomain

LIVE, CONFIG = c.VIR_DOMAIN_AFFECT_LIVE, c.VIR_DOMAIN_AFFECT_CONFIG


class DomainBase(Domain):
    """State of one guest, and its changes.

    `config` is what the next start uses, `live` what runs; a transient guest has no `config`, one that is off no
    `live`. State changes go through `enter`, so that the record on disk follows.
    """

    def __init__(self, driver: QemuDriver, config: DomainXML, *, persistent: bool) -> None:
        assert config.name
        assert config.uuid
        self.driver = driver
        self.name: str = config.name
        self.uuid = UUID(config.uuid)
        self.id = -1
        self.config: DomainXML | None = config if persistent else None
        self.live: DomainXML | None = None
        self.current_state: int = c.VIR_DOMAIN_SHUTOFF
        self.current_reason: int = c.VIR_DOMAIN_SHUTOFF_UNKNOWN
        self.job = JobLock()
        self.guest: Guest | None = None
        self.agent_link: Agent | None = None
        self.agent_up = False
        self.agent_timeout: float | None = None
        """Seconds that the agent has to answer; None: for ever."""
        self.consoles: dict[str, Pump] = {}
        """Sessions by path of the pty or socket."""
        self.process: Held | None = None
        self.helpers: list[Held] = []
        """Processes that serve the guest, from before its QEMU is there."""
        self.group: Group | None = None
        """Its own cgroup, while it runs in one."""
        self.starting = False
        self.ending = ""
        """How the guest is being ended, "" when nobody ends it: "destroyed", "crashed"..."""
        self.pause_reason = c.VIR_DOMAIN_PAUSED_UNKNOWN
        """Why the next STOP event will come."""
        self.fake_reboot = False
        self.autodestroy = False
        self._finishing: asyncio.Future[None] | None = None
        self.unplugging: dict[str, asyncio.Event] = {}
        """Devices that a call waits for, by alias; set when the guest has let go."""
        self.migration_speed = 0
        """MiB/s that a migration may take; 0: no limit."""
        self.given: list[Given] = []
        """Files that are its user's while it runs, and whose they were."""
        self.undo: list[Callable[[], object]] = []
        """What is to be given back when the guest ends, in reverse order."""
        self.connected: dict[str, Callable[[], Awaitable[None]]] = {}
        """What gives back a card's end on the host, by the card's alias."""
        self.hand_over: list[Callable[[int], Awaitable[None]]] = []
        """What is to be bound to QEMU's process once there is one: it outlives this daemon as the guest does."""

    def __repr__(self) -> str:
        return f"<guest {self.name!r} {self.uuid}>"

    @property
    def active(self) -> bool:
        """Whether it has a QEMU, or is about to have one."""
        return self.id > 0

    @property
    def persistent(self) -> bool:
        """Whether its configuration is kept when it is off."""
        return self.config is not None

    @property
    def places(self) -> GuestPlaces:
        """Its folders and files."""
        return self.driver.places.guest(self.id, self.name)

    def running(self) -> Guest:
        """Its QEMU. Raises OperationInvalid when it is off."""
        if self.guest is None:
            raise OperationInvalid("domain is not running", domain=c.VIR_FROM_DOMAIN)
        return self.guest

    @property
    def current(self) -> DomainXML:
        """What runs, or what would."""
        made = self.live or self.config
        assert made
        return made

    def impact(self, flags: int) -> tuple[DomainXML | None, DomainXML | None]:
        """The running and the kept configuration, each if `flags` (VIR_DOMAIN_AFFECT_*) speaks of it.

        Raises OperationInvalid when one that is meant is not there.
        """
        wanted = flags & (LIVE | CONFIG) or (LIVE if self.active else CONFIG)
        if wanted & LIVE and not self.active:
            raise OperationInvalid("domain is not running", domain=c.VIR_FROM_DOMAIN)
        if wanted & CONFIG and not self.persistent:
            raise OperationInvalid("transient domains do not have any persistent config", domain=c.VIR_FROM_DOMAIN)
        return self.live if wanted & LIVE else None, self.config if wanted & CONFIG else None

    def pick(self, flags: int) -> DomainXML:
        """The one configuration that `flags` asks to be told."""
        live, config = self.impact(flags)
        made = live or config
        assert made
        return made

    def keep(self, config: DomainXML) -> None:
        """Make a configuration the kept one, on disk first."""
        self.driver.folder.save(self.name, config.to_xml(inactive=True, secure=True))
        self.config = config

    def note(self, live: DomainXML | None, config: DomainXML | None, change: Callable[[DomainXML], object]) -> None:
        """Make one change to the running and to the kept configuration, those that `impact` gave, and write it down."""
        if live is not None:
            change(live)
            self.record()
        if config is not None:
            changed = config.copy()
            change(changed)
            self.keep(changed)

    def tell_pinned(self, name: str, cpus: set[int]) -> None:
        """Tell that one of its threads may run on these of the host's processors now: "cputune.vcpupin0", ..."""
        text = topology.format_list(sorted(cpus))
        self.driver.events.emit(Domain.tunable_changed, self, [TypedParam.string(name, text)])

    def close_consoles(self) -> None:
        """End every console session."""
        for pump in self.consoles.values():
            pump.close()
        self.consoles.clear()

    @property
    def whole(self) -> QemuDomain:
        """Itself, with every call."""
        return cast("QemuDomain", self)

    async def disconnect(self, alias: str) -> None:
        """Give back the end of a card on the host, where there is anything to give back."""
        give_back = self.connected.pop(alias, None)
        if give_back is None:
            return
        try:
            await give_back()
        except Exception:
            log.exception("giving back what %s of %r was connected to", alias, self)

    # What one subject's class gives and others' use.

    def on_monitor_event(self, name: str, data: dict[str, Any], at: float) -> None:
        """Take in one of QEMU's events."""
        raise NotImplementedError

    def learn_chardevs(self, live: DomainXML, chardevs: dict[str, Any]) -> None:
        """Note what QEMU opened, in the running configuration."""
        raise NotImplementedError

    def port_changed(self, alias: str, opened: bool, *, starting: bool = False) -> None:
        """The guest opened or closed its end of a channel."""
        raise NotImplementedError

    def disk_of(self, device: str, node: str) -> tuple[str, str]:
        """Path and alias of the disk that QEMU names by its device's path or by a block node."""
        raise NotImplementedError

    def device_gone(self, alias: str) -> None:
        """The guest has let go of a device."""
        raise NotImplementedError

    async def plug_vcpus(self, live: DomainXML) -> None:
        """Plug in the vCPUs that a QEMU is not started with, and note which are there now."""
        raise NotImplementedError

    async def place_threads(self, live: DomainXML) -> None:
        """Have every thread of a QEMU that was just started run where and how its configuration says."""
        raise NotImplementedError

    async def divide_time(self, live: DomainXML) -> None:
        """Give its threads the bandwidth that its configuration says, where it has a cgroup of its own."""
        raise NotImplementedError

    async def qemu_threads(self) -> Threads:
        """The threads of its QEMU."""
        raise NotImplementedError

    def processor_times(self) -> tuple[int, int, int] | None:
        """Processor time in ns that it took, in all, in user mode and in the kernel; None when it is off."""
        if self.process is None or not self.active:
            return None
        told = self.group.nanoseconds() if self.group is not None else None
        times = None if told is not None else usage.cpu_nanoseconds(self.process.pid)
        return told or (times and (sum(times), *times))

    def agent(self) -> Agent:
        """The agent in the guest."""
        raise NotImplementedError

    async def ask_agent(
        self, command: str, arguments: dict[str, Any] | None = None, *, ends: Collection[str] = ()
    ) -> Any:
        """The agent's answer to a command, within the time that was set for it; `ends` as for `Agent.execute`."""
        raise NotImplementedError

    def enter(self, state: int, reason: int) -> None:
        """Change the state."""
        self.current_state, self.current_reason = state, reason
        self.record()

    def record(self) -> None:
        """Write the status record of a running guest."""
        raise NotImplementedError
