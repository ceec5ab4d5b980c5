"""Properties that many devices share: the place on a bus, virtio options, the order of boot."""

from typing import Any

from splitvirt.api.errors import InternalError
from splitvirt.xml.devices.controller import PciController
from splitvirt.xml.devices.device import Device, VirtioOptions
from virtqemud.argv.context import Context
from virtqemud.argv.parts import Parts

TRANSITIONAL = frozenset(
    {"virtio-blk", "virtio-net", "vhost-scsi", "virtio-rng", "virtio-9p", "virtio-balloon", "vhost-vsock"}
    | {"virtio-input-host", "virtio-scsi", "virtio-serial", "vhost-user-fs"}
)
"""Virtio devices that QEMU has in transitional and non-transitional variants by name."""


def device(parts: Parts, driver: str, dev: Device, ctx: Context, /, **properties: Any) -> None:
    """Append `-device`: the driver, its properties, id, and where it sits. "_" in names stays."""
    named = {key.rstrip("_"): value for key, value in properties.items()}
    parts.json("-device", {"driver": driver} | named | {"id": dev.alias} | place(dev, ctx))


def virtio(
    parts: Parts, base: str, dev: Device, ctx: Context, options: VirtioOptions | None, /, **properties: Any
) -> None:
    """Append `-device` of a virtio kind on whatever bus its address says."""
    properties = {key.rstrip("_"): value for key, value in properties.items()}
    parts.json(
        "-device",
        {"driver": virtio_name(base, dev, ctx)} | virtio_options(options) | properties | {"id": dev.alias}
        | place(dev, ctx),
    )  # fmt: skip


def virtio_name(base: str, dev: Device, ctx: Context, model: str | None = None) -> str:
    """QEMU's name for a virtio device on its bus. Raises InternalError where that has none."""
    kind = getattr(dev.address, "type", None)
    if kind in (None, "pci"):
        suffix = (getattr(dev, "model", None) if model is None else model) or ""
        for variant in ("-non-transitional", "-transitional"):
            if suffix.endswith(variant):
                return f"{base}-pci{variant}" if base in TRANSITIONAL else f"{base}-pci"
        return f"{base}-pci"
    if kind not in ("ccw", "virtio-mmio"):
        raise InternalError(f"Unexpected address type for '{base}'")
    return {"ccw": f"{base}-ccw", "virtio-mmio": f"{base}-device"}[kind]


def virtio_options(options: Any) -> dict[str, Any]:
    """What `<driver>` says of every virtio device."""
    if options is None:
        return {}
    return {
        "iommu_platform": options.iommu,
        "ats": options.ats,
        "packed": options.packed,
        "page-per-vq": options.page_per_vq,
    }


def place(dev: Device, ctx: Context) -> dict[str, Any]:
    """Where a device sits, as properties."""
    address: Any = dev.address
    if address is None:
        return {}
    match address.type:
        case "pci":
            return pci_place(dev, ctx)
        case "usb":
            port = address.port
            return {"bus": f"{controller_alias(ctx, 'usb', address.bus)}.0"} | ({"port": str(port)} if port else {})
        case "spapr-vio":
            return {"reg": address.reg}
        case "ccw":
            number = f"{address.cssid:x}.{address.ssid:x}.{address.devno:04x}"
            return {"devno": f"fe.{number.partition('.')[2]}" if address.cssid == 0xFE else number}
        case "isa":
            return {"iobase": address.iobase or 0, "irq": address.irq or None}
        case "ccid":
            return {"bus": f"{controller_alias(ctx, 'ccid', address.controller)}.0"}
        case "virtio-serial":
            bus = controller_alias(ctx, "virtio-serial", address.controller)
            return {"bus": f"{bus}.{address.bus or 0}", "nr": address.port}
    return {}


def pci_place(dev: Device, ctx: Context) -> dict[str, Any]:
    """Bus, slot and function on PCI."""
    address: Any = dev.address
    function = address.function or 0
    return {
        "bus": pci_bus(ctx, address.bus or 0),
        "multifunction": address.multifunction,
        "addr": f"0x{address.slot or 0:x}" + (f".0x{function:x}" if function else ""),
        "acpi-index": dev.acpi_index or None,
    }


def pci_bus(ctx: Context, index: int) -> str:
    """QEMU's name of a PCI bus: the alias of the controller that makes it."""
    for controller in ctx.domain.devices.controllers:
        if isinstance(controller, PciController) and controller.index == index:
            if controller.model in ("pci-root", "pcie-root"):
                return "pcie.0" if controller.model == "pcie-root" else "pci.0"
            return controller.alias or f"pci.{index}"
    raise InternalError(f"Could not find PCI controller with index '{index}' required for device")


def controller_alias(ctx: Context, kind: str, index: int | None) -> str:
    """The alias of a controller of a kind; the board's own IDE and SATA keep QEMU's name."""
    if kind in ("ide", "sata") and not index and kind == ("sata" if ctx.q35 else "ide"):
        return "ide"
    for controller in ctx.domain.devices.controllers:
        if controller.type == kind and controller.index == (index or 0) and controller.alias:
            return str(controller.alias)
    return default_alias(kind, index or 0, ctx)


def default_alias(kind: str, index: int, ctx: Context) -> str:
    """The alias that a controller has when nobody chose one."""
    if kind == "usb" and index == 0:
        return "usb"
    if kind in ("ide", "sata") and index == 0 and kind == ("sata" if ctx.q35 else "ide"):
        return "ide"
    return f"{kind}{index}"


def boot_order(domain: Any) -> dict[int, int]:
    """bootindex by id() of the device, from `<boot order>` or from `<os><boot dev>`."""
    devices = domain.devices
    order = {id(d): d.boot_order for d in all_devices(devices) if getattr(d, "boot_order", None)}
    wanted = {kind: i + 1 for i, kind in enumerate(domain.os.boot if domain.os else ())}
    kinds = {"disk": "hd", "lun": "hd", "cdrom": "cdrom", "floppy": "fd", None: "hd"}
    for disk in devices.disks:
        index = wanted.pop(kinds.get(disk.device, ""), None)
        if index is not None:
            order.setdefault(id(disk), index)
    if "network" in wanted and devices.interfaces:
        order.setdefault(id(devices.interfaces[0]), wanted["network"])
    return order


def all_devices(devices: Any) -> list[Any]:
    """Every device of a guest, in the order of its XML."""
    return [d for name in devices.LISTS for d in getattr(devices, name)]
