"""`<redirdev>` and `<redirfilter>`: USB devices that a remote viewer lends the guest, and which ones it may."""

import re
from typing import Annotated, Literal

from splitvirt.api.errors import ConfigUnsupported, InternalError, XMLError
from splitvirt.xml.devices.chardev import Backend, Chardev
from splitvirt.xml.devices.device import Device
from splitvirt.xml.element import Element, Form, Node, WrongValue, YesNo, attr, children


def usb_number(digits: int) -> Form:
    """A USB class or id; -1 is any."""

    def read(raw: str) -> int:
        if not re.fullmatch(r"-[0-9]+|0[xX][0-9a-fA-F]+|[0-9]+", raw):
            raise WrongValue("Expected integer value")
        value = int(raw, 0)
        if digits == 2 and not -1 <= value < 256:
            raise InternalError(f"Invalid USB Class code 0x{value & 0xFFFFFFFF:02x}")
        return value

    return Form(read, lambda value: f"0x{value:0{digits}X}")


def read_version(raw: str) -> int:
    """A USB version in binary coded decimals: "1.10" is 0x110."""
    found = re.fullmatch(r"([0-9]{1,2})\.([0-9]{1,2})", raw)
    if raw == "-1":
        return -1
    if not found:
        raise WrongValue
    major, minor = found.groups()
    low = int(minor.ljust(2, "0"), 16)
    return int(major, 16) << 8 | low


class UsbRule(Element, tag="usbdev"):
    """Whether devices that match may be redirected; -1 matches all."""

    class_: Annotated[int, usb_number(2)] | None = attr(omit=-1)
    vendor: Annotated[int, usb_number(4)] | None = attr(omit=-1)
    product: Annotated[int, usb_number(4)] | None = attr(omit=-1)
    version: Annotated[int, Form(read_version, lambda v: f"{v >> 8:x}.{v & 0xFF:02x}")] | None = attr(
        omit=-1, wrong=lambda raw: XMLError(f"Cannot parse USB device version {raw}")
    )
    allow: YesNo = attr()


class Redirfilter(Element, tag="redirfilter", hide_empty=True):
    """The rules, the first that matches decides."""

    rules: list[UsbRule] = children()


class Redirdev(Chardev, Device, tag="redirdev"):
    """A USB plug whose other end is a character device."""

    SOURCELESS = frozenset({"dbus"})

    type: Backend = attr(
        order=-1,
        missing=lambda: InternalError("missing type in redirdev"),
        wrong=lambda raw: ConfigUnsupported(f"unknown redirdev character device type '{raw}'"),
    )
    bus: Literal["usb"] = attr(
        default="usb", order=-2, wrong=lambda raw: ConfigUnsupported(f"unknown redirdev bus '{raw}'")
    )

    def check(self, node: Node) -> None:
        super().check(node)
        if self.type == "dbus" and not self.source.channel:
            self.source.channel = "org.qemu.usbredir"
