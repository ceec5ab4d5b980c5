"""`<graphics>`: how people see and use the guest's screen."""

from typing import Literal

from splitvirt.api.errors import XMLError
from splitvirt.xml.element import SECURE, Element, Signed, Unsigned, YesNo, attr, children

REMOTE = ("type", ("vnc", "spice", "rdp"))
CONSOLES = ("type", ("vnc", "spice"))
WINDOWS = ("type", ("sdl", "desktop"))
GL = ("type", ("sdl", "spice", "egl-headless", "dbus"))
SOUNDING = ("type", ("vnc", "dbus"))


class Listen(Element, tag="listen"):
    """One place to listen at; a network's address is known once the guest runs."""

    type: Literal["address", "network", "socket", "none"] = attr(
        wrong=lambda raw: XMLError(f"unknown graphics listen type '{raw}'")
    )
    address: str | None = attr(when=("type", ("address", "network")))
    network: str | None = attr(when="network")
    socket: str | None = attr(when="socket")
    from_config: int | None = attr("@fromConfig", mode=0)


class SpiceChannel(Element, tag="channel"):
    """Which of the channels must, may or must not be encrypted."""

    name: Literal[
        "main", "display", "inputs", "cursor", "playback", "record", "smartcard", "usbredir"
    ] = attr()  # fmt: skip
    mode: Literal["any", "secure", "insecure"] = attr()


class Graphics(Element, tag="graphics"):
    """One way to the screen; `port` -1 or `autoport` leave the choice to the driver."""

    type: Literal["sdl", "vnc", "rdp", "desktop", "spice", "egl-headless", "dbus"] = attr(
        missing=lambda: XMLError("missing graphics device type"),
        wrong=lambda raw: XMLError(f"unknown graphics device type '{raw}'"),
    )
    socket: str | None = attr(when="vnc")
    display: str | None = attr(when=WINDOWS)
    xauth: str | None = attr(when="sdl")
    fullscreen: YesNo | None = attr(when=WINDOWS, omit=False)
    port: Signed | None = attr(when=REMOTE, wrong=lambda raw: XMLError(f"cannot parse {'vnc'} port {raw}"))
    tls_port: Signed | None = attr(
        "@tlsPort", when="spice", wrong=lambda raw: XMLError(f"cannot parse spice tlsPort {raw}")
    )
    autoport: YesNo | None = attr(when=REMOTE)
    websocket: Signed | None = attr(when="vnc", wrong=lambda raw: XMLError(f"cannot parse vnc WebSocket port {raw}"))
    websocket_generated: YesNo | None = attr("@websocketGenerated", when="vnc", mode=0)
    replace_user: YesNo | None = attr("@replaceUser", when="rdp", omit=False)
    multi_user: YesNo | None = attr("@multiUser", when="rdp", omit=False)
    listen: str | None = attr(when=REMOTE)
    keymap: str | None = attr(when=CONSOLES)
    share_policy: Literal["allow-exclusive", "force-shared", "ignore"] | None = attr("@sharePolicy", when="vnc")
    power_control: YesNo | None = attr("@powerControl", when="vnc")
    passwd: str | None = attr(when=CONSOLES, mode=SECURE)
    passwd_valid_to: str | None = attr("@passwdValidTo", when=CONSOLES, mode=SECURE)
    connected: Literal["fail", "disconnect", "keep"] | None = attr(when=CONSOLES, mode=SECURE)
    default_mode: Literal["any", "secure", "insecure"] | None = attr("@defaultMode", when="spice", omit="any")
    p2p: YesNo | None = attr(when="dbus", omit=False)
    address: str | None = attr(when="dbus")
    listens: list[Listen] = children(when=REMOTE)
    channels: list[SpiceChannel] = children(when="spice")
    image: Literal["auto_glz", "auto_lz", "quic", "glz", "lz", "off"] | None = attr("image/@compression", when="spice")
    jpeg: Literal["auto", "never", "always"] | None = attr("jpeg/@compression", when="spice")
    zlib: Literal["auto", "never", "always"] | None = attr("zlib/@compression", when="spice")
    playback: Literal["on", "off"] | None = attr("playback/@compression", when="spice")
    streaming: Literal["filter", "all", "off"] | None = attr("streaming/@mode", when="spice")
    mouse_mode: Literal["server", "client"] | None = attr("mouse/@mode", when="spice")
    copypaste: YesNo | None = attr("clipboard/@copypaste", when="spice")
    filetransfer: YesNo | None = attr("filetransfer/@enable", when="spice")
    gl: YesNo | None = attr("gl/@enable", when=("type", ("sdl", "spice", "dbus")))
    rendernode: str | None = attr("gl/@rendernode", when=("type", ("spice", "egl-headless", "dbus")))
    audio_id: Unsigned | None = attr("audio/@id", when=SOUNDING)
