"""Panic devices as QEMU arguments."""

from typing import Any

from splitvirt.xml.devices.panic import Panic
from virtqemud.argv.context import Context
from virtqemud.argv.parts import Parts


def panic(dev: Panic, ctx: Context) -> Parts:
    """The ISA device; Hyper-V's is a CPU feature, those of POWER and Z belong to the board."""
    parts, at = Parts(), dev.address
    if dev.model in ("isa", None):
        port: Any = None if at is None else getattr(at, "iobase", None) or 0
        parts.json("-device", {"driver": "pvpanic", "ioport": port})
    return parts
