"""What people see, hear and type on: graphics, video, audio, input."""

from splitvirt.xml.devices.audio import Audio
from splitvirt.xml.devices.graphics import Graphics, Listen
from splitvirt.xml.devices.input import Input
from splitvirt.xml.devices.video import Video
from splitvirt.xml.domain import Domain

from ..capabilities import Capabilities
from .machine import is_x86

CARDS = (("cirrus-vga", "cirrus"), ("VGA", "vga"), ("qxl-vga", "qxl"))
"""QEMU's devices and our names for them; the first that the emulator has is the default."""
MIB = 1024  # KiB
VRAM = {"vga": 16 * MIB, "bochs": 16 * MIB, "cirrus": 16 * MIB, "vmvga": 16 * MIB}
AUDIO_OF = {"spice": "spice", "vnc": "none", "egl-headless": "none", "sdl": "sdl", "dbus": "dbus"}


def defaults(domain: Domain, caps: Capabilities) -> None:
    """Fill in listens, cards, buses; add the devices that go without saying."""
    for graphics in domain.devices.graphics:
        listen(graphics)
    videos(domain, caps)
    inputs(domain)
    audio(domain)


def listen(graphics: Graphics) -> None:
    """Port and place to listen at."""
    if graphics.type in ("vnc", "spice", "rdp"):
        if graphics.listen is not None and not graphics.listens:
            graphics.listens = [Listen(type="address", address=graphics.listen)]
        if not graphics.listens:
            graphics.listens = [Listen(type="address")]


def videos(domain: Domain, caps: Capabilities) -> None:
    """A card where there are graphics and none is given; sizes of the cards' memory."""
    default = next((name for device, name in CARDS if caps.has_device(device)), "vga")
    if domain.devices.graphics and not domain.devices.videos:
        domain.devices.videos = [Video()]
    for i, video in enumerate(domain.devices.videos):
        if video.model in (None, "default"):
            video.model = default  # type: ignore[assignment]
        fill(video)
        if i == 0 and video.primary is None and video.model not in ("none", "ramfb"):
            video.primary = True


def fill(video: Video) -> None:
    """One card's defaults."""
    model = video.model or ""
    if model == "none":
        return
    video.heads = video.heads or 1
    if model == "qxl":
        video.ram = video.ram or 64 * MIB
        video.vram = video.vram or 64 * MIB
        video.vgamem = video.vgamem or 16 * MIB
    elif model in VRAM:
        video.vram = video.vram or VRAM[model]


def inputs(domain: Domain) -> None:
    """Buses, and the PS/2 mouse and keyboard that a PC always has."""
    for device in domain.devices.inputs:
        if device.bus is None:
            device.bus = default_bus(device, domain)  # type: ignore[assignment]
    if not is_x86(domain):
        return
    for kind in ("mouse", "keyboard"):
        if not any(d.type == kind and d.bus == "ps2" for d in domain.devices.inputs):
            domain.devices.inputs.append(Input(type=kind, bus="ps2"))


def default_bus(device: Input, domain: Domain) -> str:
    """By kind of device."""
    if device.address is not None and device.address.type == "usb":
        return "usb"
    if device.type in ("mouse", "keyboard"):
        return "ps2" if is_x86(domain) else "usb"
    return {"passthrough": "virtio", "evdev": "none"}.get(device.type, "usb")


def audio(domain: Domain) -> None:
    """A backend for the guest's sound: that of the graphics, else none."""
    if domain.devices.audios:
        return
    first = next((AUDIO_OF[g.type] for g in domain.devices.graphics if g.type in AUDIO_OF), "none")
    domain.devices.audios = [Audio(id=1, type=first)]


def check(domain: Domain, caps: Capabilities) -> None:
    """Raise ConfigUnsupported for what QEMU cannot do."""
