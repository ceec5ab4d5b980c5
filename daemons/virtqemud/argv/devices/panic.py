"""Panic devices as QEMU arguments."""

from typing import Any

from splitvirt.xml.devices.panic import Panic
from virtqemud.argv.context import Context
from virtqemud.argv.parts import Parts


def panic(dev: Panic, ctx: Context) -> Parts:
    """The ISA device; Hyper-V's is a CPU feature, those of POWER and Z belong to the board."""
    parts, at = Parts(), dev.address
    if dev.model in ("isa", None):
        port: Any = getattr(at, "iobase", None) if at is not None else None
        parts.json("-device", {"driver": "pvpanic", "ioport": port})
    return parts
