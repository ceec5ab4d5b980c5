"""Where the bytes of a disk are: a file, block device, folder, pool volume, network export, NVMe drive, vhost-user
socket. One class a kind; `<disk>`, `<backingStore>` and `<mirror>` say the kind in their own `type`.
"""

import re
from collections.abc import Mapping
from typing import Any, Literal

from splitvirt.api.errors import ConfigUnsupported, InvalidArg, XMLError
from splitvirt.xml.address import Pci
from splitvirt.xml.devices.encryption import Encryption, check_secret
from splitvirt.xml.element import (
    LIVE,
    SECURE,
    Element,
    Node,
    Unsigned,
    Unsigned64,
    YesNo,
    attr,
    child,
    children,
    size,
    text,
)
from splitvirt.xml.seclabel import DeviceLabel

StorageType = Literal["file", "block", "dir", "network", "volume", "nvme", "vhostuser"]
StorageFormat = Literal[
    "none", "raw", "dir", "bochs", "cloop", "dmg", "iso", "vpc", "vdi", "fat", "vhd", "ploop", "luks", "cow", "qcow",
    "qcow2", "qed", "vmdk",
]  # fmt: skip
Protocol = Literal[
    "none", "nbd", "rbd", "sheepdog", "gluster", "iscsi", "http", "https", "ftp", "ftps", "tftp", "ssh", "vxhs", "nfs",
]  # fmt: skip
StartupPolicy = Literal["mandatory", "requisite", "optional"]


class Auth(Element, tag="auth"):
    """Who we are to a storage server, and which of libvirt's secrets proves it."""

    username: str = attr(missing=lambda: XMLError("missing username for auth"))
    secret_type: str | None = attr("secret/@type")
    secret_uuid: str | None = attr("secret/@uuid")
    secret_usage: str | None = attr("secret/@usage")

    def check(self, node: Node) -> None:
        if node.find("secret") is None:
            raise XMLError("Missing <secret> element in auth")
        check_secret(self.secret_uuid, self.secret_usage)


class Host(Element, tag="host"):
    """A server of a network disk."""

    name: str | None = attr()
    port: Unsigned | None = attr(omit=0, wrong=lambda raw: InvalidArg(f"failed to parse port number '{raw}'"))
    transport: Literal["tcp", "unix", "rdma"] | None = attr(
        wrong=lambda raw: ConfigUnsupported(f"unknown protocol transport type '{raw}'")
    )
    socket: str | None = attr()

    def check(self, node: Node) -> None:
        if (self.port or 0) > 65535:
            raise InvalidArg(f"port '{self.port}' out of range")
        if self.transport == "unix":
            if self.socket is None:
                raise XMLError("missing socket for unix transport")
            self.name = None
        else:
            if self.socket is not None:
                raise XMLError(f"transport '{self.transport or '(null)'}' does not support socket attribute")
            if self.name is None:
                raise XMLError("missing name for host")

    def visible(self, bits: int) -> Mapping[str, Any]:
        """TCP goes without saying."""
        return self.__dict__ | {"transport": None} if self.transport == "tcp" else self.__dict__


class Cookie(Element, tag="cookie"):
    """One HTTP cookie."""

    name: str = attr(missing=lambda: XMLError("missing cookie name"))
    value: str | None = text(".")

    def check(self, node: Node) -> None:
        if not self.name:
            raise XMLError("missing cookie name")
        if not re.fullmatch(r"[!#$%&'*+.0-9A-Z^_`a-z|~-]+", self.name):
            raise XMLError(f"cookie name '{self.name}' contains invalid characters")
        if self.value is None:
            raise XMLError(f"missing value for cookie '{self.name}'")
        if not re.fullmatch(r"\"?[!#$%&'()*+./0-9:>=<?@A-Z^_`\[\]a-z|~-]+\"?", self.value):
            raise XMLError(f"value of cookie '{self.name}' contains invalid characters")


def no_slice() -> XMLError:
    """The error for a slice without bounds."""
    return XMLError("missing offset or size attribute of slice")


class Slice(Element, tag="slice"):
    """The part of the source that is the disk, in bytes."""

    type: str | None = attr()
    offset: Unsigned64 = attr(missing=no_slice)
    size: Unsigned64 = attr(missing=no_slice)


class SocketReconnect(Element, tag="reconnect"):
    """Whether and after how many seconds a lost connection is made again."""

    enabled: YesNo = attr()
    timeout: Unsigned | None = attr()

    def check(self, node: Node) -> None:
        if not self.enabled:
            self.timeout = None
        elif self.timeout is None:
            raise XMLError("Missing required attribute 'timeout' in element 'reconnect'")


class Reservations(Element, tag="reservations"):
    """SCSI persistent reservations, through a helper of our own (managed) or at a socket."""

    managed: YesNo = attr()
    type: Literal["unix"] | None = attr(
        "source/@type", wrong=lambda raw: XMLError(f"unsupported connection type for <reservations/>: {raw}")
    )
    path: str | None = attr("source/@path")
    mode: Literal["client"] | None = attr(
        "source/@mode", wrong=lambda raw: XMLError(f"unsupported connection mode for <reservations/>: {raw}")
    )

    def check(self, node: Node) -> None:
        for name, shown in (("type", "connection type"), ("path", "path"), ("mode", "connection mode")):
            if not self.managed and getattr(self, name) is None:
                raise XMLError(f"missing {shown} for <reservations/>")


class Common(Element, tag="source", hide_empty=True):
    """What every kind may say."""

    startup_policy: StartupPolicy | None = attr("@startupPolicy")
    index: Unsigned | None = attr(mode=LIVE)
    slices: list[Slice] = children("slices/")
    seclabels: list[DeviceLabel] = children()
    auth: Auth | None = child()
    encryption: Encryption | None = child()
    reservations: Reservations | None = child()

    def check(self, node: Node) -> None:
        self.slices = [part for part in self.slices if part.type == "storage"]  # libvirt knows no other and skips them

    @property
    def empty(self) -> bool:
        """Whether there is no medium."""
        return False


class FileSource(Common):
    """A file."""

    file: str | None = attr(order=-2, blank=True)
    fdgroup: str | None = attr(order=-1)

    @property
    def empty(self) -> bool:
        return not self.file


class BlockSource(Common):
    """A block device of the host."""

    dev: str | None = attr(blank=True)

    @property
    def empty(self) -> bool:
        return not self.dev


class DirSource(Common):
    """A folder, shown to the guest as a FAT disk."""

    dir: str | None = attr(blank=True)

    @property
    def empty(self) -> bool:
        return not self.dir


class VolumeSource(Common):
    """A volume of a storage pool."""

    pool: str | None = attr()
    volume: str | None = attr()
    mode: Literal["host", "direct"] | None = attr(
        wrong=lambda raw: ConfigUnsupported(f"unknown source mode '{raw}' for volume type disk")
    )

    def check(self, node: Node) -> None:
        super().check(node)
        if (self.pool is None) != (self.volume is None):
            raise XMLError("'pool' and 'volume' must be specified together for 'pool' type source")

    def visible(self, bits: int) -> Mapping[str, Any]:
        """The pool has the credentials."""
        return self.__dict__ | {"auth": None} if self.auth else self.__dict__

    @property
    def empty(self) -> bool:
        return self.pool is None


def no_number(raw: str) -> XMLError:
    """The error for a read-ahead or timeout that is no number."""
    return XMLError("invalid readahead size or timeout")


class NetworkSource(Common):
    """An export of a storage server."""

    protocol: Protocol = attr(missing=lambda: XMLError("Missing required attribute 'protocol' in element 'source'"))
    name: str | None = attr(blank=True)
    query: str | None = attr()
    tls: YesNo | None = attr()
    tls_hostname: str | None = attr("@tlsHostname")
    hosts: list[Host] = children()
    snapshot: str | None = attr("snapshot/@name")
    config: str | None = attr("config/@file")
    initiator: str | None = attr("initiator/iqn/@name")
    ssl_verify: YesNo | None = attr("ssl/@verify")
    cookies: list[Cookie] = children("cookies/", mode=SECURE)
    readahead: Unsigned64 | None = attr("readahead/@size", omit=0, wrong=no_number)
    timeout: Unsigned64 | None = attr("timeout/@seconds", omit=0, wrong=no_number)
    identity_user: str | None = attr("identity/@user")
    identity_group: str | None = attr("identity/@group")

    def check(self, node: Node) -> None:
        super().check(node)
        if node.get("name") is None and self.protocol != "nbd":
            raise XMLError("missing name for disk source")
        if self.protocol in ("gluster", "rbd") and not re.match("[^/]+/", self.name or ""):
            raise XMLError(f"can't split path '{self.name or ''}' into pool name and image name")
        if self.protocol not in ("http", "https", "ftp", "ftps", "tftp"):
            self.readahead = self.timeout = None
            self.cookies = []
        if self.protocol not in ("http", "https"):
            self.query = None
        names = [cookie.name for cookie in self.cookies]
        for name in names:
            if names.count(name) > 1:
                raise XMLError(f"duplicate cookie '{name}'")
        if self.protocol not in ("https", "ftps"):
            self.ssl_verify = None

    @property
    def empty(self) -> bool:
        return self.protocol == "none"


class HostAddress(Pci, tag="address"):
    """A PCI device of the host."""


class NvmeSource(Common):
    """A namespace of an NVMe drive, taken away from the host."""

    type: Literal["pci"] = attr(
        missing=lambda: XMLError("missing 'type' attribute to disk source"),
        wrong=lambda raw: XMLError(f"unsupported source type '{raw}'"),
    )
    managed: YesNo | None = attr()
    namespace: Unsigned64 = attr(
        missing=lambda: XMLError("missing 'namespace' attribute to disk source"),
        wrong=lambda raw: XMLError(f"malformed namespace '{raw}'"),
    )
    address: HostAddress = child(missing=lambda: XMLError("NVMe disk source is missing address"))


class VhostUserSource(Common):
    """Another program's socket that speaks vhost-user."""

    type: Literal["unix"] = attr(
        missing=lambda: XMLError("missing 'type' attribute for vhostuser disk source"),
        wrong=lambda raw: XMLError("invalid 'type' attribute for vhostuser disk source"),
    )
    path: str = attr(missing=lambda: XMLError("missing 'path' attribute for vhostuser disk source"))
    reconnect: SocketReconnect | None = child()


Source = FileSource | BlockSource | DirSource | VolumeSource | NetworkSource | NvmeSource | VhostUserSource
KINDS: dict[str, type[Common]] = {
    "file": FileSource,
    "block": BlockSource,
    "dir": DirSource,
    "volume": VolumeSource,
    "network": NetworkSource,
    "nvme": NvmeSource,
    "vhostuser": VhostUserSource,
}


class MetadataCache(Element, tag="metadata_cache", hide_empty=True):
    """How much of an image's tables stays in memory, in bytes."""

    max_size: int | None = size(unit="bytes", omit=0, xpath="./metadata_cache/max_size")


class Format(Element, tag="format"):
    """How an image below another is laid out."""

    type: StorageFormat = attr(
        missing=lambda: XMLError("missing disk backing store format"),
        wrong=lambda raw: XMLError(f"unknown storage source format '{raw}'"),
    )
    metadata_cache: MetadataCache | None = child()


class Storage(Element):
    """A base for what has `type` and `<source>`; of the fields one is there, which `source` gives."""

    type: StorageType | None = attr(default="file", order=-2)
    file: FileSource | None = child("source", when="file", order=-1)
    block: BlockSource | None = child("source", when="block", order=-1)
    dir: DirSource | None = child("source", when="dir", order=-1)
    volume: VolumeSource | None = child("source", when="volume", order=-1)
    network: NetworkSource | None = child("source", when="network", order=-1)
    nvme: NvmeSource | None = child("source", when="nvme", order=-1)
    vhostuser: VhostUserSource | None = child("source", when="vhostuser", order=-1)

    @property
    def source(self) -> Source | None:
        """The `<source>`, whatever its kind."""
        found: Source | None = getattr(self, self.type) if self.type else None
        return found

    @source.setter
    def source(self, value: Source | None) -> None:
        for kind, cls in KINDS.items():
            setattr(self, kind, value if type(value) is cls else None)
            if type(value) is cls:
                self.type = kind  # type: ignore[assignment]

    @property
    def empty(self) -> bool:
        """Whether there is no medium."""
        return self.source is None or self.source.empty
