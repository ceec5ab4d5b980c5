"""`<sysinfo>`: SMBIOS strings and firmware configuration blobs for the guest, and the host's own in `virsh sysinfo`."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from splitvirt.api.errors import VirtError, XMLDetail, XMLError
from splitvirt.xml.element import Element, attr, child, children, text, texts
from splitvirt.xml.node import Node

DATE = re.compile(r"(0?[1-9]|1[0-2])/(0?[1-9]|[12][0-9]|3[01])/([0-9]{2}|(19|20)[0-9]{2})")
UUID = re.compile(r"[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}")


def canonical_uuid(raw: str, error: VirtError) -> str:
    """A UUID with hyphens and in lower case; raises `error` for what is none."""
    if not UUID.fullmatch(raw.strip()):
        raise error
    digits = raw.strip().replace("-", "").lower()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


class Entry(Element, tag="entry"):
    """One named string."""

    name: str | None = attr()
    value: str | None = text(".")


class Table(Element, hide_empty=True):
    """Named strings, in the order that the standard has."""

    ORDER: ClassVar[tuple[str, ...]] = ()
    entries: list[Entry] = children()

    def check(self, node: Node) -> None:
        """Keep what the standard knows and has a value, in its order."""
        given = {e.name: e for e in reversed(self.entries) if e.value}
        self.entries = [given[name] for name in self.ORDER if name in given] if self.ORDER else self.entries

    def get(self, name: str) -> str | None:
        """The value of an entry."""
        return next((e.value for e in self.entries if e.name == name), None)


class Bios(Table, tag="bios"):
    """SMBIOS type 0."""

    ORDER = ("vendor", "version", "date", "release")

    def check(self, node: Node) -> None:
        super().check(node)
        date = self.get("date")
        if date is not None and not DATE.fullmatch(date):
            raise XMLDetail("Invalid BIOS 'date' format")


class System(Table, tag="system"):
    """SMBIOS type 1."""

    ORDER = ("manufacturer", "product", "version", "serial", "uuid", "sku", "family")

    def check(self, node: Node) -> None:
        super().check(node)
        for entry in self.entries:
            if entry.name == "uuid" and entry.value:
                entry.value = canonical_uuid(entry.value, XMLDetail("malformed <sysinfo> uuid element"))


class BaseBoard(Table, tag="baseBoard"):
    """SMBIOS type 2."""

    ORDER = ("manufacturer", "product", "version", "serial", "asset", "location")


class Chassis(Table, tag="chassis"):
    """SMBIOS type 3."""

    ORDER = ("manufacturer", "version", "serial", "asset", "sku")


class Processor(Table, tag="processor"):
    """SMBIOS type 4, of hosts."""


class MemoryDevice(Table, tag="memory_device"):
    """SMBIOS type 17, of hosts."""


class FwCfgEntry(Element, tag="entry"):
    """A blob by name, given here or in a file."""

    name: str = attr(missing=lambda: XMLError("Firmware entry is missing 'name' attribute"))
    file: str | None = attr()
    value: str | None = text(".")

    def check(self, node: Node) -> None:
        if self.file is None and self.value is None:
            raise XMLError("Firmware entry must have either value or 'file' attribute")

    def visible(self, bits: int) -> Mapping[str, Any]:
        """A file is kept, though a value that is given too is what QEMU is told."""
        return self.__dict__ if self.file is None else self.__dict__ | {"value": None}


class SmbiosInfo(Element, tag="sysinfo", when=("type", "smbios")):
    """SMBIOS strings."""

    type: str = attr(default="smbios")
    bios: Bios | None = child()
    system: System | None = child()
    baseboards: list[BaseBoard] = children()
    chassis: Chassis | None = child()
    processors: list[Processor] = children()
    memory_devices: list[MemoryDevice] = children()
    oem_strings: list[str] = texts("oemStrings/entry")


class FwCfgInfo(Element, tag="sysinfo", when=("type", "fwcfg")):
    """Firmware configuration (`-fw_cfg`)."""

    type: str = attr(default="fwcfg")
    entries: list[FwCfgEntry] = children()
