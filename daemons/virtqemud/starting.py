"""What starts of guests need of their driver: emulators, command lines, ports of networks and screens."""

from __future__ import annotations

import os
import platform
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from splitvirt.api import constants as c
from splitvirt.api.errors import ConfigUnsupported

from .hostcalls import HostCalls, host_uuid
from .listing import Listing

if TYPE_CHECKING:
    from splitvirt.api.network import Networks
    from splitvirt.host.paths import Layout
    from splitvirt.xml.domain import Domain as DomainXML

    from .argv.context import Settings
    from .domain.domain import QemuDomain
    from .emulator.capabilities import Capabilities
    from .places import Places
    from .running.order import Order
    from .security.model import Security

QEMU = c.VIR_FROM_QEMU


class Starting(HostCalls, Listing):
    """The driver's part in starting guests."""

    layout: Layout
    places: Places
    networks: Networks | None
    environment: Mapping[str, str] | None
    _config: Mapping[str, Any]
    _ports: Any
    _own_ports: bool

    @property
    def settings(self) -> Settings:
        """qemu.conf as the command line wants it."""
        raise NotImplementedError

    @property
    def security(self) -> Security:
        """As whom guests run, and whose their files are."""
        raise NotImplementedError

    async def _accept(self, xml: str, *, validate: bool) -> DomainXML:
        raise NotImplementedError

    async def capabilities_of(self, config: DomainXML) -> Capabilities:
        """What the emulator of a configuration can do; ConfigUnsupported when not the configuration's domain type."""
        emulator = self.emulator_of(config)
        caps = await self.prober.get(emulator, kvm=config.type == "kvm")
        if config.type == "kvm" and not caps.kvm:
            raise ConfigUnsupported(
                f"Emulator '{emulator}' does not support virt type 'kvm': {caps.why_no_kvm}", domain=QEMU
            )
        return caps

    def emulator_of(self, config: DomainXML) -> str:
        """The emulator that a configuration names, else the usual one for its architecture."""
        named: str | None = config.devices.emulator if config.devices else None
        return named or self.usual_emulator((config.os.arch if config.os else None) or "x86_64")

    async def ready(self, config: DomainXML, flags: int) -> DomainXML:
        """A configuration made fit for one run."""
        from .prepare import prepare

        prepare(
            config,
            await self.capabilities_of(config),
            for_start=True,
            nvram=str(self.places.nvram),
            spice_tls=self.settings.spice_tls,
        )
        return config

    @asynccontextmanager
    async def order(self, guest: QemuDomain, live: DomainXML, flags: int) -> AsyncIterator[Order]:
        """The command line of a guest, with all that it refers to brought about."""
        from .argv.context import Context
        from .running.named import look
        from .running.order import filled
        from .running.resources import Resources

        who = self.security.identity(live)
        if self.environment is None and who is not None:
            from .security.process import environment as bare

            environment = bare(str(guest.places.folder))
        else:
            environment = dict(os.environ if self.environment is None else self.environment)
        context = Context(
            domain=live,
            caps=await self.capabilities_of(live),
            lib=str(self.places.lib),
            settings=self.settings,
            run=str(self.places.state),
            id=guest.id,
            env=environment,
        )
        look(guest, live)
        async with filled(Resources(guest, live, context, flags)) as order:
            yield order

    def used_ports(self) -> set[int]:
        """Ports of the screens of running guests."""
        from splitvirt.xml.devices.graphics import Graphics

        from . import devicelist

        screens = (s for guest in self.guests.active() if guest.live for s in devicelist.of(guest.live, Graphics))
        return {port for screen in screens for port in (screen.port, screen.websocket) if port and port > 0}

    async def network_ports(self) -> Any:
        """Who lends ports: what was given as `networks`, else the shared daemon, reached by its bus name.

        SystemError_ where there is neither.
        """
        if self._ports is None:
            given: Any = self.networks
            if given is None:
                from splitvirt.api.lease import NetworkPorts
                from splitvirt.dbus.proxy import connect_bus

                bus = "session" if self.layout.mode == "session" and self.layout.root is None else "system"
                given = await connect_bus(NetworkPorts, bus, "org.splitvirt.virtnetworkd", "/org/libvirt/Network")
                self._own_ports = True
            self._ports = given if hasattr(given, "take") else given.leases
        return self._ports

    async def native(self, xml: str) -> str:
        """The command line of a configuration; nothing is opened or made."""
        from .argv.native import command_line

        config = await self._accept(xml, validate=False)
        return command_line(config, await self.capabilities_of(config), str(self.places.lib), self.settings)

    async def capabilities(self) -> str:
        """The host and the emulators."""
        from .emulator.hostcaps import capabilities_xml

        usual = self.security.usual
        return capabilities_xml(host_uuid(self._config), await self.emulators(), usual.label if usual else "")

    async def usual_capabilities(self) -> Capabilities:
        """What the usual emulator can do."""
        return await self.prober.get(self.usual_emulator(platform.machine()))

    def taints(self, guest: QemuDomain) -> list[str]:
        """What is unusual about how a guest runs."""
        who = self.security.identity(guest.live) if guest.live else None
        powerful = os.geteuid() == 0 if who is None else who.powerful or not self.security.bare
        return ["tainted: running with undesirable elevated privileges"] if powerful else []
