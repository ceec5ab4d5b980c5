"""What a QEMU is told between its start and the first instruction of its guest."""

from collections.abc import Iterator
from typing import Any

from splitvirt.xml.devices.graphics import Graphics
from splitvirt.xml.devices.interface import Interface
from splitvirt.xml.devices.memballoon import Memballoon
from splitvirt.xml.domain import Domain as DomainXML
from virtqemud import devicelist
from virtqemud.argv.context import Settings

Command = tuple[str, dict[str, Any]]


def before_boot(live: DomainXML, settings: Settings) -> Iterator[Command]:
    """Monitor commands, in order; what they bring about is noted in the running configuration."""
    for balloon in devicelist.of(live, Memballoon):
        if balloon.model != "none":
            yield from _balloon(balloon, live)
    for card in devicelist.of(live, Interface):
        if card.link == "down" and card.type != "hostdev":
            yield "set_link", {"name": card.alias, "up": False}
    for screen in devicelist.of(live, Graphics):
        yield from _password(screen, settings)


def _balloon(balloon: Memballoon, live: DomainXML) -> Iterator[Command]:
    if balloon.stats_period:
        path = f"/machine/peripheral/{balloon.alias}"
        yield "qom-set", {"path": path, "property": "guest-stats-polling-interval", "value": balloon.stats_period}
    if live.current_memory and live.memory and live.current_memory < live.memory:
        yield "balloon", {"value": live.current_memory * 1024}
        # The guest has all of its memory until its driver gives some back, which an event will tell.
        live.current_memory = live.memory


def _password(screen: Graphics, settings: Settings) -> Iterator[Command]:
    usual = {"vnc": settings.vnc_password, "spice": settings.spice_password}
    if screen.type not in usual:
        return
    password = screen.passwd if screen.passwd is not None else usual[screen.type]
    if password is None:
        return
    arguments: dict[str, Any] = {"protocol": screen.type, "password": password}
    if screen.connected is not None:
        arguments["connected"] = screen.connected
    yield "set_password", arguments
    if screen.passwd_valid_to is not None:
        import calendar
        import time

        until = calendar.timegm(time.strptime(screen.passwd_valid_to, "%Y-%m-%dT%H:%M:%S"))
        yield "expire_password", {"protocol": screen.type, "time": str(until)}
