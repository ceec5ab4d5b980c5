"""Devices of the host, given to the guest, as QEMU arguments."""

import glob
import json
import os
import re
from typing import Any

from splitvirt.api.errors import ConfigUnsupported, InternalError, OperationFailed, SystemError_
from splitvirt.xml.address import Unassigned
from splitvirt.xml.devices.hostdev import MdevHostdev, PciHostdev, ScsiHostdev, ScsiHostHostdev, UsbHostdev
from virtqemud.argv.context import Context
from virtqemud.argv.parts import Parts

from .blockdev import iscsi
from .disk import NARROW, scsi_model
from .interface import rom
from .properties import controller_alias, device, pci_place, virtio


def hostdev(dev: Any, ctx: Context, bootindex: int | None, backend: Parts | None = None) -> Parts:
    """One device; `backend` is its block node, for SCSI."""
    match dev:
        case PciHostdev():
            return pci(dev, ctx, bootindex)
        case UsbHostdev():
            return usb(dev, ctx, bootindex)
        case ScsiHostdev():
            return scsi(dev, ctx, bootindex, backend)
        case ScsiHostHostdev():
            if not os.path.exists("/dev/vhost-scsi"):
                raise ConfigUnsupported("vhost-scsi device file '/dev/vhost-scsi' cannot be found")
            parts = Parts()
            virtio(parts, "vhost-scsi", dev, ctx, None, wwpn=dev.wwpn)
            return parts
        case MdevHostdev():
            return mdev(dev, ctx, bootindex)
    raise ConfigUnsupported(f"hostdev mode '{dev.mode}' is not supported")


def pci(dev: PciHostdev, ctx: Context, bootindex: int | None) -> Parts:
    """A PCI function through VFIO."""
    parts = Parts()
    if isinstance(dev.address, Unassigned):
        return parts
    if dev.driver in ("kvm", "xen"):
        raise InternalError(f"invalid PCI passthrough type '{dev.driver}'")
    if ctx.native and dev.driver is None:  # as libvirt, which chooses the driver only at a start
        raise InternalError("invalid PCI passthrough type 'default'")
    value: dict[str, Any] = {"driver": "vfio-pci", "host": str(dev.host), "id": dev.alias, "bootindex": bootindex}
    if dev.teaming == "transient":
        value["failover_pair_id"] = dev.persistent
    parts.json("-device", value | pci_place(dev, ctx) | rom(dev))
    return parts


def usb(dev: UsbHostdev, ctx: Context, bootindex: int | None) -> Parts:
    """A USB device by its place on the host."""
    parts = Parts()
    bus, number = usb_place(dev, native=ctx.native)
    path = f"/dev/bus/usb/{bus:03d}/{number:03d}"
    reset = {
        "off": {"guest-reset": False},
        "uninitialized": {"guest-reset": True, "guest-resets-all": False},
        "on": {"guest-reset": True, "guest-resets-all": True},
    }.get(dev.guest_reset or "", {})
    device(parts, "usb-host", dev, ctx, hostdevice=path, **reset, bootindex=bootindex)
    parts.paths.append(path)
    return parts


def usb_place(dev: UsbHostdev, *, native: bool = False) -> tuple[int, int]:
    """Bus and device of the host: as given, or of the only device of that vendor and product.

    Raises OperationFailed where there is none, or more than one.
    """
    if dev.bus is not None and dev.device is not None:
        return dev.bus, dev.device
    if native:
        raise InternalError("USB host device is missing bus/device information")
    found = []
    for folder in glob.glob("/sys/bus/usb/devices/*/idVendor"):
        at = os.path.dirname(folder)
        if (int(read(f"{at}/idVendor"), 16), int(read(f"{at}/idProduct"), 16)) == (dev.vendor, dev.product):
            found.append((int(read(f"{at}/busnum")), int(read(f"{at}/devnum"))))
    if not found:
        raise InternalError(f"Did not find USB device {dev.vendor or 0:04x}:{dev.product or 0:04x}")
    if len(found) > 1:
        raise OperationFailed(
            f"Multiple USB devices for {dev.vendor or 0:x}:{dev.product or 0:x}, use <address> to specify one"
        )
    return found[0]


def read(path: str) -> str:
    with open(path) as file:
        return file.read().strip()


def scsi_backend(dev: ScsiHostdev, ctx: Context, number: int) -> Parts:
    """The block node of a SCSI device. Raises VirtError where the host has no such device, or no secret for it."""
    parts, node = Parts(), f"libvirt-{number}-backend"
    if dev.protocol == "iscsi":
        value = iscsi(dev.name, dev.hosts[0], dev.initiator, dev.auth, f"libvirt-{number}", parts, ctx, 0)
    else:
        path = generic_device(dev)
        value = {"driver": "host_device", "filename": path}
        parts.paths.append(path)
    parts.json("-blockdev", value | {"node-name": node, "read-only": dev.readonly})
    return parts


def scsi(dev: ScsiHostdev, ctx: Context, bootindex: int | None, backend: Parts | None) -> Parts:
    """A SCSI device in front of its block node."""
    parts = Parts()
    node = ""
    if backend is not None:
        parts += backend
        node = json.loads(backend.args[-1])["node-name"]
    at: Any = dev.address
    bus = f"{controller_alias(ctx, 'scsi', at.controller)}.0"
    where = {"bus": bus, "channel": at.bus, "scsi-id": at.target, "lun": at.unit}
    if scsi_model(ctx, at.controller) in NARROW:
        where = {"bus": bus, "scsi-id": at.unit}
    parts.json("-device", {"driver": "scsi-generic", "drive": node, "id": dev.alias, **where, "bootindex": bootindex})
    return parts


def generic_device(dev: ScsiHostdev) -> str:
    """/dev/sgN behind an adapter's address. Raises SystemError_ where the host has none."""
    if not re.fullmatch("scsi_host[0-9]+", dev.adapter or ""):
        raise InternalError(f"Cannot parse adapter '{dev.adapter}'")
    host = (dev.adapter or "").removeprefix("scsi_host")
    folder = f"/sys/bus/scsi/devices/{host}:{dev.bus}:{dev.target}:{dev.unit}/scsi_generic"
    try:
        return f"/dev/{sorted(os.listdir(folder))[0]}"
    except OSError as error:
        raise SystemError_(f"cannot open directory '{folder}': {os.strerror(error.errno or 0)}") from None
    except IndexError:
        raise SystemError_(f"no generic SCSI device in '{folder}'") from None


def mdev(dev: MdevHostdev, ctx: Context, bootindex: int | None) -> Parts:
    """A mediated device."""
    parts = Parts()
    value: dict[str, Any] = {
        "driver": "vfio-pci-nohotplug" if dev.ramfb else dev.model, "id": dev.alias,
        "sysfsdev": f"/sys/bus/mdev/devices/{dev.uuid}", "bootindex": bootindex,
    }  # fmt: skip
    if dev.display is not None:
        value["display"] = "on" if dev.display else "off"
    if dev.ramfb:
        value["ramfb"] = True
    parts.json("-device", value | (pci_place(dev, ctx) if getattr(dev.address, "type", "") == "pci" else {}))
    return parts
