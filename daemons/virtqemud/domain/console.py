"""Consoles, channels, screens and keyboards."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from splitvirt.api import constants as c
from splitvirt.api.errors import InternalError, OperationFailed, OperationInvalid, SystemError_, VirtError
from splitvirt.api.stream import Stream
from splitvirt.host import unix
from splitvirt.xml.devices.channel import Channel
from splitvirt.xml.devices.chardev import Chardev
from splitvirt.xml.devices.console import Console
from splitvirt.xml.devices.graphics import Graphics
from splitvirt.xml.devices.parallel import Parallel
from splitvirt.xml.devices.serial import Serial
from splitvirt.xml.devices.video import Video
from splitvirt.xml.domain import Domain as DomainXML
from virtqemud import devicelist
from virtqemud.flags import only
from virtqemud.running.monitor import CommandError
from virtqemud.running.pump import Pump

from .keycodes import to_qnum
from .tools import Tools

if TYPE_CHECKING:
    from virtqemud.running.monitor import Monitor

QEMU = c.VIR_FROM_QEMU
PTYS = range(136, 144)
"""Major numbers of the terminals in /dev/pts (the kernel's admin-guide/devices)."""


class Consoles(Tools):
    """What people see and touch."""

    def learn_chardevs(self, live: DomainXML, chardevs: dict[str, Any]) -> None:
        """Note the ptys that QEMU opened, in the running configuration."""
        for device in devicelist.every(live):
            if isinstance(device, Chardev) and device.type == "pty":
                about = chardevs.get(f"char{getattr(device, 'alias', None)}")
                name = str(about["filename"]) if about else ""
                if name.startswith("pty:"):
                    device.source.path = name.removeprefix("pty:")
                    if isinstance(device, Console):
                        device.tty = device.source.path
        for channel in devicelist.of(live, Channel):
            about = chardevs.get(f"char{channel.alias}")
            if about and channel.target_type == "virtio":
                self.port_changed(str(channel.alias), bool(about.get("frontend-open")), starting=True)

    async def open_console(self, device: str | None, flags: int, stream: Stream) -> None:
        """Connect a stream to a console or serial port."""
        only(flags, c.VIR_DOMAIN_CONSOLE_FORCE | c.VIR_DOMAIN_CONSOLE_SAFE, "qemuDomainOpenConsole")
        self.running()
        assert self.live
        found: list[Chardev] = []
        for kind in (Console, Serial, Parallel):
            found += devicelist.of(self.live, kind)
        picked = next((d for d in found if device is None or getattr(d, "alias", None) == device), None)
        if picked is None:
            raise InternalError(f"cannot find character device {device or '(null)'}", domain=QEMU)
        await self._connect(picked, bool(flags & c.VIR_DOMAIN_CONSOLE_FORCE), stream)

    async def open_channel(self, name: str | None, flags: int, stream: Stream) -> None:
        """Connect a stream to a channel."""
        only(flags, c.VIR_DOMAIN_CHANNEL_FORCE, "qemuDomainOpenChannel")
        self.running()
        assert self.live
        channels = devicelist.of(self.live, Channel)
        picked = next((ch for ch in channels if name is None or name in (ch.target_name, ch.alias)), None)
        if picked is None:
            raise InternalError(f"cannot find channel {name or '(null)'}", domain=QEMU)
        await self._connect(picked, bool(flags & c.VIR_DOMAIN_CHANNEL_FORCE), stream)

    async def _connect(self, device: Chardev, force: bool, stream: Stream) -> None:
        path = device.sources[0].path if device.sources else None
        alias = str(getattr(device, "alias", None))
        if device.type not in ("pty", "unix") or not path:
            raise InternalError(f"character device {alias} is not using a PTY or UNIX socket", domain=QEMU)
        busy = self.consoles.get(path)
        if busy is not None and busy.running:
            if not force:
                raise OperationFailed("Active console session exists for this domain", domain=QEMU)
            busy.close(OperationFailed("another session took the console over", domain=QEMU))
        try:
            if device.type == "pty":
                who = self.driver.security.identity(self.live) if self.live is not None else None
                fd = _terminal(path, None if who is None else who.uid)
            else:
                fd = unix.connect(Path(path), follow=False).detach()
        except OSError as error:
            raise SystemError_(f"Failed to open {path}: {error.strerror}", domain=QEMU) from error
        self.consoles[path] = pump = Pump(fd, stream)
        pump.start(self.driver.background)

    async def open_graphics_fd(self, index: int, flags: int = 0) -> int:
        """A socket connected to a graphics server."""
        import socket

        only(flags, c.VIR_DOMAIN_OPEN_GRAPHICS_SKIPAUTH, "qemuDomainOpenGraphicsFD")
        ours, theirs = socket.socketpair()
        with ours, theirs:
            await self._hand_graphics(index, theirs.fileno(), flags)
            return ours.detach()

    async def open_graphics(self, index: int, file: int, flags: int = 0) -> None:
        """Connect the caller's socket to a graphics server."""
        only(flags, c.VIR_DOMAIN_OPEN_GRAPHICS_SKIPAUTH, "qemuDomainOpenGraphics")
        await self._hand_graphics(index, file, flags)

    async def _hand_graphics(self, index: int, fd: int, flags: int) -> None:
        async with self.job.hold("open_graphics"):
            monitor = self.running().monitor
            assert self.live
            screens = devicelist.of(self.live, Graphics)
            if index >= len(screens):
                raise InternalError(f"No graphics backend with index {index}", domain=QEMU)
            if screens[index].type not in ("vnc", "spice"):
                raise InternalError(
                    f"Can only open VNC or SPICE graphics backends, not {screens[index].type}", domain=QEMU
                )
            monitor.send_fd(fd)
            await monitor.execute("getfd", {"fdname": "graphicsfd"})
            skip = bool(flags & c.VIR_DOMAIN_OPEN_GRAPHICS_SKIPAUTH)
            try:
                await monitor.execute(
                    "add_client", {"protocol": screens[index].type, "fdname": "graphicsfd", "skipauth": skip}
                )
            except CommandError:
                with contextlib.suppress(VirtError):
                    await monitor.execute("closefd", {"fdname": "graphicsfd"})
                raise

    async def screenshot(self, screen: int, flags: int, stream: Stream) -> str | None:
        """Send a picture of a screen down the stream."""
        only(flags, 0, "qemuDomainScreenshot")
        async with self.job.hold("screenshot"):
            guest = self.running()
            assert self.live
            videos = [video for video in devicelist.of(self.live, Video) if video.model != "none"]
            if not videos:
                raise OperationInvalid("no screens to take screenshot from", domain=QEMU)
            if screen >= sum(video.heads or 1 for video in videos):
                raise OperationInvalid("no such screen ID", domain=QEMU)
            arguments: dict[str, Any] = {}
            if screen:
                arguments |= {"device": videos[min(screen, len(videos) - 1)].alias, "head": 0}
            png = (await self.driver.capabilities_of(self.live)).schema("screendump/format")
            if png:
                arguments["format"] = "png"
            data = await _picture(guest.monitor, arguments)
        self.driver.background(_send(stream, data))
        return "image/png" if png else "image/x-portable-pixmap"

    async def send_key(self, codeset: int, holdtime: int, keycodes: list[int], flags: int = 0) -> None:
        """Press keys together for `holdtime` ms."""
        only(flags, 0, "qemuDomainSendKey")
        keys = [{"type": "number", "data": to_qnum(codeset, code)} for code in keycodes]
        async with self.job.hold("send_key"):
            arguments: dict[str, Any] = {"keys": keys}
            if holdtime:
                arguments["hold-time"] = holdtime
            await self.running().monitor.execute("send-key", arguments)


def _terminal(path: str, owner: int | None) -> int:
    """A guest's pseudo-terminal, open. QEMU itself told where it is: PermissionError for anything else.

    `owner` is the guest's user, where it has one of its own.
    """
    found = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        about = os.fstat(found)
        terminal = stat.S_ISCHR(about.st_mode) and os.major(about.st_rdev) in PTYS
        if not terminal or owner not in (None, about.st_uid):
            raise PermissionError(errno.EPERM, "it is no terminal of the guest's", path)
        return os.open(f"/proc/self/fd/{found}", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    finally:
        os.close(found)


async def _picture(monitor: Monitor, arguments: dict[str, Any]) -> bytes:
    """What `screendump` writes, into memory that QEMU gets open: a path of its own choice could lead us anywhere."""
    memory = os.memfd_create("screenshot")
    try:
        writable = os.open(f"/proc/self/fd/{memory}", os.O_WRONLY | os.O_CLOEXEC)
        try:
            monitor.send_fd(writable)
            lent = await monitor.execute("add-fd", {"opaque": "screenshot"})
        finally:
            os.close(writable)
        try:
            await monitor.execute("screendump", arguments | {"filename": f"/dev/fdset/{lent['fdset-id']}"})
        finally:
            with contextlib.suppress(VirtError):
                await monitor.execute("remove-fd", {"fdset-id": lent["fdset-id"]})
        return os.pread(memory, os.fstat(memory).st_size, 0)
    finally:
        os.close(memory)


async def _send(stream: Stream, data: bytes) -> None:
    try:
        for at in range(0, len(data), 65536):
            await stream.write(data[at : at + 65536])
        await stream.finish()
    except (VirtError, OSError):
        pass  # who asked for it went away
