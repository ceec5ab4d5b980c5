"""The network driver: every network of a host, a user or an application."""

import functools
import logging
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from splitvirt.api import constants as c
from splitvirt.api import network as api
from splitvirt.api.constants import VIR_FROM_NETWORK
from splitvirt.api.errors import NetworkExists, NoNetwork, OperationFailed, OperationInvalid, ResourceBusy, VirtError
from splitvirt.api.event import Hub
from splitvirt.api.lease import NetworkPorts
from splitvirt.host.netlink import Netlink
from splitvirt.host.paths import Layout, make_private
from splitvirt.host.process import Launcher, Lifetime
from splitvirt.host.refusal import telling
from splitvirt.store.files import write_volatile
from splitvirt.store.folder import ConfigFolder
from splitvirt.store.lock import OwnerLock, Taken
from splitvirt.store.registry import Registry
from splitvirt.xml.network import Network

from . import firewall, subnet
from .dnsmasq import Files
from .flags import check_flags, check_known
from .forwarding import Forwarding
from .lease import Leases
from .lifecycle import LivingNetwork
from .network import VirtualNetwork
from .port import HeldPort
from .prepare import read
from .prepare.ip import block
from .prepare.place import place
from .server import Server
from .status import NetworkStatus, StatusFolder

if TYPE_CHECKING:
    from splitvirt.daemon.config import Config
    from splitvirt.embed import Exposure

log = logging.getLogger(__name__)
VERSION = 9_000_000
"""The version of libvirt whose interface and behaviour this is."""


class NetworkDriver(api.Networks):
    """The networks below one layout of directories. Everything happens in the network namespace of the process."""

    def __init__(self, layout: Layout, config: "Config | None" = None, *, lifetime: Lifetime = "keep") -> None:
        self.layout, self.config, self.lifetime = layout, config, lifetime
        self.events = Hub()
        self.registry: Registry[VirtualNetwork] = Registry()
        self.folder = ConfigFolder(layout.etc / "qemu" / "networks", edit="net-edit")
        self.run = layout.run / "network"
        self.status = StatusFolder(self.run)
        self.forwarding = Forwarding(self.run / "forwarding.json")
        self.launcher = Launcher(lifetime)
        self.leases = Leases(self, self.run / "lent.json")
        self._link: Netlink | None = None
        self._exposure: Exposure | None = None
        self._lock = OwnerLock(self.run / "driver.pid")

    @property
    def link(self) -> Netlink:
        """The connection to the kernel's network configuration."""
        if self._link is None:
            self._link = Netlink()
        return self._link

    # life

    async def open(self) -> None:
        """Read what is defined, take up what runs, and start what starts by itself.

        Raises ResourceBusy naming the holder when somebody else has the same directories, SystemError_ when they
        cannot be used.
        """
        try:
            with telling("cannot use", domain=VIR_FROM_NETWORK):
                make_private(self.run, 0o755)
                self._lock.acquire()
        except Taken as error:
            raise ResourceBusy(str(error), domain=VIR_FROM_NETWORK) from None
        try:
            await self._take_up()
        except BaseException:
            await self.close()
            raise

    async def _take_up(self) -> None:
        self.folder.open()
        self.status.open()
        for name, text in self.folder.load():
            self._load(name, text)
        for status in self.status.load():
            await self._recover(status)
        if any(net.live_routed for net in self.registry):
            self.reload()
        self.leases.open()
        await self._autostart()

    def _load(self, name: str, text: str) -> None:
        try:
            net = read(text)
            if net.name != name:
                raise OperationFailed(f"Network config filename '{name}.xml' does not match network name '{net.name}'")
            place(net, self.taken_bridges(), self.devices)
            made = VirtualNetwork(self, net)
            made.kept = net
            self.registry.add(made)
            if "<uuid>" not in text:  # as in the default network's file: the one that was made up has to stay
                self.folder.save(name, net.to_xml(inactive=True))
        except (VirtError, KeyError) as error:
            log.error("network %s is not read: %s", name, error)

    async def _recover(self, status: NetworkStatus) -> None:
        found = self.registry.by_uuid(UUID(status.network.uuid))
        made = found or VirtualNetwork(self, status.network)
        try:
            if found is None:
                self.registry.add(made)
            await made.recover(status)
        except (VirtError, OSError, KeyError) as error:
            log.error("network %s: cannot take up what an earlier daemon left: %s", made.name, error)
        if made.kept is None and not made.active:
            self.registry.remove(made)

    async def _autostart(self) -> None:
        """Start what starts with the host: once per boot, for the folder of state goes with a reboot."""
        mark = self.run / "autostarted"
        if mark.exists():
            return
        write_volatile(mark, "")
        for net in self.registry:
            if not net.active and self.folder.autostart(net.name):
                try:
                    await net.create()
                except VirtError as error:
                    log.error("network %s could not be started: %s", net.name, error)

    async def close(self) -> None:
        """Let go. Networks go on running, unless they were to live with the application ("app")."""
        if self._exposure is not None:
            await self._exposure.close()
        await self.leases.close()
        for net in self.registry:
            if self.lifetime == "app" and net.active:
                try:
                    await net.destroy()
                except VirtError as error:
                    log.error("network %s: %s", net.name, error)
            elif net.server is not None:
                net.server.release()
        if self.lifetime == "app":
            (self.run / "autostarted").unlink(missing_ok=True)
        self.launcher.close()
        if self._link is not None:
            self._link.close()
            self._link = None
        self._lock.release()

    async def expose(self, path: str | os.PathLike[str] | None = None, *, read_only: bool = True) -> str:
        """Open an RPC socket (mode 0600) for virsh; its URI. It is closed with the driver.

        Without a path it lies where virsh would look below the root. A read-write one is as powerful as the driver.
        """
        from splitvirt.embed import Exposure

        if self._exposure is None:
            self._exposure = Exposure(api.Networks, self, "network")
        own = self.layout.socket("virtnetworkd", "ro" if read_only else "")
        return await self._exposure.open(own if path is None else Path(path), read_only=read_only)

    @property
    def busy(self) -> bool:
        """Whether a network runs: its server is watched, and its ports are held."""
        return any(net.active for net in self.registry)

    def reload(self) -> None:
        """Make all firewall rules anew: somebody may have flushed them."""
        live = [net.live for net in self.registry if net.live is not None and net.live_routed]
        try:
            firewall.rebuild(live, others=bool(self.status.unknown))
        except OSError as error:
            log.error("the firewall rules could not be made again: %s", error)
        self.leases.reload()

    @property
    def bus_offers(self) -> list[tuple[type, object]]:
        """What the daemon offers on D-Bus beside the driver itself."""
        return [(NetworkPorts, self.leases)]

    # what networks ask of their driver

    def server_of(self, name: str) -> Server:
        """The process that serves a network's addresses and names."""
        files = Files(name, self.layout.lib / "dnsmasq", self.run)
        own = self.layout.mode != "system" or self.layout.root is not None
        return Server(name, files, self.launcher, self._crashed, own_user=own)

    def _crashed(self, name: str, seconds: float) -> None:
        self.leases.server_crashed(name, seconds)

    def taken_bridges(self, but: VirtualNetwork | None = None) -> set[str]:
        """The bridges of all networks but one."""
        return {name for net in self.registry if net is not but for name in net.bridges}

    def devices(self) -> set[str]:
        """The names of all network interfaces."""
        return {link.name for link in self.link.links()}

    def bridge_owners(self) -> dict[str, str]:
        """The bridges of running networks, with the networks' names."""
        return {net.live.bridge_name or "": net.name for net in self.registry if net.live is not None}

    def announce(self, net: LivingNetwork, event: int) -> None:
        """Tell whoever listens."""
        self.events.emit(api.Network.lifecycle, net, event, 0)

    def drop(self, net: LivingNetwork) -> None:
        """Forget a network that neither runs nor is kept."""
        found = self.registry.by_uuid(net.uuid)
        if found is net:
            self.registry.remove(found)

    def ports_gone(self, net: LivingNetwork) -> None:
        """A network stopped under its ports."""
        self.leases.network_gone(net)

    def port_gone(self, held: HeldPort) -> None:
        """A port was given back, by whomever."""
        self.leases.port_gone(held)

    # the calls

    def _read(self, xml: str, *, validate: bool) -> Network:
        net = read(xml, self._choose)
        if validate:
            check_known(net, "network")
        return net

    def _choose(self, family: int) -> tuple[str, int]:
        """A free block of addresses for a network that asks for one."""
        defined = [block(ip) for net in self.registry for ip in (net.live or net.kept or Network()).ips]
        return subnet.choose(self.link, family, defined)

    def _same(self, net: Network) -> VirtualNetwork | None:
        """The network that a document is about, by UUID. Raises NetworkExists when the name does not go with it."""
        clash = functools.partial(NetworkExists, domain=VIR_FROM_NETWORK)
        return self.registry.match("network", str(net.name), UUID(net.uuid), clash)

    async def define(self, xml: str, flags: int = 0) -> VirtualNetwork:
        check_flags(flags, c.VIR_NETWORK_DEFINE_VALIDATE, "networkDefineXMLFlags")
        net = self._read(xml, validate=bool(flags & c.VIR_NETWORK_DEFINE_VALIDATE))
        found = self._same(net)
        place(net, self.taken_bridges(found), self.devices)
        self.folder.save(net.name or "", net.to_xml(inactive=True))
        made = found or VirtualNetwork(self, net)
        made.kept = net
        if found is None:
            self.registry.add(made)
        self.announce(made, c.VIR_NETWORK_EVENT_DEFINED)
        return made

    async def create(self, xml: str, flags: int = 0) -> VirtualNetwork:
        check_flags(flags, c.VIR_NETWORK_CREATE_VALIDATE, "networkCreateXMLFlags")
        net = self._read(xml, validate=bool(flags & c.VIR_NETWORK_CREATE_VALIDATE))
        found = self._same(net)
        if found is not None and found.active:
            raise OperationInvalid(f"network is already active as '{found.name}'", domain=VIR_FROM_NETWORK)
        place(net, self.taken_bridges(found), self.devices)
        made = found or VirtualNetwork(self, net)
        if found is None:
            made.live = None
            self.registry.add(made)
        try:
            async with made.turn():
                if made.active:
                    raise OperationInvalid(f"network is already active as '{made.name}'", domain=VIR_FROM_NETWORK)
                await made.start(net)
        finally:
            if made.kept is None and not made.active:
                self.registry.remove(made)
        return made

    async def network_by_name(self, name: str) -> VirtualNetwork:
        found = self.registry.by_name(name)
        if found is None or not (found.kept or found.live):
            raise NoNetwork(f"no network with matching name '{name}'")
        return found

    async def network_by_uuid(self, uuid: UUID) -> VirtualNetwork:
        found = self.registry.by_uuid(uuid)
        if found is None or not (found.kept or found.live):
            raise NoNetwork(f"no network with matching uuid '{uuid}'")
        return found

    async def networks(self, flags: int = 0) -> list[Any]:
        known = 0x3F
        check_flags(flags, known, "networkConnectListAllNetworks")
        return [net for net in self.registry if (net.kept or net.live) and self._listed(net, flags)]

    def _listed(self, net: VirtualNetwork, flags: int) -> bool:
        kept = net.kept is not None
        groups = (
            (c.VIR_CONNECT_LIST_NETWORKS_ACTIVE, c.VIR_CONNECT_LIST_NETWORKS_INACTIVE, net.active),
            (c.VIR_CONNECT_LIST_NETWORKS_PERSISTENT, c.VIR_CONNECT_LIST_NETWORKS_TRANSIENT, kept),
            (
                c.VIR_CONNECT_LIST_NETWORKS_AUTOSTART,
                c.VIR_CONNECT_LIST_NETWORKS_NO_AUTOSTART,
                kept and self.folder.autostart(net.name),
            ),
        )
        return all(not flags & (yes | no) or bool(flags & (yes if it else no)) for yes, no, it in groups)

    async def type(self) -> str:
        return "network"

    async def version(self) -> int:
        return VERSION

    async def lib_version(self) -> int:
        return VERSION

    async def hostname(self) -> str:
        return socket.gethostname()

    async def uri(self) -> str:
        if self.layout.mode == "embed":
            return f"network:///embed?root={self.layout.root}"
        return f"network:///{'system' if os.geteuid() == 0 else 'session'}"

    async def is_secure(self) -> bool:
        return True
