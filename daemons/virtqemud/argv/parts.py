"""What a device, or another part of a guest, needs to run: arguments, and what the driver must bring about for them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


def escape(value: str) -> str:
    """A value inside a key=value option: commas are doubled."""
    return value.replace(",", ",,")


def options(first: str = "", /, **values: Any) -> str:
    """`first,key=value,...` without the None values; True and False are on and off, "_" in keys is "-"."""
    pairs = [f"{key.rstrip('_').replace('_', '-')}={spell(v)}" for key, v in values.items() if v is not None]
    return ",".join([first, *pairs] if first else pairs)


def spell(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return escape(str(value))


def compact(value: Mapping[str, Any]) -> str:
    """A JSON argument without its None values, as libvirt prints it."""
    return json.dumps(plain(value), separators=(",", ":"), ensure_ascii=False)


def plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: plain(v) for k, v in value.items() if v is not None}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value


@dataclass
class Helper:
    """A process that must serve a socket before QEMU starts, and ends with the guest."""

    name: str
    argv: Sequence[str]
    socket: str = ""
    pidfile: str = ""
    fds: Sequence[int] = ()
    as_guest: bool = False
    """Whether it runs as the guest's user, else as the driver does."""


@dataclass
class Parts:
    """A list of needs; `+=` another's to it."""

    args: list[str] = field(default_factory=list)
    fds: list[int] = field(default_factory=list)
    """Open descriptors that QEMU inherits under the same number."""
    folders: list[str] = field(default_factory=list)
    """Directories that must be there."""
    files: dict[str, bytes] = field(default_factory=dict)
    """Files to be written, readable by QEMU alone."""
    sockets: list[str] = field(default_factory=list)
    """UNIX sockets that QEMU makes: removed before the start and after the end."""
    paths: list[str] = field(default_factory=list)
    """Files and devices of the host that QEMU opens: for labels, cgroups and checks."""
    helpers: list[Helper] = field(default_factory=list)

    def add(self, *args: str) -> None:
        """Append arguments as they are."""
        self.args += args

    def json(self, option: str, value: Mapping[str, Any]) -> None:
        """Append an option that takes JSON."""
        self.args += [option, compact(value)]

    def object(self, qom_type: str, id: str, **properties: Any) -> None:
        """Append `-object`; "_" in names is "-"."""
        named = {key.rstrip("_").replace("_", "-"): v for key, v in properties.items()}
        self.json("-object", {"qom-type": qom_type, "id": id} | named)

    def __iadd__(self, other: "Parts") -> "Parts":
        self.args += other.args
        self.fds += other.fds
        self.folders += other.folders
        self.files |= other.files
        self.sockets += other.sockets
        self.paths += other.paths
        self.helpers += other.helpers
        return self
