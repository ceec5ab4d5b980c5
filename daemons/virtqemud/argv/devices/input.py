"""Input devices as QEMU arguments."""

from splitvirt.api.errors import InternalError
from splitvirt.xml.devices.input import Input
from virtqemud.argv.context import Context
from virtqemud.argv.parts import Parts

from .properties import device, virtio

USB = {"mouse": "usb-mouse", "tablet": "usb-tablet", "keyboard": "usb-kbd"}
VIRTIO = {"mouse": "virtio-mouse", "tablet": "virtio-tablet", "keyboard": "virtio-keyboard"}


def input_(dev: Input, ctx: Context) -> Parts:
    """The device; nothing for PS/2, which the board has."""
    parts = Parts()
    if dev.type == "evdev":
        if dev.source_dev is None:
            raise InternalError("argument key 'evdev' must not have null value")
        grab = True if dev.grab == "all" else None
        parts.json("-object", {
            "qom-type": "input-linux", "id": dev.alias, "evdev": dev.source_dev, "repeat": dev.repeat,
            "grab_all": grab, "grab-toggle": dev.grab_toggle,
        })  # fmt: skip
        parts.paths.append(dev.source_dev or "")
    elif dev.type == "passthrough":
        virtio(parts, "virtio-input-host", dev, ctx, dev.driver, evdev=dev.source_evdev)
        parts.paths.append(dev.source_evdev or "")
    elif dev.bus == "usb":
        device(parts, USB[dev.type], dev, ctx)
    elif dev.bus == "virtio":
        virtio(parts, VIRTIO[dev.type], dev, ctx, dev.driver)
    return parts
