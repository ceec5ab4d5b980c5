"""What people see, hear and type on: graphics, video, audio, input."""

from typing import Literal

from splitvirt.api.errors import ConfigUnsupported
from splitvirt.xml.devices.audio import Audio
from splitvirt.xml.devices.graphics import Graphics, Listen
from splitvirt.xml.devices.input import Input
from splitvirt.xml.devices.video import Video
from splitvirt.xml.domain import Domain
from virtqemud.emulator.capabilities import Capabilities

from .machine import is_x86

CARDS = (("cirrus-vga", "cirrus"), ("VGA", "vga"), ("qxl-vga", "qxl"))
"""QEMU's devices and our names for them; the first that the emulator has is the default."""
MIB = 1024  # KiB
VRAM = {"vga": 16 * MIB, "bochs": 16 * MIB, "cirrus": 16 * MIB, "vmvga": 16 * MIB}
AUDIO_OF: dict[str, Literal["spice", "none"] | None] = {"spice": "spice", "vnc": "none", "sdl": None}


def defaults(domain: Domain, caps: Capabilities) -> None:
    """Fill in listens, cards, buses; add the devices that go without saying."""
    for graphics in domain.devices.graphics:
        listen(graphics)
    videos(domain, caps)
    inputs(domain)
    audio(domain)


def listen(graphics: Graphics) -> None:
    """Port and place to listen at, in the form in which they are kept."""
    if graphics.type not in ("vnc", "spice", "rdp"):
        return
    places(graphics)
    first = graphics.listens[0]
    ports(graphics)
    plain = first.type == "address" and len(graphics.listens) == 1
    if graphics.type == "spice" and plain and not (graphics.port or graphics.tls_port or graphics.autoport):
        first.type, first.address = "none", None
    graphics.listen = first.address if first.type == "address" else None
    if graphics.type == "vnc":
        graphics.socket = first.socket if first.type == "socket" else None
    if first.type in ("socket", "none"):
        graphics.port = graphics.tls_port = graphics.autoport = graphics.websocket = None


def places(graphics: Graphics) -> None:
    """The old attributes `listen` and `socket` are the first `<listen>`. Raises ConfigUnsupported if they differ."""
    if graphics.type == "vnc" and graphics.socket is not None:
        first = next((at for at in graphics.listens if at.type == "socket"), None)
        same_as("socket", graphics.socket, first.socket if first else None)
        if first is None:
            graphics.listens = [Listen(type="socket", socket=graphics.socket)]
        return
    if graphics.listen and graphics.listens and graphics.listens[0].type == "address":
        same_as("address", graphics.listen, graphics.listens[0].address)
        graphics.listens[0].address = graphics.listen
    if not graphics.listens:
        graphics.listens = [Listen(type="address", address=graphics.listen or None)]


def same_as(name: str, old: str, new: str | None) -> None:
    if new is not None and old != new:
        attribute = "listen" if name == "address" else name
        raise ConfigUnsupported(
            f"graphics '{attribute}' attribute '{old}' must match '{name}' attribute of first listen element "
            f"(found '{new}')"
        )


def ports(graphics: Graphics) -> None:
    """A port that the driver is to choose is -1 (VNC) or absent (SPICE)."""
    if graphics.type == "vnc":
        free = graphics.port in (None, -1)
        if graphics.autoport or (free and graphics.autoport is None):
            graphics.port, graphics.autoport = -1, True
        else:
            graphics.port, graphics.autoport = None if free else graphics.port or None, False
    elif graphics.type == "spice":
        if graphics.autoport or (graphics.port == -1 and graphics.tls_port == -1):
            graphics.port, graphics.tls_port, graphics.autoport = None, None, True
        else:
            graphics.port, graphics.tls_port = graphics.port or None, graphics.tls_port or None
            graphics.autoport = False


def videos(domain: Domain, caps: Capabilities) -> None:
    """A card where there are graphics and none is given; sizes of the cards' memory."""
    default = next((name for device, name in CARDS if caps.has_device(device)), "vga")
    if domain.devices.graphics and not domain.devices.videos:
        domain.devices.videos = [Video()]
    cards = domain.devices.videos
    for video in cards:
        if video.model in (None, "default"):
            video.model = default  # type: ignore[assignment]
        fill(video)
    cards.sort(key=lambda video: not video.primary)
    if cards and not cards[0].primary and cards[0].model != "none":
        cards[0].primary = True


def fill(video: Video) -> None:
    """One card's defaults."""
    model = video.model or ""
    if model == "none":
        for name in Video.FIELDS.keys() - {"model", "alias"}:
            setattr(video, name, None)
        return
    video.heads = 1 if video.heads is None else video.heads
    for name in ("vram", "ram") if model == "qxl" else ("vram",):
        if value := getattr(video, name):
            setattr(video, name, 1 << (value - 1).bit_length())
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


def default_bus(device: Input, domain: Domain) -> str | None:
    """By kind of device."""
    if device.address is not None and device.address.type == "usb":
        return "usb"
    if device.type in ("mouse", "keyboard"):
        return "ps2" if is_x86(domain) else "usb"
    return {"passthrough": "virtio", "evdev": None}.get(device.type, "usb")


def audio(domain: Domain) -> None:
    """A backend for the guest's sound: that of the last graphics that have one; not where a window comes last."""
    devices = domain.devices
    if devices.audios:
        return
    kinds = [AUDIO_OF[g.type] for g in devices.graphics if g.type in AUDIO_OF]
    kind = kinds[-1] if kinds else None if devices.graphics else "none"
    if kind is not None:
        devices.audios = [Audio(id=1, type=kind)]
