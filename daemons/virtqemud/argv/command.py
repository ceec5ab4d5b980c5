"""A guest as a QEMU command line."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from splitvirt.api.constants import VIR_FROM_STORAGE
from splitvirt.api.errors import ConfigUnsupported, InternalError, InvalidArg
from splitvirt.xml.devices.backingstore import BackingStore
from splitvirt.xml.devices.disk import Disk
from splitvirt.xml.devices.hostdev import PciHostdev, ScsiHostdev
from splitvirt.xml.devices.source import HostAddress
from splitvirt.xml.domain import Domain

from .context import Context
from .devices.audio import audio
from .devices.audio import environment as speaker
from .devices.blockdev import Chain, chain_of, layout
from .devices.channel import channel
from .devices.console import console
from .devices.controller import controllers, globals_of_root
from .devices.crypto import crypto
from .devices.disk import disk, floppy_controller
from .devices.filesystem import filesystem
from .devices.graphics import check as check_screens
from .devices.graphics import environment as window
from .devices.graphics import graphics
from .devices.hostdev import hostdev, scsi_backend
from .devices.hub import hub
from .devices.input import input_
from .devices.interface import interface
from .devices.iommu import iommu
from .devices.memballoon import memballoon
from .devices.memory import memory as memory_device
from .devices.panic import panic
from .devices.parallel import parallel
from .devices.properties import boot_order
from .devices.redirdev import redirdev
from .devices.rng import rng
from .devices.serial import serial
from .devices.shmem import shmem
from .devices.smartcard import smartcard
from .devices.sound import sound
from .devices.tpm import tpm
from .devices.video import video
from .devices.vsock import vsock
from .devices.watchdog import action, watchdog
from .machine import board, boot, clock, cpu, memory, override, vcpus
from .machine.firmware import firmware, flash, loader
from .parts import Parts, options

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass
class Command:
    """How to start a guest: the arguments (the emulator first), variables to set, and what must be made before."""

    argv: list[str]
    env: dict[str, str]
    needs: Parts = field(default_factory=Parts)

    @property
    def fds(self) -> list[int]:
        """Open descriptors that QEMU inherits under the same number."""
        return self.needs.fds

    def text(self) -> str:
        """One line for a shell, as libvirt prints it."""
        return " ".join([f"{k}={quote(v)}" for k, v in self.env.items()] + [quote(a) for a in self.argv])


def quote(argument: str) -> str:
    """As a shell reads it, with quotes only where they are needed."""
    plain = all(c.isalnum() or c in "+-/=.,_:~@%^[]" for c in argument) and argument
    return argument if plain else shlex.quote(argument)


def build(domain: Domain, ctx: Context) -> Command:
    """The command line of a prepared guest. Raises VirtError for what cannot run here."""
    needs = Parts()
    storage = Storage(ctx)  # first: where a secret or pool is missing, nothing else matters
    board.check(ctx)
    check_screens(ctx)
    cpu.check(ctx)
    memory.check(ctx)
    for part in sequence(ctx, storage):
        needs += part
    override.apply(needs.args, domain)
    emulator = domain.devices.emulator or ctx.caps.emulator
    return Command([emulator, *needs.args, *override.arguments(domain)], environment(ctx), needs)


def environment(ctx: Context) -> dict[str, str]:
    """libvirt's variables for a printed command line, the caller's for a start; then the guest's own."""
    env = dict(ctx.env)
    if ctx.native:
        home = ctx.folder
        env = {
            "LC_ALL": "C", "PATH": SYSTEM_PATH, "HOME": home, "XDG_DATA_HOME": f"{home}/.local/share",
            "XDG_CACHE_HOME": f"{home}/.cache", "XDG_CONFIG_HOME": f"{home}/.config",
        }  # fmt: skip
    env |= clock.environment(ctx)
    for screen in ctx.domain.devices.graphics:
        env |= window(screen, ctx.settings)
    for sink in ctx.domain.devices.audios:
        env |= speaker(sink)
    return env | override.environment(ctx.domain)


def sequence(ctx: Context, storage: "Storage") -> Iterator[Parts]:
    """All parts, in libvirt's order: what others refer to comes first."""
    domain = ctx.domain
    found = firmware(ctx)
    images, nodes = flash(found, ctx)
    yield identity(ctx)
    yield override.compatibility(domain, ctx.settings.deprecation)
    yield from (persistent_reservations(ctx), images)
    yield board.machine(ctx, nodes, smm=bool(found and found.smm))
    yield from (board.accelerator(ctx), board.tseg(ctx), cpu.cpu(ctx), loader(found), memory.size(ctx))
    yield from (vcpus.smp(ctx), vcpus.iothreads(ctx), memory.nodes(ctx))
    yield Parts(["-uuid", domain.uuid or ""])
    yield from (boot.smbios(ctx), boot.firmware_configuration(ctx), boot.generation(ctx))
    if not domain.devices.graphics:
        yield Parts(["-display", "none"])
    yield Parts(["-no-user-config", "-nodefaults"])
    yield monitor(ctx)
    yield from (clock.clock(ctx), boot.power(ctx), boot.boot(ctx))
    yield from devices(ctx, storage)
    yield from (boot.crash_information(ctx), board.sandbox(ctx), board.security(ctx))
    if ctx.incoming:
        yield Parts(["-incoming", ctx.incoming])
    if ctx.settings.log_timestamp:
        yield Parts(["-msg", "timestamp=on"])


def identity(ctx: Context) -> Parts:
    """Name, that the CPUs wait, and the key that secrets could be encrypted with."""
    parts = Parts()
    process = f"qemu:{ctx.name}" if ctx.settings.process_name else None
    parts.add("-name", options(guest=ctx.name, process=process, debug_threads=True))
    if ctx.paused:
        parts.add("-S")
    path = f"{ctx.folder}/master-key.aes"
    parts.object("secret", "masterKey0", format="raw", file=path)
    if not ctx.native:
        parts.files[path] = ctx.master_key
    return parts


def persistent_reservations(ctx: Context) -> Parts:
    """The managed helper for SCSI reservations, which is shared by all disks."""
    parts = Parts()
    sources = (image.source for d in ctx.domain.devices.disks for image in chain_of(d))
    if any(s is not None and s.reservations and s.reservations.managed for s in sources):
        parts.object("pr-manager-helper", "pr-helper0", path=f"{ctx.folder}/pr-helper0.sock")
    return parts


def monitor(ctx: Context) -> Parts:
    """The QMP monitor, at a socket that the driver listens on where it has made one."""
    parts = Parts()
    if ctx.monitor_fd is not None:
        where: dict[str, Any] = {"fd": ctx.monitor_fd}  # not in `fds`: it stays the driver's own
    else:
        where = {"path": f"{ctx.folder}/monitor.sock"}
    parts.add("-chardev", options("socket", id="charmonitor", **where, server=True, wait=False))
    parts.add("-mon", options(chardev="charmonitor", id="monitor", mode="control"))
    return parts


def devices(ctx: Context, storage: "Storage") -> Iterator[Parts]:
    """All devices, those first that others sit on."""
    found, order = ctx.domain.devices, boot_order(ctx.domain)
    index = order.get
    if found.iommu:
        yield iommu(found.iommu, ctx)
    yield from (globals_of_root(ctx), controllers(ctx))
    yield from (memory_device(d, ctx) for d in found.memories)
    yield from (hub(d, ctx) for d in found.hubs)
    yield floppy_controller(ctx, order)
    yield from (disk(d, ctx, storage.chains.get(id(d)), index(id(d))) for d in sorted_disks(found.disks))
    yield from (filesystem(d, ctx, index(id(d))) for d in found.filesystems)
    yield from (interface(d, ctx, index(id(d))) for d in found.interfaces)
    yield from (smartcard(d, ctx) for d in found.smartcards)
    yield from (serial(d, ctx) for d in found.serials)
    yield from (parallel(d, ctx) for d in found.parallels)
    yield from (channel(d, ctx) for d in found.channels)
    yield from (console(d, ctx) for d in found.consoles)
    yield from (tpm(d, ctx) for d in found.tpms)
    yield from (input_(d, ctx) for d in found.inputs)
    yield from (audio(d, ctx) for d in found.audios)
    yield from (graphics(d, ctx) for d in found.graphics)
    yield from (video(d, ctx) for d in found.videos)
    yield from (sound(d, ctx) for d in found.sounds)
    yield from (watchdog(d, ctx) for d in found.watchdogs)
    yield from (action(d) for d in found.watchdogs[:1])
    yield from (redirdev(d, ctx, index(id(d))) for d in found.redirdevs)
    yield from (hostdev(d, ctx, index(id(d)), storage.backends.get(id(d))) for d in found.hostdevs)
    yield from (memballoon(d, ctx) for d in (found.memballoon,) if d)
    yield from (rng(d, ctx) for d in found.rngs)
    yield from (panic(d, ctx) for d in found.panics)
    yield from (shmem(d, ctx) for d in found.shmems)
    yield from (crypto(d, ctx) for d in found.cryptos)
    yield from (vsock(d, ctx) for d in (found.vsock,) if d)


def sorted_disks(disks: list[Any]) -> list[Any]:
    """SD cards go last; disks that share their backing image come after the start."""
    return sorted((d for d in disks if not d.share_backing), key=lambda d: d.bus == "sd")


def note_end(disk: Disk, ctx: Context) -> None:
    """Say in a running guest that nothing lies below a format that cannot have anything there."""
    last = chain_of(disk)[-1]
    if not ctx.native and last.backing is None and layout(last)[0] == "raw":
        last.backing = BackingStore()
        last.backing.detected = True


def place_of(address: Any) -> dict[str, int]:
    """The numbers of a PCI address."""
    return dict(zip(("domain", "bus", "slot", "function"), address.place, strict=True))


class Storage:
    """The block nodes of all disks and SCSI devices, by id() of the device.

    Disks are numbered from the last to the first, each from its top image down; empty drives have a number too.
    """

    def __init__(self, ctx: Context) -> None:
        self.chains: dict[int, Chain] = {}
        self.backends: dict[int, Parts] = {}
        check_descriptors(ctx)
        for each in reversed(ctx.domain.devices.disks):
            if each.bus == "sd" or each.type == "vhostuser":
                continue
            if each.transient and not ctx.native:
                raise ConfigUnsupported("transient disk not supported by this QEMU binary")
            numbers = [ctx.next_node() for _ in chain_of(each)]
            for image, number in zip(chain_of(each), numbers, strict=True):
                if image.source is not None and not ctx.native:
                    image.source.index = number
            if not each.empty:
                self.chains[id(each)] = Chain(each, numbers, ctx)
                note_end(each, ctx)
        numbered = [(d, ctx.next_node()) for d in ctx.domain.devices.hostdevs if isinstance(d, ScsiHostdev)]
        for host, number in sorted(numbered, key=lambda pair: pair[0].protocol != "iscsi"):
            self.backends[id(host)] = scsi_backend(host, ctx, number)


def check_descriptors(ctx: Context) -> None:
    """Raise InvalidArg for an image behind descriptors that no client has handed in."""
    for each in reversed(ctx.domain.devices.disks):
        for image in chain_of(each):
            group = getattr(image.source, "fdgroup", None)
            if group:
                raise InvalidArg(
                    f"file descriptor group '{group}' was not associated with the domain", domain=VIR_FROM_STORAGE
                )


def plain_interfaces(domain: Domain) -> None:
    """What libvirt does before it prints a command line: every interface becomes a plain tap.

    Kept are model, MAC and script; addresses are to be assigned anew. A function of the host's is a device of its own
    besides. Raises InternalError, as libvirt does, for one that has no model.
    """
    from splitvirt.xml.devices.interface import Interface

    if any(d.model is None for d in domain.devices.interfaces):
        raise InternalError("argument key 'driver' must not have null value")
    domain.devices.hostdevs += [
        PciHostdev(managed=d.managed or False, driver=d.hostdev_driver, host=HostAddress(**place_of(d.host_address)))
        for d in domain.devices.interfaces
        if d.type == "hostdev"
    ]
    domain.devices.interfaces = [
        Interface(type="ethernet", mac=d.mac, model=d.model, script=d.script) for d in domain.devices.interfaces
    ]
