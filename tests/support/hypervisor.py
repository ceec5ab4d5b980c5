"""A hypervisor whose domains live in memory and nowhere else: a whole, small implementation of the contract.

Its consoles answer in capitals; what it cannot do answers "not supported".
"""

import asyncio
import contextlib
import os
import re
from typing import Any
from uuid import UUID, uuid4

from splitvirt.api import constants as c
from splitvirt.api.domain import Domain
from splitvirt.api.domain_life import DomainInfo, DomainState
from splitvirt.api.errors import NoDomain, OperationInvalid, VirtError, XMLError
from splitvirt.api.event import Hub
from splitvirt.api.host import NodeInfo
from splitvirt.api.hypervisor import Hypervisor
from splitvirt.api.stream import Stream
from splitvirt.api.types import I32, U32, U64, Fd, Fds, Names2048, OptStr, Str, Uuid


class MemoryDomain(Domain):
    """A domain of it."""

    def __init__(self, root: "MemoryHypervisor", name: str, uuid: UUID, text: str) -> None:
        self.root, self.name, self.uuid, self.id, self.text = root, name, uuid, -1, text
        self.persistent, self.starts_alone = False, False
        self.files: list[bytes] = []
        self.consoles: set[asyncio.Task[None]] = set()

    async def create(self, flags: U32 = 0) -> None:
        if self.id >= 0:
            raise OperationInvalid("domain is already running", domain=c.VIR_FROM_QEMU)
        self.root.last_id += 1
        self.id = self.root.last_id
        self.root.events.emit(Domain.lifecycle, self, c.VIR_DOMAIN_EVENT_STARTED, c.VIR_DOMAIN_EVENT_STARTED_BOOTED)

    async def create_with_files(self, files: Fds, flags: U32 = 0) -> None:
        self.files = [os.read(fd, 100) for fd in files]
        await self.create(flags)

    async def destroy(self, flags: U32 = 0) -> None:
        if self.id < 0:
            raise OperationInvalid("domain is not running", domain=c.VIR_FROM_QEMU)
        self.id = -1
        self.root.events.emit(Domain.lifecycle, self, c.VIR_DOMAIN_EVENT_STOPPED, c.VIR_DOMAIN_EVENT_STOPPED_DESTROYED)
        if not self.persistent:
            self.root.all.remove(self)

    async def reboot(self, flags: U32 = 0) -> None:
        self.root.events.emit(Domain.rebooted, self)

    async def undefine(self, flags: U32 = 0) -> None:
        self.persistent = False
        if self.id < 0:
            self.root.all.remove(self)

    async def state(self, flags: U32 = 0) -> DomainState:
        return DomainState(c.VIR_DOMAIN_RUNNING if self.id >= 0 else c.VIR_DOMAIN_SHUTOFF, 1)

    async def info(self) -> DomainInfo:
        return DomainInfo(state=(await self.state()).state, max_memory=65536, memory=65536, vcpus=1, cpu_time=5 * 10**9)

    async def xml(self, flags: U32 = 0) -> Str:
        return self.text

    async def os_type(self) -> Str:
        return "hvm"

    async def is_active(self) -> bool:
        return self.id >= 0

    async def is_persistent(self) -> bool:
        return self.persistent

    async def autostart(self) -> bool:
        return self.starts_alone

    async def set_autostart(self, autostart: bool) -> None:
        self.starts_alone = autostart

    async def messages(self, types: U32 = 0) -> Names2048:
        return []

    async def monitor_command(self, command: Str, flags: U32 = 0) -> Str:
        if command == "wait":
            self.root.waiting.set()
            await self.root.let_go.wait()
        return f"you said {command}"

    async def open_console(self, device: OptStr, flags: U32, stream: Stream) -> None:
        task = asyncio.get_running_loop().create_task(self._capitals(stream))
        self.consoles.add(task)
        task.add_done_callback(self.consoles.discard)

    async def _capitals(self, stream: Stream) -> None:
        with contextlib.suppress(VirtError):  # the client went, or was rude
            await stream.write(b"welcome\r\n")
            while data := await stream.read():
                await stream.write(data.upper())
                if b"q" in data:
                    break
            await stream.finish()

    async def screenshot(self, screen: U32, flags: U32, stream: Stream) -> OptStr:
        task = asyncio.get_running_loop().create_task(self._picture(stream))
        self.consoles.add(task)
        task.add_done_callback(self.consoles.discard)
        return "image/x-portable-pixmap"

    async def _picture(self, stream: Stream) -> None:
        with contextlib.suppress(VirtError):
            await stream.write(b"P6 640 480 255\n" + bytes(640 * 480 * 3))
            await stream.finish()

    async def open_graphics_fd(self, index: U32, flags: U32 = 0) -> Fd:
        read, write = os.pipe()
        os.write(write, b"graphics")
        os.close(write)
        return read


class MemoryHypervisor(Hypervisor):
    """The hypervisor."""

    def __init__(self, uri: str = "qemu:///system") -> None:
        self.events = Hub()
        self.all: list[MemoryDomain] = []
        self.last_id = 0
        self.waiting, self.let_go = asyncio.Event(), asyncio.Event()
        self._uri = uri

    async def type(self) -> Str:
        return "QEMU"

    async def version(self) -> U64:
        return 7002009

    async def lib_version(self) -> U64:
        return 9000000

    async def hostname(self) -> Str:
        return "memory.example"

    async def uri(self) -> Str:
        return self._uri

    async def is_secure(self) -> bool:
        return True

    async def node_info(self) -> NodeInfo:
        return NodeInfo("x86_64", 4096 * 1024, 4, 2000, 1, 1, 4, 1)

    async def capabilities(self) -> Str:
        return "<capabilities>\n</capabilities>\n"

    def _parse(self, xml: str) -> MemoryDomain:
        name = re.search(r"<name>([^<]+)</name>", xml)
        if name is None:
            raise XMLError("missing domain name")
        for domain in self.all:
            if domain.name == name.group(1):
                domain.text = xml
                return domain
        uuid = re.search(r"<uuid>([^<]+)</uuid>", xml)
        made = MemoryDomain(self, name.group(1), UUID(uuid.group(1)) if uuid else uuid4(), xml)
        self.all.append(made)
        return made

    async def define(self, xml: Str, flags: U32 = 0) -> Domain:
        domain = self._parse(xml)
        domain.persistent = True
        self.events.emit(Domain.lifecycle, domain, c.VIR_DOMAIN_EVENT_DEFINED, c.VIR_DOMAIN_EVENT_DEFINED_ADDED)
        return domain

    async def create(self, xml: Str, flags: U32 = 0) -> Domain:
        domain = self._parse(xml)
        await domain.create(flags)
        return domain

    async def create_with_files(self, xml: Str, files: Fds, flags: U32 = 0) -> Domain:
        domain = self._parse(xml)
        await domain.create_with_files(files, flags)
        return domain

    async def domain_by_name(self, name: Str) -> Domain:
        return self._find(lambda domain: domain.name == name, f"no domain with matching name '{name}'")

    async def domain_by_uuid(self, uuid: Uuid) -> Domain:
        return self._find(lambda domain: domain.uuid == uuid, f"no domain with matching uuid '{uuid}'")

    async def domain_by_id(self, id: I32) -> Domain:
        return self._find(lambda domain: domain.id == id, f"no domain with matching id {id}")

    def _find(self, matches: Any, complaint: str) -> MemoryDomain:
        for domain in self.all:
            if matches(domain):
                return domain
        raise NoDomain(complaint, domain=c.VIR_FROM_QEMU)

    async def domains(self, flags: U32 = 0) -> list[Domain]:
        both = c.VIR_CONNECT_LIST_DOMAINS_ACTIVE | c.VIR_CONNECT_LIST_DOMAINS_INACTIVE
        wanted = flags & both or both
        return [
            domain
            for domain in self.all
            if wanted & (c.VIR_CONNECT_LIST_DOMAINS_ACTIVE if domain.id >= 0 else c.VIR_CONNECT_LIST_DOMAINS_INACTIVE)
        ]
