"""The QEMU driver: a plain asyncio object that a daemon serves or an application embeds."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import shutil
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from splitvirt.api import constants as c
from splitvirt.api.errors import (
    DomainExists,
    InternalError,
    NoDomain,
    OperationInvalid,
    VirtError,
    XMLError,
    XMLSchema,
)
from splitvirt.api.event import Hub
from splitvirt.host.paths import Layout
from splitvirt.host.pidfd import boot_id
from splitvirt.host.process import Launcher, Lifetime
from splitvirt.host.refusal import refused
from splitvirt.store.files import sweep_temporary
from splitvirt.store.folder import ConfigFolder
from splitvirt.store.lock import OwnerLock, Taken
from splitvirt.store.registry import Registry

from .emulator.probe import Prober
from .flags import START_FLAGS, only
from .hostcalls import HostCalls
from .listing import Listing
from .places import Places
from .starting import Starting

if TYPE_CHECKING:
    from splitvirt.api.network import Networks
    from splitvirt.embed import Exposure
    from splitvirt.xml.domain import Domain as DomainXML

    from .argv.context import Settings
    from .domain.domain import QemuDomain
    from .running.scope import Scopes
    from .security.model import Security

log = logging.getLogger(__name__)
QEMU = c.VIR_FROM_QEMU


class QemuDriver(Starting, HostCalls, Listing):
    """Guests below one layout. Belongs to the event loop that opened it.

    `networks` is who gives ports for `<interface type='network'>`. With lifetime "app" the guests end when the driver
    is closed or its process ends, with "keep" they outlive both.
    """

    def __init__(
        self,
        layout: Layout,
        config: Any = None,
        *,
        networks: Networks | None = None,
        lifetime: Lifetime = "keep",
        environment: Mapping[str, str] | None = None,
        prober: Prober | None = None,
        uri: str = "",
    ) -> None:
        self.layout = layout
        self._config = config or {}
        self.networks = networks
        self.lifetime: Lifetime = lifetime
        self.environment = environment
        self.places = Places(layout)
        self.folder = ConfigFolder(self.places.config)
        self.events = Hub()
        self.guests: Registry[QemuDomain] = Registry(self._load)
        self.launcher = Launcher(lifetime)
        self.prober = prober or Prober(whom=lambda: self.security.usual_user)
        self.boot_id = boot_id()
        self.own_uri = uri or f"qemu:///{layout.mode}"
        self.opened = False
        self._lock = OwnerLock(self.places.state / "driver.lock")
        self._last_id = 0
        self._exposure: Exposure | None = None
        self._ports: Any = None
        self._own_ports = False
        self._tasks: set[asyncio.Task[Any]] = set()

    @functools.cached_property
    def settings(self) -> Settings:
        """qemu.conf as the command line wants it."""
        from .argv.settings import command_settings

        return command_settings(self._config)

    @functools.cached_property
    def security(self) -> Security:
        """As whom guests run, and whose their files are. Raises InvalidArg for a user that the host does not know.

        Asked for by the first guest: the host may take 15 ms to say in which groups a user is.
        """
        from .security.model import Security

        return Security.configured(self.layout, self._config)

    @functools.cached_property
    def scopes(self) -> Scopes | None:
        """What gives guests cgroups of their own: the host's own daemon does; others' guests stay in the caller's."""
        if self.layout.mode != "system" or self.layout.root is not None:
            return None
        from .running.scope import Scopes

        return Scopes()

    # ---- opening and closing

    async def open(self) -> None:
        """Take the root, find what runs, start what is to start by itself. Definitions are read when first needed.

        Raises ResourceBusy naming the holder when somebody else has the root, SystemError_ when it cannot be used.
        """
        from splitvirt.api.errors import ResourceBusy

        try:
            self.places.make()
            self._lock.acquire()
            self.folder.open()
        except Taken as error:
            raise ResourceBusy(str(error), domain=QEMU) from None
        except OSError as error:
            self._lock.release()
            raise refused("cannot use", error, domain=QEMU) from error
        except VirtError:
            self._lock.release()
            raise
        try:
            sweep_temporary(self.places.state)
            if any(self.places.state.glob("*.status")):
                from .adoption import adopt_all

                await adopt_all(self)
            self._sweep()
        except BaseException:
            self._lock.release()
            raise
        self.opened = True
        if self.layout.mode != "embed" and self.folder.any_autostart:
            self.background(self._autostart())

    async def close(self) -> None:
        """End the guests (lifetime "app", and those with autodestroy), or let them be; give the root back."""
        if not self.opened:
            return
        self.opened = False
        if self._exposure is not None:
            await self._exposure.close()
        mine = [guest for guest in self.guests.here() if self.lifetime == "app" or guest.autodestroy]
        await asyncio.gather(*(self._end(guest) for guest in mine))
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for guest in self.guests.here():
            await guest.let_be()
        if self._own_ports:
            await self._ports.close()
            self._ports, self._own_ports = None, False
        if (scopes := vars(self).get("scopes")) is not None:
            scopes.close()
        self.launcher.close()
        self._lock.release()

    async def expose(self, path: str | os.PathLike[str] | None = None, *, read_only: bool = True) -> str:
        """Open an RPC socket (mode 0600) for virsh; its URI. It is closed with the driver.

        Without a path it lies where virsh would look below the root. Whoever may open it may do what its kind allows,
        so a read-write one is as powerful as the application.
        """
        from splitvirt.api.hypervisor import Hypervisor
        from splitvirt.embed import Exposure

        if self._exposure is None:
            self._exposure = Exposure(Hypervisor, self, "QEMU")
        own = self.layout.socket("virtqemud", "ro" if read_only else "")
        return await self._exposure.open(own if path is None else Path(path), read_only=read_only)

    async def _end(self, guest: QemuDomain) -> None:
        try:
            if guest.active:
                await guest.destroy()
        except OperationInvalid:
            pass  # it ended by itself meanwhile
        except VirtError as error:
            log.error("%r was not ended: %s", guest, error)

    @property
    def busy(self) -> bool:
        """Whether anything runs that this driver watches."""
        return bool(self.guests.active()) or bool(self._tasks)

    def reload(self) -> None:
        """Read the definitions on disk again; guests that are known are left as they are."""
        if self.guests.complete:
            self._load()

    def when_complete(self, then: Callable[[list[QemuDomain]], None]) -> None:
        """Call `then` with every guest once the definitions have been read, which is when one is first asked for."""
        self.guests.when_complete(then)

    def _load(self) -> None:
        for name, text in self.folder.load():
            from splitvirt.xml.domain import Domain as DomainXML

            from .domain.domain import QemuDomain

            try:
                config = DomainXML.from_xml(text, source=f"({name}.xml)")
                if config.name != name or not config.uuid:
                    raise XMLError(f"domain name '{config.name}' does not match the name of its file")
                if self.guests.by_name(name) is None:
                    self.guests.add(QemuDomain(self, config, persistent=True))
            except (VirtError, KeyError) as error:
                log.error("%s is not loaded: %s", self.folder.path(name), error)

    def _sweep(self) -> None:
        """Clear away folders of runs that ended unseen. Below a root of our own alone: elsewhere others have theirs."""
        used = {guest.places.folder.name for guest in self.guests.active()}
        unread = len(list(self.places.state.glob("*.status"))) > len(used)
        if self.layout.root is not None and not unread:
            for folder in self.places.lib.glob("domain-*"):
                if folder.name not in used:
                    shutil.rmtree(folder, ignore_errors=True)

    async def _autostart(self) -> None:
        for guest in self.guests:
            if not guest.active and self.folder.autostart(guest.name):
                try:
                    await guest.create()
                except VirtError as error:
                    log.error("%r was not started: %s", guest, error)

    # ---- guests

    async def define(self, xml: str, flags: int = 0) -> QemuDomain:
        """Keep a guest's configuration; that of one that is there already is replaced."""
        only(flags, c.VIR_DOMAIN_DEFINE_VALIDATE, "qemuDomainDefineXMLFlags")
        config = await self._accept(xml, validate=bool(flags & c.VIR_DOMAIN_DEFINE_VALIDATE))
        from .domain.domain import QemuDomain

        guest = self._match(config)
        if guest is None:
            self.folder.save(str(config.name), config.to_xml(inactive=True, secure=True))
            guest = QemuDomain(self, config, persistent=True)
            self.guests.add(guest)
            detail = c.VIR_DOMAIN_EVENT_DEFINED_ADDED
        else:
            detail = c.VIR_DOMAIN_EVENT_DEFINED_UPDATED
            guest.keep(config)
            guest.record()
        guest.tell(c.VIR_DOMAIN_EVENT_DEFINED, detail)
        return guest

    async def create(self, xml: str, flags: int = 0) -> QemuDomain:
        """Start a guest without keeping its configuration."""
        only(flags, START_FLAGS, "qemuDomainCreateXML")
        config = await self._accept(xml, validate=bool(flags & c.VIR_DOMAIN_START_VALIDATE))
        from .domain.domain import QemuDomain

        guest = self._match(config)
        if guest is None:
            guest = QemuDomain(self, config, persistent=False)
            self.guests.add(guest)
        elif guest.active or guest.job.busy:
            raise OperationInvalid(f"domain '{guest.name}' is already active", domain=c.VIR_FROM_DOMAIN)
        async with guest.job.hold("create"):
            try:
                await guest.start(config, flags)
            except BaseException:
                if not guest.persistent:
                    self.guests.remove(guest)
                raise
        return guest

    async def _accept(self, xml: str, *, validate: bool) -> DomainXML:
        """Read and complete a configuration that somebody gave us."""
        from splitvirt.xml.domain import Domain as DomainXML

        from .prepare import prepare

        config = DomainXML.from_xml(xml)
        if validate and config.unknown:
            first = config.unknown[0]
            raise XMLSchema(f"{first.path} (line {first.line}) is not part of the domain format", domain=QEMU)
        if not config.name:
            raise XMLError("missing name information", domain=c.VIR_FROM_DOMAIN)
        config.uuid = str(self._uuid(config.uuid))
        prepare(
            config, await self.capabilities_of(config), nvram=str(self.places.nvram), spice_tls=self.settings.spice_tls
        )
        return config

    @staticmethod
    def _uuid(text: str | None) -> UUID:
        if text is None:
            return uuid4()
        try:
            return UUID(text.strip())
        except ValueError:
            raise InternalError("malformed uuid element", domain=c.VIR_FROM_DOMAIN) from None

    def _match(self, config: DomainXML) -> QemuDomain | None:
        """The guest that a configuration speaks of; DomainExists when name and UUID are not both its own."""
        clash = functools.partial(DomainExists, domain=c.VIR_FROM_DOMAIN)
        return self.guests.match("domain", str(config.name), UUID(config.uuid), clash)

    async def domain_by_name(self, name: str) -> QemuDomain:
        """The guest of that name."""
        found = self.guests.by_name(name)
        if found is None:
            raise NoDomain(f"no domain with matching name '{name}'", domain=QEMU)
        return found

    async def domain_by_uuid(self, uuid: UUID) -> QemuDomain:
        """The guest of that UUID."""
        found = self.guests.by_uuid(uuid)
        if found is None:
            raise NoDomain(f"no domain with matching uuid '{uuid}'", domain=QEMU)
        return found

    async def domain_by_id(self, id: int) -> QemuDomain:
        """The running guest of that number."""
        found = self.guests.by_id(id)
        if found is None:
            raise NoDomain(f"no domain with matching id {id}", domain=QEMU)
        return found

    def number(self, guest: QemuDomain) -> None:
        """Give a guest the next number."""
        self._last_id += 1
        self.take_number(guest, self._last_id)

    def take_number(self, guest: QemuDomain, id: int) -> None:
        """Give a guest the number that it has already."""
        guest.id = id
        self._last_id = max(self._last_id, id)
        self.guests.number(guest, id)

    def unnumber(self, guest: QemuDomain) -> None:
        """Take its number from a guest that has ended."""
        self.guests.unnumber(guest.id)
        guest.id = -1

    def forget(self, guest: QemuDomain) -> None:
        """Drop a guest of which nothing is left."""
        self.guests.remove(guest)

    def background(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Do something beside the calls; `close` waits for it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("work in the background failed", exc_info=error)
