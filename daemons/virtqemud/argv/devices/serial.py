"""Serial ports as QEMU arguments."""

from typing import Any

from splitvirt.xml.devices.serial import Serial
from virtqemud.argv.context import Context
from virtqemud.argv.parts import Parts

from .chardev import chardev
from .properties import device

DRIVERS = {"16550a": "serial", "isa-debugcon": "isa-debugcon"}


def serial(dev: Serial, ctx: Context) -> Parts:
    """A chardev and the port; ports of the board itself are `-serial`."""
    id = f"char{dev.alias}"
    parts = chardev(dev, id, ctx, dev.alias or "")
    model = dev.target_model or dev.target_type or "isa-serial"
    if model in ("pl011", "16550a"):
        parts.add("-serial", f"chardev:{id}")
        return parts
    extra: dict[str, Any] = {"index": dev.target_port} if model == "isa-serial" else {}
    device(parts, DRIVERS.get(model, model), dev, ctx, chardev=id, **extra)
    return parts
