"""The `qemu:` namespace: what goes to QEMU unexamined. Using it taints the guest."""

import re
from typing import Literal

from splitvirt.api.errors import InternalError, XMLError
from splitvirt.xml.element import Element, attr, children
from splitvirt.xml.node import Node

NAMESPACE = "http://libvirt.org/schemas/domain/qemu/1.0"


class Arg(Element, tag="qemu:arg"):
    """One argument."""

    value: str = attr(missing=lambda: InternalError("No qemu command-line argument specified"))


class Env(Element, tag="qemu:env"):
    """One variable of QEMU's environment."""

    name: str = attr(missing=lambda: InternalError("No qemu environment name specified"))
    value: str | None = attr()

    def check(self, node: Node) -> None:
        if not re.match("[A-Za-z_]", self.name):
            raise InternalError("Invalid environment name, it must begin with a letter or underscore")
        if not re.fullmatch("[A-Za-z0-9_]+", self.name):
            raise InternalError("Invalid environment name, it must contain only alphanumerics and underscore")


class Commandline(Element, tag="qemu:commandline", hide_empty=True):
    """Further arguments and environment."""

    args: list[Arg] = children()
    env: list[Env] = children()


class AddCapability(Element, tag="qemu:add"):
    """One that the emulator does not show."""

    capability: str = attr(missing=lambda: InternalError("missing capability name"))


class DelCapability(Element, tag="qemu:del"):
    """One that is not to be used."""

    capability: str = attr(missing=lambda: InternalError("missing capability name"))


class QemuCapabilities(Element, tag="qemu:capabilities", hide_empty=True):
    """Changes to what the emulator is believed to have."""

    add: list[AddCapability] = children()
    delete: list[DelCapability] = children()


class Property(Element, tag="qemu:property"):
    """A property of a device's frontend."""

    name: str = attr(missing=lambda: XMLError("missing 'name' attribute for qemu:property"))
    type: Literal["string", "signed", "unsigned", "bool", "remove"] = attr(
        missing=lambda: XMLError("Missing required attribute 'type' in element 'property'"),
        wrong=lambda raw: XMLError(f"Invalid value for attribute 'type' in element 'property': '{raw}'."),
    )
    value: str | None = attr()

    def check(self, node: Node) -> None:
        if self.name == "id":
            raise XMLError("property with name 'id' can't be overridden")
        if self.type == "remove":
            self.value = None
        elif self.value is None:
            raise XMLError("missing 'value' attribute for 'qemu:property'")
        elif not SPELLINGS[self.type].fullmatch(self.value):
            raise XMLError(f"invalid value '{self.value}' of 'value' attribute of 'qemu:property'")


SPELLINGS = {
    "string": re.compile(r".*", re.DOTALL),
    "signed": re.compile(r"[+-]?([0-9]+|0[xX][0-9a-fA-F]+)"),
    "unsigned": re.compile(r"\+?([0-9]+|0[xX][0-9a-fA-F]+)"),
    "bool": re.compile(r"true|false"),
}
"""How a property's value is written, by type."""


class DeviceOverride(Element, tag="qemu:device"):
    """Changes to the properties of the device with this alias."""

    alias: str = attr(missing=lambda: XMLError("missing 'alias' attribute for qemu:device"))
    properties: list[Property] = children("qemu:frontend/")


class Override(Element, tag="qemu:override", hide_empty=True):
    """Changes to devices' properties."""

    devices: list[DeviceOverride] = children()


class Deprecation(Element, tag="qemu:deprecation", hide_empty=True):
    """What QEMU does when something deprecated is used: "none", "omit", "reject", "crash"; kept whatever it is."""

    behavior: str | None = attr(blank=True)
