"""Character devices' host side: where the bytes of a serial port, channel, smart card, ... go to and come from."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from splitvirt.api.errors import ConfigUnsupported, InternalError, InvalidArg, XMLError
from splitvirt.xml.element import LIVE, Element, Node, OnOff, Unsigned, YesNo, attr, child, children
from splitvirt.xml.seclabel import DeviceLabel, unique

Backend = Literal[
    "null", "vc", "pty", "dev", "file", "pipe", "stdio", "udp", "tcp", "unix",
    "spicevmc", "spiceport", "nmdm", "qemu-vdagent", "dbus",
]  # fmt: skip

KEPT = {
    "pty": ("path", "seclabels"),
    "dev": ("path", "seclabels"),
    "file": ("path", "append", "seclabels"),
    "pipe": ("path", "seclabels"),
    "udp": ("mode", "host", "service", "seclabels"),
    "tcp": ("mode", "host", "service", "tls", "reconnect", "seclabels"),
    "unix": ("mode", "path", "reconnect", "seclabels"),
    "spiceport": ("channel",),
    "dbus": ("channel",),
    "nmdm": ("master", "slave", "seclabels"),
    "qemu-vdagent": ("copypaste", "mouse_mode"),
}
"""What of `<source>` each backend has; the rest is dropped, as libvirt drops it."""
CHILDREN = {"seclabels": "seclabel", "copypaste": "clipboard", "mouse_mode": "mouse"}
"""Those of them that are children, and their tags."""


class Reconnect(Element, tag="reconnect", hide_empty=True):
    """Whether and after how many seconds a lost connection is made again."""

    enabled: YesNo | None = attr()
    timeout: Unsigned | None = attr()

    def check(self, node: Node) -> None:
        if not self.enabled:
            self.timeout = None
        elif self.timeout is None:
            raise XMLError("Missing required attribute 'timeout' in element 'reconnect'")


class ChardevSource(Element, tag="source", hide_empty=True):
    """One end on the host: a path, an address, or a channel's name."""

    mode: Literal["bind", "connect"] | None = attr()
    path: str | None = attr()
    host: str | None = attr()
    service: str | None = attr()
    tls: YesNo | None = attr()
    tls_from_config: int | None = attr("@tlsFromConfig")
    channel: str | None = attr()
    master: str | None = attr()
    slave: str | None = attr()
    append: OnOff | None = attr()
    copypaste: YesNo | None = attr("clipboard/@copypaste", needed=True)
    mouse_mode: Literal["server", "client"] | None = attr("mouse/@mode", needed=True)
    reconnect: Reconnect | None = child()
    seclabels: list[DeviceLabel] = children()

    def visible(self, bits: int) -> Mapping[str, Any]:
        return self.__dict__ | {"tls_from_config": None}


class Chardev(Element):
    """A base for what has a character device as its backend; its fields come first."""

    SOURCELESS: ClassVar[frozenset[str]] = frozenset()
    """Backends that need no source here: the driver gives them one."""

    type: Backend | None = attr(
        order=-1,
        default="pty",
        wrong=lambda raw: ConfigUnsupported(f"unknown type presented to host for character device: {raw}"),
    )
    sources: list[ChardevSource] = children(order=-1)
    log_file: str | None = attr("log/@file", order=-1)
    log_append: OnOff | None = attr("log/@append", order=-1)
    protocol: Literal["raw", "telnet", "telnets", "tls"] | None = attr(
        "protocol/@type", order=-1, when="tcp", wrong=lambda raw: ConfigUnsupported(f"Unknown protocol '{raw}'")
    )

    @classmethod
    def parse(cls, node: Node, lost: list[tuple[Node, str]] | None = None) -> Self:
        """Of a source only what its backend has is read, so that the rest cannot be wrong either."""
        kept = {CHILDREN.get(name, name) for name in KEPT.get(node.attrs.get("type", "pty"), ())} | {"seclabel"}
        for source in node.children:
            if source.tag == "source":
                other = [inner for inner in source.children if inner.tag not in kept]
                if lost is not None:
                    lost += [(source, f"@{name}") for name in source.attrs if name not in kept]
                    lost += [(inner, "") for inner in other]
                source.attrs = {name: raw for name, raw in source.attrs.items() if name in kept}
                source.children = [inner for inner in source.children if inner not in other]
        return super().parse(node, lost)

    def check(self, node: Node) -> None:
        if sum(inner.tag == "protocol" for inner in node.children) > 1 and self.type == "tcp":
            raise XMLError("only one protocol element is allowed for character device")
        self.tidy()

    def tidy(self) -> None:
        """Leave of the sources what this type of backend has. Raises VirtError for too many, or what is missing."""
        limit = 2 if self.type == "udp" else 1
        if len(self.sources) > limit:
            words = "two source elements are" if limit == 2 else "one source element is"
            raise XMLError(f"only {words} allowed for character device")
        kept = KEPT.get(self.type or "", ())
        for source in self.sources:
            if "mode" in kept and source.mode is None:
                source.mode = "connect"
        if not kept:
            self.sources = []
        for source in self.sources:
            unique(source.seclabels)
        if self.type == "udp":
            self.sources = list({source.mode: source for source in reversed(self.sources)}.values())
            self.sources.sort(key=lambda s: s.mode or "")
        if self.type == "tcp" and self.protocol is None:
            self.protocol = "raw"
        if self.log_file is None:
            self.log_append = None
        self.demand()

    def demand(self) -> None:
        """Raise InternalError or ConfigUnsupported for a source that cannot do without something."""
        source = self.sources[0] if self.sources else ChardevSource()
        missing = ""
        match self.type if self.needs_source() else "":
            case "file" | "dev" | "pipe" | "unix":
                missing = "path" if source.path is None else ""
            case "tcp":
                missing = "host" if source.host is None else "service" if source.service is None else ""
            case "udp":
                far = self.end("connect")
                missing = "service" if far is None or far.service is None else ""
            case "nmdm" if self.sources:
                if (source.master is None) is not (source.slave is None):
                    raise InternalError("Should define both master and slave path attributes for nmdm device")
            case "spiceport" | "dbus" if source.channel is None:
                raise ConfigUnsupported("Missing source channel attribute for char device")
        if missing:
            raise InternalError(f"Missing source {missing} attribute for char device")
        if source.reconnect and source.reconnect.enabled and source.reconnect.timeout == 0:
            raise InvalidArg("chardev reconnect source timeout cannot be '0'")
        if source.mode == "bind" and source.reconnect and source.reconnect.enabled:
            raise InternalError("chardev reconnect is possible only for connect mode")

    def needs_source(self) -> bool:
        """Whether the backend cannot do without one here."""
        return self.type not in self.SOURCELESS

    @property
    def source(self) -> ChardevSource:
        """The only source, made when there is none yet (not for udp, which may have two)."""
        if not self.sources:
            self.sources.append(ChardevSource())
        return self.sources[0]

    def end(self, mode: str) -> ChardevSource | None:
        """The udp source that binds, or that connects."""
        return next((s for s in self.sources if s.mode == mode), None)

    def hidden(self, bits: int, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """What is written: a pty's path is known only while the guest runs; a socket without a path has no source."""
        if not self.sources:
            return values
        if (self.type == "pty" and not bits & LIVE) or (self.type == "unix" and self.sources[0].path is None):
            kept = [ChardevSource(seclabels=s.seclabels) for s in self.sources if s.seclabels]
            return {**values, "sources": kept}
        return values
