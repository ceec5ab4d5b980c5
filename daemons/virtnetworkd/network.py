"""The calls on a network: start and stop, configuration, leases, ports."""

import time
from uuid import UUID

from splitvirt.api import constants as c
from splitvirt.api import network as api
from splitvirt.api.constants import VIR_FROM_NETWORK
from splitvirt.api.errors import InternalError, NetworkPortExists, NoNetworkPort, VirtError
from splitvirt.xml.netaddress import parse_mac
from splitvirt.xml.netparts import Bandwidth
from splitvirt.xml.network import Network
from splitvirt.xml.networkport import DirectPlug, HostdevPlug, NetworkPort

from . import dnsmasq, firewall, leasefile, shaping
from .flags import check_flags, check_known
from .lifecycle import LivingNetwork, invalid
from .port import HeldPort, free_class, promised
from .prepare import check
from .prepare.forward import ROUTED
from .prepare.ip import block
from .prepare.place import place
from .prepare.port import check_reclaim, place_port, read_port, reclaim_port
from .status import NetworkStatus

FOREVER = c.VIR_NETWORK_UPDATE_AFFECT_CONFIG


class VirtualNetwork(LivingNetwork):
    """A network of this host, as its callers see it."""

    # start and stop

    async def create(self) -> None:
        async with self.turn():
            if self.active:
                raise invalid("network is already active")
            assert self.kept is not None
            await self.start(self.kept.copy())

    async def destroy(self) -> None:
        async with self.turn():
            if self.live is None:
                raise invalid(f"network '{self.name}' is not active")
            await self.stop()

    async def recover(self, status: NetworkStatus) -> None:
        await super().recover(status)
        for port in self.driver.status.ports(self.name) if self.active else ():
            self.held[UUID(port.uuid)] = HeldPort(self, port)

    # configuration

    async def undefine(self) -> None:
        async with self.turn():
            if self.kept is None:
                raise invalid("can't undefine transient network")
            self.driver.folder.remove(self.name)
            self.kept = None
            self.driver.announce(self, c.VIR_NETWORK_EVENT_UNDEFINED)
            if not self.active:
                self.driver.drop(self)

    async def update(self, command: int, section: int, index: int, xml: str, flags: int = 0) -> None:
        both = c.VIR_NETWORK_UPDATE_AFFECT_LIVE | c.VIR_NETWORK_UPDATE_AFFECT_CONFIG
        check_flags(flags, both, "networkUpdate")
        async with self.turn():
            if not flags & both:
                flags |= c.VIR_NETWORK_UPDATE_AFFECT_LIVE if self.active else c.VIR_NETWORK_UPDATE_AFFECT_CONFIG
            if flags & c.VIR_NETWORK_UPDATE_AFFECT_LIVE and not self.active:
                raise invalid("network is not running")
            if flags & FOREVER and self.kept is None:
                raise invalid("cannot change persistent config of a transient network")
            kept = self._changed(self.kept, command, section, index, xml) if flags & FOREVER else None
            live = None
            if flags & c.VIR_NETWORK_UPDATE_AFFECT_LIVE:
                self._check_in_use(command, section, xml)
                live = self._changed(self.live, command, section, index, xml)
                await self._bring_over(live)
            if kept is not None:
                self.kept = kept
                self.driver.folder.save(self.name, kept.to_xml(inactive=True))

    def _changed(self, net: Network | None, command: int, section: int, index: int, xml: str) -> Network:
        """A copy with the change made and checked."""
        from .update import update  # which few ever need

        assert net is not None
        new = net.copy()
        update(new, command, section, index, xml)
        check(new)
        place(new, self.driver.taken_bridges(self), self.driver.devices)
        return new

    def _check_in_use(self, command: int, section: int, xml: str) -> None:
        """An interface that ports are plugged into stays."""
        taken = (c.VIR_NETWORK_UPDATE_COMMAND_DELETE, c.VIR_NETWORK_SECTION_FORWARD_INTERFACE)
        if (command, section) != taken or self.live is None or self.live.forward is None:
            return
        for interface in self.live.forward.interfaces:
            users = self._users(interface.dev)
            if users and (f"'{interface.dev}'" in xml or f'"{interface.dev}"' in xml):
                raise invalid(
                    f"unable to delete interface '{interface.dev}' in network '{self.name}'."
                    f" It is currently being used  by {users} domains."
                )

    async def _bring_over(self, new: Network) -> None:
        """Let a running network become what the new form says: its server, its rules."""
        old = self.live
        assert old is not None
        if new.mode in ROUTED:
            if firewall.rules(new) != firewall.rules(old):
                firewall.change(new)
            if self.server is not None:
                files = self.server.files
                restart = dnsmasq.configuration(new, files) != dnsmasq.configuration(old, files)
                await self.server.refresh(new, restart=restart)
        self.live = new
        self.record(new)

    async def xml(self, flags: int = 0) -> str:
        check_flags(flags, c.VIR_NETWORK_XML_INACTIVE, "networkGetXMLDesc")
        if flags & c.VIR_NETWORK_XML_INACTIVE and self.kept is not None:
            return self.kept.to_xml(inactive=True)
        if self.live is None or flags & c.VIR_NETWORK_XML_INACTIVE:
            return self.definition.to_xml(inactive=True)
        net = self.live.copy()
        net.connections = len(self.held) or None
        if net.forward is not None:
            for interface in net.forward.interfaces:
                interface.connections = self._users(interface.dev) or None
            for address in net.forward.addresses:
                address.connections = self._users(str(address)) or None
        return net.to_xml()

    def _users(self, device: str | None) -> int:
        """How many ports are plugged into a device of the pool."""
        plugs = [held.port.plug for held in self.held.values()]
        names = [p.dev for p in plugs if isinstance(p, DirectPlug)]
        return (names + [str(p.address) for p in plugs if isinstance(p, HostdevPlug)]).count(device)

    async def bridge_name(self) -> str:
        name = self.definition.bridge_name
        if not name:
            raise InternalError(f"network '{self.name}' does not have a bridge name.", domain=VIR_FROM_NETWORK)
        return name

    async def autostart(self) -> bool:
        return self.kept is not None and self.driver.folder.autostart(self.name)

    async def set_autostart(self, autostart: bool) -> None:
        if self.kept is None:
            raise invalid("cannot set autostart for transient network")
        self.driver.folder.set_autostart(self.name, bool(autostart))

    async def is_active(self) -> bool:
        return self.active

    async def is_persistent(self) -> bool:
        return self.kept is not None

    # leases

    async def leases(self, mac: str | None = None, flags: int = 0) -> list[api.Lease]:
        check_flags(flags, 0, "networkGetDHCPLeases")
        wanted = None
        if mac is not None:
            wanted = parse_mac(mac)
            if wanted is None:
                raise VirtError(c.VIR_ERR_INVALID_MAC, VIR_FROM_NETWORK, f"invalid MAC address: {mac}")
        if self.live is None or self.server is None:
            return []
        now = time.time()
        found = []
        for entry in leasefile.read(self.server.files.leases):
            if (entry.expires and entry.expires <= now) or (wanted and entry.mac != wanted):
                continue
            prefixes = [p for a, p in map(block, self.live.ips) if a.family == entry.family]
            kind = c.VIR_IP_ADDR_TYPE_IPV4 if entry.family == 4 else c.VIR_IP_ADDR_TYPE_IPV6
            found.append(
                api.Lease(
                    self.live.bridge_name or "",
                    entry.expires,
                    kind,
                    entry.mac or None,
                    entry.iaid,
                    entry.address,
                    prefixes[0] if prefixes else 0,
                    entry.hostname,
                    entry.client_id,
                )
            )
        return found

    # ports

    async def ports(self, flags: int = 0) -> list[api.Port]:
        check_flags(flags, 0, "networkListAllPorts")
        if not self.active:
            raise invalid(f"network '{self.name}' is not active")
        return list(self.held.values())

    async def port_by_uuid(self, uuid: UUID) -> HeldPort:
        held = self.held.get(uuid)
        if held is None:
            raise NoNetworkPort(f"Network port with UUID {uuid} does not exist", domain=VIR_FROM_NETWORK)
        return held

    async def create_port(self, xml: str, flags: int = 0) -> HeldPort:
        known = c.VIR_NETWORK_PORT_CREATE_RECLAIM | c.VIR_NETWORK_PORT_CREATE_VALIDATE
        check_flags(flags, known, "networkPortCreateXML")
        async with self.turn():
            if self.live is None:
                raise invalid(f"network '{self.name}' is not active")
            port = read_port(xml)
            if flags & c.VIR_NETWORK_PORT_CREATE_VALIDATE:
                check_known(port, "network port")
            if UUID(port.uuid) in self.held:
                raise NetworkPortExists(
                    f"network port Network port with UUID {port.uuid} already exists exists already"
                )
            reclaim = bool(flags & c.VIR_NETWORK_PORT_CREATE_RECLAIM)
            check_reclaim(port, reclaim)
            if reclaim:
                reclaim_port(self.live, port)
            else:
                place_port(self.live, port, [held.port for held in self.held.values()])
            return self.plug(port)

    def plug(self, port: NetworkPort) -> HeldPort:
        """Enter a placed port, with the share of bandwidth that it was promised. Raises VirtError."""
        assert self.live is not None
        held = HeldPort(self, port)
        others = list(self.held.values())
        self._promise(held, others)
        self.held[held.uuid] = held
        self.driver.status.save_port(self.name, port)
        self.record(self.live)
        return held

    def _promise(self, held: HeldPort, others: list[HeldPort]) -> None:
        """Keep a port's floor for it, if it has one."""
        port = held.port
        if not port.floor or port.bandwidth is None or self.live is None:
            return
        shaping.check_floor(self.live, port.mac, self.live.mode, port.floor, promised(others))
        port.bandwidth.class_id = free_class(others)
        total = promised(others) + port.floor
        shaping.add_floor(self.live, port.bandwidth.class_id, port.mac, port.floor, total)

    async def limit_port(self, held: HeldPort, bandwidth: Bandwidth | None) -> None:
        """Give a port other limits, if the network can promise them. Raises VirtError."""
        async with self.turn():
            assert self.live is not None
            others = [other for other in self.held.values() if other is not held]
            floor = (bandwidth.inbound.floor or 0) if bandwidth and bandwidth.inbound else 0
            if floor:
                shaping.check_floor(self.live, held.port.mac, self.live.mode, floor, promised(others))
            if held.class_id:
                shaping.drop_floor(self.live, held.class_id, promised(others))
            held.port.bandwidth = bandwidth
            self._promise(held, others)
            self.driver.status.save_port(self.name, held.port)
            self.record(self.live)

    async def give_back(self, held: HeldPort) -> None:
        """Take a port out."""
        async with self.turn():
            self.unplug(held)

    def unplug(self, held: HeldPort) -> None:
        """Take a port out, if it is there, and what was promised to it."""
        if self.held.pop(held.uuid, None) is None or self.live is None:
            return
        if held.class_id:
            shaping.drop_floor(self.live, held.class_id, promised(list(self.held.values())))
        self.driver.status.forget_port(self.name, str(held.uuid))
        self.driver.port_gone(held)
        self.record(self.live)
