"""The host's side of network cards: ports, taps and passt processes, for a start and for a card that comes later."""

from __future__ import annotations

import functools
import os
import shutil
import socket
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from splitvirt.api.constants import VIR_FROM_DBUS, VIR_FROM_NONE, VIR_FROM_QEMU
from splitvirt.api.errors import ConfigUnsupported, InternalError, ServiceError, SystemError_, VirtError
from splitvirt.xml.devices.interface import Interface
from virtqemud import devicelist
from virtqemud.argv.context import Tap
from virtqemud.argv.parts import Helper

if TYPE_CHECKING:
    from splitvirt.xml.domain import Domain as DomainXML
    from virtqemud.domain.domain import QemuDomain
    from virtqemud.driver import QemuDriver

    from .resources import Resources

BRIDGE_HELPERS = ("/usr/lib/qemu/qemu-bridge-helper", "/usr/libexec/qemu-bridge-helper")


async def connect(res: Resources) -> None:
    """Open what every card of the guest is plugged into."""
    for card in devicelist.of(res.live, Interface):
        await connect_card(res, card)


async def connect_card(res: Resources, card: Interface) -> None:
    """Open what one card is plugged into."""
    alias, taps = card.alias or "", res.context.taps
    match card.type:
        case "network":
            taps[alias] = await _from_network(res, card)
        case "bridge":
            taps[alias] = _on_bridge(res, card, card.bridge or "")
        case "ethernet":
            taps[alias] = _own_tap(res, card)
        case "direct":
            taps[alias] = _macvtap(res, card)
        case "user" if _wants_passt(res, card):
            res.context.passt_sockets[alias] = await _passt(res, card)


def remember(guest: QemuDomain, live: DomainXML) -> None:
    """Know again what the cards of a guest of an earlier driver are plugged into."""
    for card in devicelist.of(live, Interface):
        if card.type == "network" and card.portid:
            guest.connected[card.alias or ""] = functools.partial(_release, guest.driver, card.portid)
        elif card.type == "direct" and card.target_dev:
            guest.connected[card.alias or ""] = functools.partial(_drop, card.target_dev)


async def _release(driver: QemuDriver, uuid: str) -> None:
    await _give_back(await driver.network_ports(), uuid)


def _queues(card: Interface) -> int:
    return (card.driver.queues if card.driver else None) or 1


def _is_virtio(card: Interface) -> bool:
    return (card.model or "").startswith("virtio")


async def _from_network(res: Resources, card: Interface) -> Tap:
    """A port of a managed network, with its open tap."""
    network = card.network or ""
    asked = "<networkport>\n" + "".join(
        (
            f"  <uuid>{uuid4()}</uuid>\n",
            f"  <owner>\n    <name>{_escape(res.guest.name)}</name>\n    <uuid>{res.guest.uuid}</uuid>\n  </owner>\n",
            f"  <group>{_escape(card.portgroup)}</group>\n" if card.portgroup else "",
            f"  <mac address='{card.mac}'/>\n",
            *(part.to_xml(indent=2) for part in (card.virtualport, card.bandwidth, card.vlan, card.port) if part),
        )
    )
    flags = 0 if _is_virtio(card) else 1
    try:
        ports = await res.driver.network_ports()
        lent = await ports.take(network, asked + "</networkport>\n", _queues(card), flags)
    except (ServiceError, SystemError_) as error:
        raise _unserved(network, error) from error
    res.own(*lent.fds)
    card.target_dev, card.portid = lent.device, lent.uuid
    res.guest.connected[card.alias or ""] = lambda: _give_back(ports, lent.uuid)
    res.guest.hand_over.append(lambda pid: ports.hand_over(lent.uuid, pid))
    return Tap(lent.fds, _vhost(res, card))


def _unserved(network: str, error: VirtError) -> VirtError:
    """The error of a card whose network nobody serves; what a network says itself stays as it is."""
    if error.domain not in (VIR_FROM_NONE, VIR_FROM_DBUS):
        return error
    need = "it takes a message bus and virtnetworkd (systemctl enable --now virtnetworkd.socket)"
    why = str(error).rstrip(".")
    return SystemError_(f"cannot use network '{network}': {why}; {need}, or networks= of embed()", domain=VIR_FROM_QEMU)


async def _give_back(ports: Any, uuid: str) -> None:
    try:
        await ports.release(uuid)
    except VirtError as error:
        import logging

        logging.getLogger(__name__).info("the port %s is not given back: %s", uuid, error)


def _escape(text: str) -> str:
    from splitvirt.xml.tree import escape

    return escape(text)


def _on_bridge(res: Resources, card: Interface, bridge: str) -> Tap:
    """A tap of our own on one of the host's bridges; without the right to that, by QEMU's set-uid helper."""
    from splitvirt.host.netlink import Netlink
    from splitvirt.host.tap import open_tap

    try:
        name, fds = open_tap(card.target_dev or "vnet%d", vnet_hdr=_is_virtio(card), queues=_queues(card))
    except PermissionError:
        return Tap([res.own(_by_helper(res, bridge))])
    except OSError as error:
        raise SystemError_(f"Unable to create tap device: {error.strerror}", domain=VIR_FROM_QEMU) from error
    res.own(*fds)
    card.target_dev = name
    try:
        with Netlink() as link:
            # Not the guest's own address: the bridge would answer for it; and high, so that the bridge keeps its own.
            link.set(name, mac="fe" + (card.mac or "00:00:00:00:00:00")[2:])
            link.set(name, master=bridge)
            link.set(name, up=True)
    except OSError as error:
        raise SystemError_(
            f"Unable to add bridge {bridge} port {name}: {error.strerror}", domain=VIR_FROM_QEMU
        ) from error
    return Tap(fds, _vhost(res, card))


def _by_helper(res: Resources, bridge: str) -> int:
    from splitvirt.host.process import run_blocking

    known = [res.context.settings.bridge_helper] if res.context.settings.bridge_helper else BRIDGE_HELPERS
    helper = next((path for path in known if os.access(path, os.X_OK)), None)
    if helper is None:
        raise ConfigUnsupported(f"no right to make a tap on {bridge}, and no qemu-bridge-helper", domain=VIR_FROM_QEMU)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        os.set_inheritable(theirs.fileno(), True)
        argv = [helper, "--use-vnet", f"--br={bridge}", f"--fd={theirs.fileno()}"]
        done = run_blocking(argv, timeout=10, fds=[theirs.fileno()])
        if done.returncode:
            raise InternalError(f"{helper} --br={bridge}: {done.stderr.strip()}", domain=VIR_FROM_QEMU)
        _, fds, _, _ = socket.recv_fds(ours, 16, 1)
    return fds[0]


def _own_tap(res: Resources, card: Interface) -> Tap:
    """A tap that nobody joins to anything but the script that the card names."""
    from splitvirt.host.netlink import Netlink
    from splitvirt.host.tap import open_tap

    try:
        name, fds = open_tap(card.target_dev or "vnet%d", vnet_hdr=_is_virtio(card), queues=_queues(card))
    except OSError as error:
        raise SystemError_(f"Unable to create tap device {card.target_dev or ''}: {error.strerror}", domain=VIR_FROM_QEMU) from error  # fmt: skip  # noqa: E501
    res.own(*fds)
    card.target_dev = name
    if card.target_managed is not False:
        with Netlink() as link:
            link.set(name, mac=card.mac)
            link.set(name, up=card.link != "down")
    if card.script:
        res.helpers_before.append(Helper("script", [card.script, name]))
    return Tap(fds, _vhost(res, card))


def _macvtap(res: Resources, card: Interface) -> Tap:
    """A macvtap on one of the host's interfaces."""
    from splitvirt.host.netlink import Netlink
    from splitvirt.host.tap import open_macvtap

    with Netlink() as link:
        taken = {entry.name for entry in link.links()}
        name = next(f"macvtap{n}" for n in range(len(taken) + 1) if f"macvtap{n}" not in taken)
        try:
            link.add_macvtap(name, card.source_dev or "", card.mode or "vepa", card.mac)
            res.guest.connected[card.alias or ""] = lambda: _drop(name)
            link.set(name, up=True)
            fds = open_macvtap(name, link.index(name), vnet_hdr=_is_virtio(card), queues=_queues(card))
            res.own(*fds)
        except OSError as error:
            words = f"cannot create macvtap on {card.source_dev}: {error.strerror}"
            raise SystemError_(words, domain=VIR_FROM_QEMU) from error
    card.target_dev = name
    return Tap(fds, _vhost(res, card))


async def _drop(name: str) -> None:
    from splitvirt.host.netlink import Netlink

    with Netlink() as link:
        link.delete(name)


def _vhost(res: Resources, card: Interface) -> list[int]:
    """Descriptors of the kernel's virtio backend: where the card asks for it, and under KVM where there is one."""
    wanted = card.driver.name if card.driver else None
    if not _is_virtio(card) or wanted == "qemu" or (wanted is None and res.live.type != "kvm"):
        return []
    fds: list[int] = []
    try:
        for _ in range(_queues(card)):
            fds.append(res.own(os.open(card.vhost or "/dev/vhost-net", os.O_RDWR | os.O_CLOEXEC)))
    except OSError:
        if wanted == "vhost":
            raise ConfigUnsupported("vhost-net was requested for an interface, but is unavailable", domain=VIR_FROM_QEMU) from None  # fmt: skip  # noqa: E501
        return []
    return fds


def _wants_passt(res: Resources, card: Interface) -> bool:
    """passt where it is asked for, and where QEMU has no user networking of its own."""
    return card.backend_type == "passt" or not res.context.caps.schema("netdev_add/type=user")


PASST_PATH_MAX = 98
"""Bytes of its socket's path; Debian 12's passt cuts longer ones off without a word."""


async def _passt(res: Resources, card: Interface) -> str:
    """Start passt for a card; its socket. It ends with the guest."""
    program = shutil.which("passt")
    if program is None:
        raise ConfigUnsupported("passt is not installed (Debian: apt install passt)", domain=VIR_FROM_QEMU)
    path = str(res.guest.places.folder / f"{card.alias}-passt.sock")
    argv = [program, "--foreground", "--one-off", "--socket", res.reach(path, PASST_PATH_MAX)]
    if os.geteuid() == 0 and res.security.user(res.live) is None:
        argv += ["--runas", "0:0"]
    if card.log_file:
        argv += ["--log-file", card.log_file]
    if card.source_dev:
        argv += ["--interface", card.source_dev]
    for ip in card.ips:
        argv += ["--address", str(ip.address)]
        if ip.prefix and ":" not in str(ip.address):
            argv += ["--netmask", str(ip.prefix)]
    for forward in card.port_forwards:
        argv += [f"--{forward.proto}-ports", _forward(forward)]
    await res.start(Helper("passt", argv, socket=path, as_guest=True))
    return res.reach(path, PASST_PATH_MAX)


def _forward(forward: Any) -> str:
    """Ports as passt is told them: address%device/first-last:first-last, excluded ones with "~"."""
    head = (forward.address or "") + (f"%{forward.dev}" if forward.dev else "")
    parts = []
    for ports in forward.ranges:
        end = f"-{ports.end}" if ports.end else ""
        if ports.exclude:
            parts.append(f"~{ports.start}{end}")
        else:
            to = ""
            if ports.to is not None:
                last = f"-{ports.to + ports.end - ports.start}" if ports.end else ""
                to = f":{ports.to}{last}"
            parts.append(f"{ports.start}{end}{to}")
    spelled = ",".join(parts) or "all"
    return f"{head}/{spelled}" if head else spelled
