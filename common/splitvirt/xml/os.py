"""`<os>`: what boots, and how."""

from typing import Literal

from splitvirt.xml.element import Element, NonNegative, Signed, YesNo, attr, attrs, child, children, text, texts

BootDevice = Literal["hd", "fd", "cdrom", "network"]


class FirmwareFeature(Element, tag="feature"):
    """What a firmware must have, or must not."""

    enabled: YesNo = attr()
    name: Literal["enrolled-keys", "secure-boot"] = attr()


class Loader(Element, tag="loader"):
    """The firmware's code."""

    readonly: YesNo | None = attr()
    secure: YesNo | None = attr()
    type: Literal["rom", "pflash"] | None = attr()
    stateless: YesNo | None = attr()
    format: str | None = attr()
    path: str | None = text(".")


class Nvram(Element, tag="nvram"):
    """The firmware's variables: a file of the guest's own, made from `template`, or a source as a disk has it."""

    template: str | None = attr()
    format: str | None = attr()
    path: str | None = text(".")


class InitEnv(Element, tag="initenv"):
    """One variable of a container's first process."""

    name: str = attr()
    value: str | None = text(".")


class AcpiTable(Element, tag="table"):
    """An ACPI table from a file."""

    type: Literal["slic"] = attr()
    path: str | None = text(".")


class Os(Element, tag="os"):
    """What boots, and how."""

    firmware: Literal["bios", "efi"] | None = attr()
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
    bootmenu_timeout: NonNegative | None = attr("bootmenu/@timeout")
    bios_useserial: YesNo | None = attr("bios/@useserial")
    bios_reboot_timeout: Signed | None = attr("bios/@rebootTimeout")
    smbios: Literal["emulate", "host", "sysinfo"] | None = attr("smbios/@mode")
