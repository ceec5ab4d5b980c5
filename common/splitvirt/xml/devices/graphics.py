"""`<graphics>`: how people see and use the guest's screen."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from splitvirt.api.errors import ConfigUnsupported, InternalError, XMLError
from splitvirt.xml.element import LIVE, SECURE, Element, Form, Node, Positive, Signed, YesNo, attr, children

REMOTE = ("type", ("vnc", "spice", "rdp"))
CONSOLES = ("type", ("vnc", "spice"))
WINDOWS = ("type", ("sdl", "desktop"))
GL = ("type", ("sdl", "spice", "egl-headless", "dbus"))
SOUNDING = ("type", ("vnc", "dbus"))


class Listen(Element, tag="listen"):
    """One place to listen at; a network's address is known once the guest runs."""

    type: Literal["address", "network", "socket", "none"] = attr()
    address: str | None = attr(when=("type", ("address", "network")))
    network: str | None = attr(when="network")
    socket: str | None = attr(when="socket")
    from_config: int | None = attr("@fromConfig", mode=0)

    def check(self, node: Node) -> None:
        if self.type != "socket" and "socket" in node.attrs:
            raise XMLError("'socket' attribute is valid only for listen type 'socket'")
        if self.type != "network" and "network" in node.attrs:
            raise XMLError("'network' attribute is valid only for listen type 'network'")

    def visible(self, bits: int) -> Mapping[str, Any]:
        """A network's address is known, and shown, only while the guest runs."""
        return self.__dict__ | {"address": None} if self.type == "network" and not bits & LIVE else self.__dict__


class SpiceChannel(Element, tag="channel"):
    """Which of the channels must, may or must not be encrypted."""

    name: Literal[
        "main", "display", "inputs", "cursor", "playback", "record", "smartcard", "usbredir"
    ] = attr()  # fmt: skip
    mode: Literal["any", "secure", "insecure"] = attr()


class Graphics(Element, tag="graphics"):
    """One way to the screen; `port` -1 or `autoport` leave the choice to the driver."""

    type: Literal["sdl", "vnc", "rdp", "desktop", "spice", "egl-headless", "dbus"] = attr()
    socket: str | None = attr(when="vnc")
    display: str | None = attr(when=WINDOWS)
    xauth: str | None = attr(when="sdl")
    fullscreen: YesNo | None = attr(when=WINDOWS, omit=False)
    port: Signed | None = attr(when=("type", ("spice", "rdp")))
    vnc_port: Signed | None = attr("@port", when="vnc", wrong=lambda raw: InternalError(f"cannot parse vnc port {raw}"))
    tls_port: Signed | None = attr("@tlsPort", when="spice")
    autoport: Annotated[bool, Form(lambda raw: raw == "yes", lambda on: "yes" if on else "no")] | None = attr(
        when=REMOTE
    )
    websocket: Signed | None = attr(when="vnc", omit=0)
    websocket_generated: YesNo | None = attr("@websocketGenerated", when="vnc", mode=0)
    replace_user: YesNo | None = attr("@replaceUser", when="rdp", omit=False)
    multi_user: YesNo | None = attr("@multiUser", when="rdp", omit=False)
    listen: str | None = attr(when=REMOTE)
    keymap: str | None = attr(when=CONSOLES)
    share_policy: Literal["allow-exclusive", "force-shared", "ignore"] | None = attr("@sharePolicy", when="vnc")
    power_control: YesNo | None = attr("@powerControl", when="vnc")
    passwd: str | None = attr(when=CONSOLES, mode=SECURE)
    passwd_valid_to: str | None = attr("@passwdValidTo", when=CONSOLES, mode=SECURE)
    connected: Literal["fail", "disconnect", "keep"] | None = attr(
        when=CONSOLES, mode=SECURE, wrong=lambda raw: ConfigUnsupported(f"unknown connected value {raw}")
    )
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
    gl: YesNo | None = attr("gl/@enable", needed=True, when=("type", ("sdl", "spice", "dbus")))
    rendernode: str | None = attr("gl/@rendernode", when=("type", ("spice", "egl-headless", "dbus")))
    audio_id: Positive | None = attr("audio/@id", when=SOUNDING, needed=True)

    def check(self, node: Node) -> None:
        """What is said of one type alone. Raises VirtError."""
        if self.vnc_port is not None:
            self.port, self.vnc_port = self.vnc_port, None
        self.channels = [c for c in self.channels if c.mode != "any"]
        self.demand(node)
        if self.passwd is None:
            self.passwd_valid_to = self.connected = None
        if self.connected not in (None, "keep") and self.type == "vnc":
            raise ConfigUnsupported("VNC supports connected='keep' only")
        if self.type == "vnc" and self.passwd and len(self.passwd) > 8:
            raise ConfigUnsupported(f"VNC password is {len(self.passwd)} characters long, only 8 permitted")
        if self.passwd_valid_to and not MOMENT.fullmatch(self.passwd_valid_to):
            raise InternalError(
                f"cannot parse password validity time '{self.passwd_valid_to}', expect YYYY-MM-DDTHH:MM:SS"
            )
        if self.p2p and self.address:
            raise XMLError("D-Bus p2p with an address is not supported")

    def demand(self, node: Node) -> None:
        """Raise XMLError for a setting without its value."""
        for inner in node.children if self.type == "spice" else ():
            attribute = SETTINGS.get(inner.tag)
            if attribute and inner.get(attribute) is None:
                raise XMLError(f"Missing required attribute '{attribute}' in element '{inner.tag}'")
        for place in self.listens:
            if place.type == "network" and not place.network:
                raise XMLError("'network' attribute is required for listen type 'network'")


MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}")
SETTINGS = {
    "image": "compression", "jpeg": "compression", "zlib": "compression", "playback": "compression",
    "streaming": "mode", "clipboard": "copypaste", "mouse": "mode", "filetransfer": "enable",
}  # fmt: skip
"""What each of spice's settings must say."""
