"""A device of a running guest as commands to its monitor: what brings it about, and what undoes that."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from splitvirt.api import constants as c
from splitvirt.api.errors import OperationUnsupported, VirtError
from splitvirt.xml.devices.channel import Channel
from splitvirt.xml.devices.console import Console
from splitvirt.xml.devices.controller import Controller
from splitvirt.xml.devices.disk import Disk
from splitvirt.xml.devices.hostdev import Hostdev, ScsiHostdev
from splitvirt.xml.devices.input import Input
from splitvirt.xml.devices.interface import Interface
from splitvirt.xml.devices.memory import MemoryDevice
from splitvirt.xml.devices.redirdev import Redirdev
from splitvirt.xml.devices.rng import Rng
from splitvirt.xml.devices.serial import Serial
from splitvirt.xml.devices.shmem import Shmem
from splitvirt.xml.devices.watchdog import Watchdog
from virtqemud.argv.devices.blockdev import Chain, chain_of
from virtqemud.argv.devices.channel import channel
from virtqemud.argv.devices.console import console
from virtqemud.argv.devices.controller import controller
from virtqemud.argv.devices.disk import disk
from virtqemud.argv.devices.hostdev import hostdev, scsi_backend
from virtqemud.argv.devices.input import input_
from virtqemud.argv.devices.interface import interface
from virtqemud.argv.devices.memory import memory
from virtqemud.argv.devices.redirdev import redirdev
from virtqemud.argv.devices.rng import rng
from virtqemud.argv.devices.serial import serial
from virtqemud.argv.devices.shmem import shmem
from virtqemud.argv.devices.watchdog import watchdog
from virtqemud.argv.parts import Parts, plain
from virtqemud.running.monitor import CommandError

if TYPE_CHECKING:
    from virtqemud.argv.context import Context
    from virtqemud.running.monitor import Monitor

QEMU = c.VIR_FROM_QEMU
NOTHING: Mapping[str, int] = {}
FD_KEYS = {"fd", "fds", "vhostfd", "vhostfds"}


class Step(NamedTuple):
    """A command with its arguments, and the one that undoes it; the guest itself lets go of a device."""

    command: str
    arguments: dict[str, Any]
    undo: str
    undo_arguments: dict[str, Any]
    fd: int = -1
    """A descriptor that goes along with the command."""


def parts_of(device: Any, ctx: Context) -> Parts:
    """What a device needs. OperationUnsupported for a kind that cannot come while the guest runs."""
    if isinstance(device, Disk):
        return disk(device, ctx, None if device.empty else chain(device, ctx), None)
    if isinstance(device, ScsiHostdev):
        return hostdev(device, ctx, None, scsi_backend(device, ctx, ctx.next_node()))
    if isinstance(device, Hostdev):
        return hostdev(device, ctx, None)
    if isinstance(device, Redirdev):
        return redirdev(device, ctx, None)
    builders: dict[type, Callable[..., Parts]] = {
        Interface: interface, Rng: rng, Input: input_, Watchdog: watchdog, Shmem: shmem, MemoryDevice: memory,
        Controller: controller, Channel: channel, Console: console, Serial: serial,
    }  # fmt: skip
    for kind, build in builders.items():
        if isinstance(device, kind):
            return build(device, ctx)
    raise OperationUnsupported(f"live attach of device '{device.TAG}' is not supported", domain=QEMU)


def chain(device: Disk, ctx: Context) -> Chain:
    """The block nodes of a disk's images: under the numbers that they have, else under new ones."""
    images = chain_of(device)
    for image in images:
        image.source.index = image.source.index or ctx.next_node()
    return Chain(device, [image.source.index for image in images], ctx)


def steps(parts: Parts, sockets: Mapping[str, int] = NOTHING) -> Iterator[Step]:
    """Arguments of a command line, as commands; descriptors among them are handed over under names first.

    `sockets` are descriptors of sockets that listen already, by their paths.
    """
    names = {fd: f"fd-{secrets.token_hex(4)}-{fd}" for fd in (*parts.fds, *sockets.values())}
    for fd, name in names.items():
        yield Step("getfd", {"fdname": name}, "closefd", {"fdname": name}, fd)
    words = iter(parts.args)
    for option, value in zip(words, words, strict=True):
        if option == "-chardev":
            about = chardev_arguments(value)
            data = about["backend"]["data"]
            path = data.get("addr", {}).get("data", {}).get("path")
            if path in sockets:
                data["addr"] = {"type": "fd", "data": {"str": names[sockets[path]]}}
            yield Step("chardev-add", about, "chardev-remove", {"id": about["id"]})
            continue
        if not value.startswith("{"):
            raise OperationUnsupported(f"'{option} {value}' cannot be told to a running guest", domain=QEMU)
        about = json.loads(value)
        match option:
            case "-blockdev":
                yield Step("blockdev-add", about, "blockdev-del", {"node-name": about["node-name"]})
            case "-object":
                yield Step("object-add", about, "object-del", {"id": about["id"]})
            case "-netdev":
                for key in FD_KEYS & about.keys() if names else ():
                    about[key] = ":".join(names[int(fd)] for fd in about[key].split(":"))
                yield Step("netdev_add", about, "netdev_del", {"id": about["id"]})
            case "-device":
                yield Step("device_add", about, "device_del", {"id": about["id"]})
            case _:
                raise OperationUnsupported(f"'{option}' cannot be told to a running guest", domain=QEMU)


def chardev_arguments(line: str) -> dict[str, Any]:
    """`-chardev` as arguments of QMP's chardev-add (QEMU's qapi/char.json)."""
    head, *pairs = (word.replace("\0", ",") for word in line.replace(",,", "\0").split(","))
    given: dict[str, Any] = dict(pair.split("=", 1) for pair in pairs)
    on = {name: value == "on" for name, value in given.items() if value in ("on", "off")}
    log = {"logfile": given.get("logfile"), "logappend": on.get("logappend")}
    match head:
        case "socket":
            data = _socket(given, on)
        case "udp":
            data = {"remote": _inet(given["host"] or "localhost", given["port"])}
            if given.get("localaddr") or given.get("localport", "0") != "0":
                data["local"] = _inet(given.get("localaddr", ""), given.get("localport", "0"))
        case "file":
            data = {"out": given["path"], "append": on.get("append")}
        case "pipe" | "serial" | "parallel":
            data = {"device": given["path"]}
        case "spicevmc":
            data = {"type": given["name"]}
        case "spiceport":
            data = {"fqdn": given["name"]}
        case "null" | "pty" | "stdio" | "vc":
            data = {}
        case _:
            raise OperationUnsupported(f"a chardev '{head}' cannot be told to a running guest", domain=QEMU)
    return {"id": given["id"], "backend": {"type": head, "data": plain(data | log)}}


def _socket(given: dict[str, Any], on: dict[str, bool]) -> dict[str, Any]:
    unix = {"type": "unix", "data": {"path": given.get("path")}}
    again = int(given["reconnect"]) if "reconnect" in given else None
    return {
        "addr": unix if "path" in given else _inet(given["host"], given["port"]),
        "server": on.get("server", False), "wait": on.get("wait"), "telnet": on.get("telnet"), "reconnect": again,
        "tls-creds": given.get("tls-creds"),
    }  # fmt: skip


def _inet(host: str, port: str) -> dict[str, Any]:
    return {"type": "inet", "data": {"host": host, "port": port}}


async def bring(monitor: Monitor, wanted: list[Step]) -> None:
    """Do every step; when one fails, those before it are undone."""
    done: list[Step] = []
    try:
        for step in wanted:
            if step.fd >= 0:
                monitor.send_fd(step.fd)
            await monitor.execute(step.command, step.arguments)
            done.append(step)
    except VirtError:
        await take(monitor, done)
        raise


async def take(monitor: Monitor, done: list[Step]) -> None:
    """Undo steps, the last one first; what QEMU has let go of already is no error."""
    for step in reversed(done):
        try:
            await monitor.execute(step.undo, step.undo_arguments)
        except CommandError:
            continue
