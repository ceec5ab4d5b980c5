"""Where screens listen, and on which port: one that no other start has chosen either, whichever driver it is of."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from splitvirt.api.constants import VIR_FROM_QEMU
from splitvirt.api.errors import InternalError
from splitvirt.xml.devices.graphics import Graphics
from virtqemud import devicelist

if TYPE_CHECKING:
    from .resources import Resources


def screens(res: Resources) -> None:
    """Say where screens listen that do not say, and choose ports where that is left to us.

    InternalError where all ports of qemu.conf's range are taken.
    """
    settings, used = res.context.settings, res.driver.used_ports()
    for screen in devicelist.of(res.live, Graphics):
        usual = {"vnc": settings.vnc_listen, "spice": settings.spice_listen}.get(screen.type)
        for place in screen.listens:
            if place.type == "address" and not place.address and usual:
                place.address = usual
                screen.listen = screen.listen or usual
        if screen.type in ("vnc", "spice") and screen.autoport and not _by_socket(screen):
            screen.port = _free_port(res, screen, used, settings.display_ports)
            if screen.websocket == -1:
                screen.websocket = _free_port(res, screen, used, settings.websocket_ports)


def _by_socket(screen: Graphics) -> bool:
    return bool(screen.socket) or any(place.type in ("socket", "none") for place in screen.listens)


def _free_port(res: Resources, screen: Graphics, used: set[int], ports: range) -> int:
    host = next((place.address for place in screen.listens if place.address), None) or screen.listen or "127.0.0.1"
    for port in ports:
        if port not in used and (claim := _claim(port)) is not None:
            if _can_bind(host, port):
                used.add(port)
                res.claims.append(res.own(claim.detach()))
                return port
            claim.close()
    where = f"'{screen.type}' ({ports.start}-{ports.stop - 1})"
    raise InternalError(f"Unable to find an unused port in range {where}", domain=VIR_FROM_QEMU)


def _claim(port: int) -> socket.socket | None:
    """What keeps a port for one start, from before its QEMU listens there until that has ended; None: it is kept.

    An abstract socket (unix(7)): of one network namespace, as ports are, and gone with its last descriptor.
    """
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0splitvirt-port-{port}")
    except OSError:
        claim.close()
        return None
    return claim


def _can_bind(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
