"""Redirected USB devices as QEMU arguments."""

from splitvirt.xml.devices.redirdev import Redirdev, Redirfilter
from virtqemud.argv.context import Context
from virtqemud.argv.parts import Parts

from .chardev import chardev
from .properties import device


def redirdev(dev: Redirdev, ctx: Context, bootindex: int | None) -> Parts:
    """A chardev and the plug."""
    id = f"char{dev.alias}"
    parts = chardev(dev, id, ctx, dev.alias or "", kind="redirdev")
    rules = ctx.domain.devices.redirfilter
    device(parts, "usb-redir", dev, ctx, chardev=id, filter=(rules and spell(rules)) or None, bootindex=bootindex)
    return parts


def spell(found: Redirfilter) -> str:
    """The rules as usbredir writes them: class:vendor:product:version:allow|..."""
    rules = []
    for rule in found.rules:
        fields = ((rule.class_, 2), (rule.vendor, 4), (rule.product, 4), (rule.version, 4))
        numbers = ["-1" if v is None or v < 0 else f"0x{v:0{digits}X}" for v, digits in fields]
        rules.append(":".join([*numbers, str(int(rule.allow))]))
    return "|".join(rules)
