"""Graphics cards as QEMU arguments."""

from typing import Any

from splitvirt.api.errors import ConfigUnsupported
from splitvirt.xml.devices.video import Video
from virtqemud.argv.context import Context
from virtqemud.argv.parts import Helper, Parts, options

from .host import gpu_program
from .properties import place, virtio_options

PRIMARY = {"vga": "VGA", "cirrus": "cirrus-vga", "vmvga": "vmware-svga", "qxl": "qxl-vga"}
SECONDARY = {"qxl": "qxl"}
SAME = {"bochs": "bochs-display", "ramfb": "ramfb"}


def video(dev: Video, ctx: Context) -> Parts:
    """The card, and the socket of a vhost-user process that draws for it."""
    parts = Parts()
    if dev.model == "none":
        return parts
    external = dev.driver is not None and dev.driver.name == "vhostuser"
    extra: dict[str, Any] = {}
    if external:
        extra["chardev"] = f"chr-vu-{dev.alias}"
        path = f"{ctx.folder}/{dev.alias}-vhost-user-gpu.sock"
        parts.helpers.append(Helper("vhost-user-gpu", [gpu_program(), f"--socket-path={path}"], socket=path))
        parts.add("-chardev", options("socket", id=extra["chardev"], path=path))
    properties = {"driver": driver(dev, external)} | virtio_options(dev.driver) | {"id": dev.alias}
    parts.json("-device", properties | memory(dev) | extra | resolution(dev) | place(dev, ctx))
    return parts


def driver(dev: Video, external: bool) -> str:
    """QEMU's name of a card."""
    model = dev.model or ""
    if model == "virtio":
        if external:
            return "vhost-user-vga" if dev.primary else "vhost-user-gpu-pci"
        name = "virtio-vga" if dev.primary else "virtio-gpu"
        return f"{name}-gl{'' if dev.primary else '-pci'}" if dev.accel3d else name + ("" if dev.primary else "-pci")
    table = PRIMARY if dev.primary else SECONDARY
    name = SAME.get(model) or table.get(model) or ""
    if not name:
        raise ConfigUnsupported(f"video type '{model}' is not supported with QEMU")
    return name


def memory(dev: Video) -> dict[str, Any]:
    """How much memory, which each card counts its own way, and how many screens."""
    match dev.model:
        case "qxl":
            return {
                "max_outputs": dev.heads or None,
                "ram_size": (dev.ram or 0) * 1024,
                "vram_size": (dev.vram or 0) * 1024,
                "vram64_size_mb": (dev.vram64 or 0) // 1024,
                "vgamem_mb": (dev.vgamem or 0) // 1024,
            }
        case "vga" | "vmvga":
            return {"vgamem_mb": dev.vram // 1024 if dev.vram else None}
        case "bochs":
            return {"vgamem": dev.vram * 1024 if dev.vram else None}
        case "virtio":
            return {"max_outputs": dev.heads or None, "blob": dev.blob}
    return {}


def resolution(dev: Video) -> dict[str, Any]:
    """The resolution that the card offers first."""
    return {"xres": dev.resolution_x, "yres": dev.resolution_y} if dev.resolution_x else {}
