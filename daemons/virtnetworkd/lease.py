"""Ports lent to processes: taken with an open tap, bound to the taker, given back the moment it is gone."""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from splitvirt.access.identity import Identity
from splitvirt.api.constants import VIR_FROM_NETWORK
from splitvirt.api.dispatch import Caller, current_caller
from splitvirt.api.errors import (
    InvalidArg,
    NoNetworkPort,
    OperationDenied,
    OperationInvalid,
    OperationUnsupported,
    VirtError,
)
from splitvirt.api.event import Hub
from splitvirt.api.lease import Holding, LentPort, NetworkPorts
from splitvirt.host.inotify import Watch
from splitvirt.host.pidfd import Held, command_name
from splitvirt.xml.networkport import DirectPlug, HostdevPlug, NetworkPlug

from . import guard, leasefile, loan, taps
from .loan import Lease, completed, in_group, manages, mine_or_managed, parsed
from .port import HeldPort

if TYPE_CHECKING:
    from .driver import NetworkDriver
    from .lifecycle import LivingNetwork
    from .network import VirtualNetwork

log = logging.getLogger(__name__)
QUOTA = 16
"""Ports that one user other than root may hold at a time."""

MAX_QUEUES = 16
NO_VNET_HDR = 1
SETTLE_SECONDS = 0.005
ACTION = "org.splitvirt.network-port.take"


class Leases(NetworkPorts):
    """The ports on loan of one driver. They outlive the daemon as long as their takers do."""

    def __init__(self, driver: "NetworkDriver", path: Path, quota: int = QUOTA) -> None:
        self.driver, self.path, self.quota = driver, path, quota
        self.events = Hub()
        self.lent: dict[UUID, Lease] = {}
        self._watches: dict[str, Watch] = {}
        self._due: set[str] = set()

    # who may

    async def _taker(self, network: "VirtualNetwork") -> Identity:
        """The caller, if it may have a port on that network. Raises OperationDenied."""
        caller = current_caller()
        if caller is None:
            return Identity.of_self()
        identity: Identity = caller.identity
        if identity.uid in (0, os.geteuid()) or await manages(caller, network):
            return identity
        # what goes past our bridges cannot be guarded, so it is not for everybody
        if network.definition.bridge_name and await self._permitted(caller, network):
            return identity
        raise OperationDenied(f"'{ACTION}' on network '{network.name}' is not allowed to {caller.name}")

    async def _permitted(self, caller: Caller, network: "VirtualNetwork") -> bool:
        """By polkit's word on ports, or where there is no polkit by the group "libvirt"."""
        access = getattr(caller, "access", None)
        if access is not None and access.authority is not None:
            details = {"network_name": network.name, "network_uuid": str(network.uuid)}
            return bool(await access.authority.check(ACTION, caller.identity, details))
        return in_group(caller.identity, "libvirt")

    # the calls

    async def take(self, network: str, xml: str = "", queues: int = 1, flags: int = 0) -> LentPort:
        if flags & ~NO_VNET_HDR or not 1 <= queues <= MAX_QUEUES:
            raise InvalidArg(f"flags 0x{flags:x} with {queues} queues: 1 to {MAX_QUEUES} queues, flags 0 or 1")
        net = await self.driver.network_by_name(network)
        taker = await self._taker(net)
        self._check_quota(taker)
        held = await net.create_port(completed(xml, taker))
        try:
            lease = self._open(net, held, queues, taker, vnet_hdr=not flags & NO_VNET_HDR)
        except BaseException:
            net.unplug(held)
            raise
        self._bind(lease)
        self._save()
        log.info("network %s: port %s lent to %s", net.name, held.uuid, taker, extra={"network": net.name})
        return LentPort(str(held.uuid), held.port.to_xml(), lease.device, [os.dup(fd) for fd in lease.fds])

    def _check_quota(self, taker: Identity) -> None:
        mine = sum(lease.taker.uid == taker.uid for lease in self.lent.values())
        if taker.uid != 0 and mine >= self.quota:
            raise OperationInvalid(
                f"user {taker.user} holds {mine} network ports, and may not hold more", domain=VIR_FROM_NETWORK
            )

    def _open(self, net: "VirtualNetwork", held: HeldPort, queues: int, taker: Identity, *, vnet_hdr: bool) -> Lease:
        """Make the tap, plug it in, and guard it."""
        plug = held.port.plug
        assert net.live is not None
        if isinstance(plug, NetworkPlug):
            device, fds = taps.plug(self.driver.link, net.live, held.port, queues=queues, vnet_hdr=vnet_hdr)
        elif isinstance(plug, DirectPlug):
            mac = held.port.mac
            device, fds = taps.plug_direct(self.driver.link, plug, mac, queues=queues, vnet_hdr=vnet_hdr)
        else:
            assert isinstance(plug, HostdevPlug)
            raise OperationUnsupported(
                f"network '{net.name}' gives out PCI devices, which cannot be lent", domain=VIR_FROM_NETWORK
            )
        lease = Lease(held, device, fds, taker, int(time.time()))
        try:
            if isinstance(plug, NetworkPlug):
                first = not any(map(self._guarded, self.lent.values()))
                guard.add(net.live, lease.guarded, self._leases_of(net), first=first)
        except BaseException:
            self._shut(lease)
            raise
        return lease

    def _bind(self, lease: Lease) -> None:
        """Watch the taker: its connection and its process."""
        self.lent[lease.held.uuid] = lease
        taker, uuid = lease.taker, lease.held.uuid
        caller = current_caller()
        if caller is not None:
            self._end_with(caller, lease)
        if taker.pid and taker.pid != os.getpid():
            lease.process = Held.open(taker.pid, taker.start_time or None)
            if lease.process is None:
                self._gone(uuid)
                raise OperationInvalid(f"process {taker.pid} has ended", domain=VIR_FROM_NETWORK)
            lease.process.on_end(lambda: self._gone(uuid))
        self._watch(lease.held.network)

    def _end_with(self, caller: Caller, lease: Lease) -> None:
        taker = lease.taker  # who has handed it over may go
        caller.on_close(lambda: self._gone(lease.held.uuid) if lease.taker is taker else None)

    async def joined(self, find: Callable[[str], Awaitable[Caller]]) -> None:
        """Watch the connections of those who took ports of an earlier daemon; some may have left the bus meanwhile."""
        for lease in list(self.lent.values()):
            taker = lease.taker
            if taker.bus_name:
                try:
                    caller = await find(taker.bus_name)
                except VirtError:
                    caller = None
                if caller and (caller.identity.pid, caller.identity.start_time) == (taker.pid, taker.start_time):
                    self._end_with(caller, lease)
                elif self.lent.get(lease.held.uuid) is lease and lease.taker is taker:
                    self._gone(lease.held.uuid)

    async def release(self, uuid: str) -> None:
        self._gone((await self._lent(uuid)).held.uuid)

    async def _lent(self, uuid: str) -> Lease:
        """A loan that the caller may end. Raises NoNetworkPort."""
        lease = self.lent.get(parsed(uuid))
        if lease is None or not await mine_or_managed(current_caller(), lease, "network_port:delete"):
            raise NoNetworkPort(f"no port with UUID {uuid} is lent to you")
        return lease

    async def hand_over(self, uuid: str, pid: int) -> None:
        lease, caller = await self._lent(uuid), current_caller()
        process = Held.open(pid)
        if process is None:
            raise OperationInvalid(f"process {pid} has ended", domain=VIR_FROM_NETWORK)
        if caller is not None and caller.identity.uid not in (0, os.stat(f"/proc/{pid}").st_uid):
            process.close()
            raise OperationDenied(f"process {pid} is another user's", domain=VIR_FROM_NETWORK)
        if lease.process is not None:
            lease.process.close()
        lease.process, lease.taker = process, Identity(lease.taker.uid, lease.taker.gid, pid, process.started)
        process.on_end(lambda: self._gone(lease.held.uuid))
        self._save()

    async def holdings(self) -> list[Holding]:
        caller = current_caller()
        lent = list(self.lent.values())
        shown = [lease for lease in lent if await mine_or_managed(caller, lease, "network_port:getattr")]
        return [
            Holding(
                lease.held.network.name, str(lease.held.uuid), lease.device, lease.held.port.mac,
                lease.taker.user, lease.taker.uid, lease.taker.pid, command_name(lease.taker.pid),
                lease.taker.bus_name, lease.since,
            )
            for lease in shown
        ]  # fmt: skip

    # the end of a loan

    def _gone(self, uuid: UUID) -> None:
        """Take a port back; its taker gave it up, or is no more."""
        lease = self.lent.get(uuid)
        if lease is not None:
            lease.held.network.unplug(lease.held)  # which tells `port_gone`
            if uuid in self.lent:
                self.port_gone(lease.held)

    def port_gone(self, held: HeldPort) -> None:
        """A port is no longer one: end its loan, if it was lent."""
        lease = self.lent.pop(held.uuid, None)
        if lease is None:
            return
        log.info("network %s: port %s is back from %s", held.network.name, held.uuid, lease.taker)
        self._unguard(lease)
        self._shut(lease)
        self._unwatch(held.network)
        self._save()

    def network_gone(self, net: "LivingNetwork") -> None:
        """A network stopped: its ports are no more."""
        for lease in [lease for lease in self.lent.values() if lease.held.network is net]:
            self.port_gone(lease.held)

    def _unguard(self, lease: Lease) -> None:
        if not isinstance(lease.held.port.plug, NetworkPlug):
            return
        try:
            guard.remove(lease.device, last=not any(self._guarded(other) for other in self.lent.values()))
        except OSError as error:
            log.error("the guard of %s could not be removed: %s", lease.device, error)

    @staticmethod
    def _guarded(lease: Lease) -> bool:
        return isinstance(lease.held.port.plug, NetworkPlug)

    def _shut(self, lease: Lease) -> None:
        """Close our copies of the tap, and cut what somebody may still hold."""
        if lease.process is not None:
            lease.process.close()
        for fd in lease.fds:
            os.close(fd)
        lease.fds.clear()
        try:
            self.driver.link.delete(lease.device)
        except OSError as error:
            log.error("%s could not be removed: %s", lease.device, error)

    # between two lives of the daemon

    def _save(self) -> None:
        loan.write(self.path, self.lent.values())

    def open(self) -> None:
        """Take up the loans of an earlier daemon: whose taker lives goes on, the others' ports come back."""
        for record in loan.read(self.path):
            try:
                self._take_up(record)
            except (VirtError, OSError, KeyError, TypeError, ValueError) as error:
                log.error("the loan of a port could not be taken up: %s", error)
        for net in self.driver.registry:
            self._guard(net)
        self._save()

    def _take_up(self, record: dict[str, Any]) -> None:
        net = self.driver.registry.by_name(record["network"])
        held = net.held.get(UUID(record["uuid"])) if net is not None else None
        if held is None:
            self.driver.link.delete(record["device"])
            return
        uid, gid, pid, began, bus_name = record["taker"]
        lease = Lease(held, record["device"], [], Identity(uid, gid, pid, began, bus_name), record["since"])
        try:
            self._bind(lease)
        except OperationInvalid:
            log.info("port %s: its taker is gone", held.uuid)

    async def close(self) -> None:
        """Let go; the taps stay with their takers."""
        for watch in self._watches.values():
            watch.close()
        self._watches.clear()
        if self.driver.lifetime == "app":
            for uuid in list(self.lent):
                self._gone(uuid)
        for lease in self.lent.values():
            if lease.process is not None:
                lease.process.close()
            for fd in lease.fds:
                os.close(fd)
            lease.fds.clear()

    # the guard follows DHCP

    def _leases_of(self, net: "VirtualNetwork") -> list[leasefile.Entry]:
        return leasefile.read(net.server.files.leases) if net.server is not None else []

    def _guard(self, net: "VirtualNetwork") -> None:
        """Bring the guard of a network's ports up to date with its leases."""
        ports = [lease.guarded for lease in self.lent.values() if lease.held.network is net and self._guarded(lease)]
        if not ports or net.live is None:
            return
        try:
            guard.change(net.live, ports, self._leases_of(net))
        except OSError as error:
            log.error("network %s: its ports cannot be guarded: %s", net.name, error)

    def _watch(self, net: "VirtualNetwork") -> None:
        """Be told when the leases of a network with ports on loan change."""
        if net.name in self._watches or net.server is None:
            return
        try:
            self._watches[net.name] = Watch(net.server.files.leases, lambda: self._leases_changed(net))
        except OSError as error:
            log.debug("network %s lends no addresses: %s", net.name, error)

    def _unwatch(self, net: "LivingNetwork") -> None:
        if not any(lease.held.network is net for lease in self.lent.values()):
            watch = self._watches.pop(net.name, None)
            if watch is not None:
                watch.close()

    def _leases_changed(self, net: "VirtualNetwork") -> None:
        """dnsmasq empties its file before it writes it: look when it is done."""
        if net.name not in self._due:
            self._due.add(net.name)
            asyncio.get_running_loop().call_later(SETTLE_SECONDS, self._look, net)

    def _look(self, net: "VirtualNetwork") -> None:
        self._due.discard(net.name)
        self._guard(net)

    def reload(self) -> None:
        """Make the guards anew: somebody may have flushed them."""
        for net in self.driver.registry:
            self._guard(net)

    def server_crashed(self, name: str, seconds: float) -> None:
        """A network's dnsmasq died."""
        self.events.emit(NetworkPorts.server_ended, self, name, seconds)
