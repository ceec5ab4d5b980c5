"""Watchdogs as QEMU arguments."""

from splitvirt.xml.devices.watchdog import Watchdog
from virtqemud.argv.context import Context
from virtqemud.argv.parts import Parts

from .properties import device


def watchdog(dev: Watchdog, ctx: Context) -> Parts:
    """The device; what it does is `action`'s."""
    parts = Parts()
    device(parts, dev.model, dev, ctx)
    return parts


def action(dev: Watchdog) -> Parts:
    """What QEMU does when it bites; a dump is made by the driver, of a paused guest."""
    parts = Parts()
    parts.add("-watchdog-action", {"dump": "pause"}.get(dev.action, dev.action))
    return parts
