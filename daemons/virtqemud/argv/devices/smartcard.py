"""Smart cards as QEMU arguments."""

from splitvirt.xml.devices.smartcard import Smartcard
from virtqemud.argv.context import Context
from virtqemud.argv.parts import Parts

from .chardev import chardev
from .properties import device

DATABASE = "/etc/pki/nssdb"


def smartcard(dev: Smartcard, ctx: Context) -> Parts:
    """An emulated card, or one at a character device."""
    parts = Parts()
    match dev.mode:
        case "host":
            device(parts, "ccid-card-emulated", dev, ctx, backend="nss-emulated")
        case "host-certificates":
            names = {f"cert{i}": name for i, name in enumerate(dev.certificates, 1)}
            device(parts, "ccid-card-emulated", dev, ctx, backend="certificates", **names, db=dev.database or DATABASE)
        case _:
            parts += chardev(dev, f"char{dev.alias}", ctx, dev.alias or "", kind="smartcard")
            device(parts, "ccid-card-passthru", dev, ctx, chardev=f"char{dev.alias}")
    return parts
