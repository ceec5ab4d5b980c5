"""`<os>`: what boots, and how."""

from typing import Literal

from splitvirt.api.errors import ConfigUnsupported, XMLError
from splitvirt.xml.devices.source import Storage, StorageType
from splitvirt.xml.element import Element, OnlyYes, Signed, Unsigned, YesNo, attr, attrs, child, children, text, texts
from splitvirt.xml.node import Node

BootDevice = Literal["hd", "fd", "cdrom", "network"]


class FirmwareFeature(Element, tag="feature"):
    """What a firmware must have, or must not."""

    enabled: YesNo = attr()
    name: Literal["enrolled-keys", "secure-boot"] = attr()


class Loader(Element, tag="loader", hide_empty=True):
    """The firmware's code."""

    readonly: YesNo | None = attr()
    secure: YesNo | None = attr()
    type: Literal["rom", "pflash"] | None = attr()
    stateless: YesNo | None = attr()
    path: str | None = text(".")


class Nvram(Storage, tag="nvram"):
    """The firmware's variables: a file of the guest's own, made from `template`, or a source as a disk has it."""

    template: str | None = attr(order=-3)
    type: StorageType | None = attr(order=-2)
    path: str | None = text(".")

    def check(self, node: Node) -> None:
        """A path and a source exclude each other."""
        if self.type is not None:
            self.path = None


class InitEnv(Element, tag="initenv"):
    """One variable of a container's first process."""

    name: str = attr()
    value: str | None = text(".")


class AcpiTable(Element, tag="table"):
    """An ACPI table from a file."""

    type: Literal["slic"] = attr(
        missing=lambda: XMLError("Missing acpi table type"),
        wrong=lambda raw: XMLError(f"Unknown acpi table type: {raw}"),
    )
    path: str | None = text(".")


class Os(Element, tag="os"):
    """What boots, and how."""

    firmware: Literal["bios", "efi"] | None = attr(
        blank=True, wrong=lambda raw: XMLError(f"unknown firmware value {raw}")
    )
    arch: str | None = attr("type/@arch")
    machine: str | None = attr("type/@machine")
    type: str | None = text("type")
    init: str | None = text()
    initargs: list[str] = texts("initarg")
    initenv: list[InitEnv] = children()
    initdir: str | None = text()
    inituser: str | None = text()
    initgroup: str | None = text()
    features: list[FirmwareFeature] = children("firmware/")
    loader: Loader | None = child()
    nvram: Nvram | None = child()
    kernel: str | None = text()
    initrd: str | None = text()
    cmdline: str | None = text()
    dtb: str | None = text()
    root: str | None = text()
    acpi_tables: list[AcpiTable] = children("acpi/")
    boot: list[BootDevice] = attrs("boot/@dev")
    bootmenu: YesNo | None = attr("bootmenu/@enable")
    bootmenu_timeout: Unsigned | None = attr("bootmenu/@timeout")
    bios_useserial: OnlyYes | None = attr("bios/@useserial")
    bios_reboot_timeout: Signed | None = attr("bios/@rebootTimeout")
    smbios: Literal["emulate", "host", "sysinfo"] | None = attr(
        "smbios/@mode", blank=True, wrong=lambda raw: ConfigUnsupported(f"unknown smbios mode '{raw}'")
    )

    def check(self, node: Node) -> None:
        """What is out of range, and what each kind of guest does not have."""
        if len(self.acpi_tables) > 1:
            raise XMLError("Only one acpi table is supported")
        if self.bootmenu_timeout is not None and self.bootmenu_timeout > 65535:
            raise ConfigUnsupported("invalid value for boot menu timeout, must be in range [0,65535]")
        if self.bios_reboot_timeout is not None and not -1 <= self.bios_reboot_timeout <= 65535:
            raise ConfigUnsupported("invalid value for rebootTimeout, must be in range [-1,65535]")
        if not self.bootmenu:
            self.bootmenu_timeout = None
        for inner in node.children:
            if inner.tag == "boot" and "dev" not in inner.attrs:
                raise XMLError("Missing required attribute 'dev' in element 'boot'")
