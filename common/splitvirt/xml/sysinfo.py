"""`<sysinfo>`: SMBIOS strings and firmware configuration blobs for the guest, and the host's own in `virsh sysinfo`."""

from typing import ClassVar

from splitvirt.xml.element import Element, attr, child, children, text, texts
from splitvirt.xml.node import Node


class Entry(Element, tag="entry"):
    """One named string."""

    name: str | None = attr()
    value: str | None = text(".")


class Table(Element):
    """Named strings, in the order that the standard has."""

    ORDER: ClassVar[tuple[str, ...]] = ()
    entries: list[Entry] = children()

    def check(self, node: Node) -> None:
        """Put known entries in order; the others stay after them."""
        order = {name: i for i, name in enumerate(self.ORDER)}
        self.entries.sort(key=lambda e: order.get(e.name or "", len(order)))

    def get(self, name: str) -> str | None:
        """The value of an entry."""
        return next((e.value for e in self.entries if e.name == name), None)


class Bios(Table, tag="bios"):
    """SMBIOS type 0."""

    ORDER = ("vendor", "version", "date", "release")


class System(Table, tag="system"):
    """SMBIOS type 1."""

    ORDER = ("manufacturer", "product", "version", "serial", "uuid", "sku", "family")


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

    name: str = attr()
    file: str | None = attr()
    value: str | None = text(".")


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
