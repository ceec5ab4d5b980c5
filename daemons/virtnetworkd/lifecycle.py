"""A network's life: its two forms, the turn to change it, start and stop, and what a new daemon finds of it."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING
from uuid import UUID

from splitvirt.api import constants as c
from splitvirt.api import network as api
from splitvirt.api.constants import VIR_FROM_NETWORK
from splitvirt.api.errors import OperationInvalid, SystemError_, Timeout, VirtError
from splitvirt.host.nft import NftError
from splitvirt.host.refusal import telling
from splitvirt.xml.network import Network

from . import bridge, dnsmasq, firewall, pool, shaping, subnet
from .port import HeldPort, promised
from .prepare.forward import ROUTED
from .server import Server
from .status import NetworkStatus, Stage

if TYPE_CHECKING:
    from .driver import NetworkDriver

log = logging.getLogger(__name__)
LOCK_SECONDS = 30.0


def invalid(text: str) -> OperationInvalid:
    """Not in the state that the network is in."""
    return OperationInvalid(text, domain=VIR_FROM_NETWORK)


class LivingNetwork(api.Network):
    """A network of this host. `kept` is its configuration on disk, `live` what runs; one of them is always there."""

    def __init__(self, driver: "NetworkDriver", definition: Network) -> None:
        self.driver = driver
        self.name = definition.name or ""
        self.uuid = UUID(definition.uuid)
        self.kept: Network | None = None
        self.live: Network | None = None
        self.held: dict[UUID, HeldPort] = {}
        self.server: Server | None = None
        self._lock = asyncio.Lock()

    @property
    def active(self) -> bool:
        """Whether it runs."""
        return self.live is not None

    @property
    def definition(self) -> Network:
        """What it is now: the running form, else the kept one."""
        found = self.live or self.kept
        assert found is not None
        return found

    @property
    def bridges(self) -> set[str]:
        """The bridges that it has or will have."""
        return {net.bridge_name for net in (self.live, self.kept) if net is not None and net.bridge_name}

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """The turn to change this network. Raises Timeout when somebody has it for too long."""
        try:
            async with asyncio.timeout(LOCK_SECONDS):
                await self._lock.acquire()
        except TimeoutError:
            raise Timeout(f"network '{self.name}' is being changed by somebody else", domain=VIR_FROM_NETWORK) from None
        try:
            yield
        finally:
            self._lock.release()

    # start and stop

    async def start(self, net: Network) -> None:
        """Bring a running form up, all or nothing, and tell of it. Raises VirtError."""
        if self.name in self.driver.status.unknown:
            raise invalid(f"network '{self.name}' may be active: its record is of a form that is not known here")
        if net.mode in ROUTED:
            subnet.check_collision(self.driver.link, net, self.driver.bridge_owners())
            firewall.settle_nat(net)
        else:
            pool.fill(net)
        self.record(net, "starting")
        try:
            if net.mode in ROUTED:
                with telling("cannot use", domain=VIR_FROM_NETWORK):
                    await self._bring_up(net)
        except BaseException as error:
            with suppress(VirtError, OSError):
                await self._take_down(net)
            self.driver.status.forget(self.name)
            if isinstance(error, NftError):
                raise SystemError_(f"cannot set firewall rules: {error}", domain=VIR_FROM_NETWORK) from error
            raise
        self.live = net
        self.record(net, "running")
        self.driver.announce(self, c.VIR_NETWORK_EVENT_STARTED)

    async def _bring_up(self, net: Network) -> None:
        driver = self.driver
        bridge.make(driver.link, net)
        if net.bridge is not None and net.bridge.zone is not None:
            from . import zone  # which few ask for

            await asyncio.to_thread(zone.enter, net)
        driver.forwarding.enable(net)
        firewall.add(net, [other.live for other in driver.registry if other.live is not None and other.live_routed])
        self.server = driver.server_of(self.name)
        await self.server.start(net)
        bridge.add_routes(driver.link, net)
        shaping.start(net)
        for obstacle in firewall.obstacles() if net.mode in ("nat", "route") else []:
            log.warning("network %s: %s", self.name, obstacle.replace("BRIDGE", net.bridge_name or ""))

    async def stop(self) -> None:
        """Take everything down, as far as it is there, and tell of it. Raises VirtError for what would not go."""
        net = self.live
        assert net is not None
        self.record(net, "stopping")
        self.held.clear()
        self.driver.ports_gone(self)
        self.live = None
        try:
            await self._take_down(net)
        finally:
            self.driver.status.forget(self.name)
            self.driver.announce(self, c.VIR_NETWORK_EVENT_STOPPED)
            if self.kept is None:
                self.driver.drop(self)

    async def _take_down(self, net: Network) -> None:
        if net.mode not in ROUTED:
            return
        driver = self.driver
        others = [other for other in driver.registry if other is not self and other.live_routed]
        last = not others and not driver.status.unknown
        server, self.server = self.server or driver.server_of(self.name), None
        if not server.adopt() and dnsmasq.needed(net):
            await server.end_strays()
        await server.stop()
        try:
            firewall.remove(net, last=last)
        except OSError as error:
            log.error("network %s: its firewall rules could not be removed: %s", self.name, error)
        if net.bridge is not None and net.bridge.zone is not None:
            from . import zone

            await asyncio.to_thread(zone.leave, net)
        bridge.unmake(driver.link, net)
        if last:
            driver.forwarding.restore()

    @property
    def live_routed(self) -> bool:
        """Whether it runs on a bridge of ours."""
        return self.live is not None and self.live.mode in ROUTED

    def record(self, net: Network, stage: Stage = "running") -> None:
        """Write down that it runs, or is on the way to or from that."""
        held = list(self.held.values())
        classes = frozenset({0, 1, 2} | {h.class_id for h in held if h.class_id})
        status = NetworkStatus(stage=stage, classes=classes, floor=promised(held), network=net)
        with telling("cannot write", domain=VIR_FROM_NETWORK):
            self.driver.status.save(status)

    async def recover(self, status: NetworkStatus) -> None:
        """Take up what an earlier daemon left: whole if it ran, gone if it was half made or has lost its bridge."""
        net = status.network
        half = status.stage not in (None, "running")
        if net.mode in ROUTED and (half or bridge.found(self.driver.link, net) is None):
            log.warning("network %s was left %s; what is there of it is removed", self.name, status.stage or "broken")
            await self._take_down(net)
            self.driver.status.forget(self.name)
            return
        if half:
            self.driver.status.forget(self.name)
            return
        self.live = net
        if net.mode in ROUTED:
            self.server = self.driver.server_of(self.name)
            if not self.server.adopt():
                await self.server.start(net)
