"""The `qemu:` namespace: what goes to QEMU unexamined. Using it taints the guest."""

from typing import Literal

from splitvirt.xml.element import Element, attr, children

NAMESPACE = "http://libvirt.org/schemas/domain/qemu/1.0"


class Arg(Element, tag="qemu:arg"):
    """One argument."""

    value: str = attr()


class Env(Element, tag="qemu:env"):
    """One variable of QEMU's environment."""

    name: str = attr()
    value: str | None = attr()


class Commandline(Element, tag="qemu:commandline", hide_empty=True):
    """Further arguments and environment."""

    args: list[Arg] = children()
    env: list[Env] = children()


class AddCapability(Element, tag="qemu:add"):
    """One that the emulator does not show."""

    capability: str = attr()


class DelCapability(Element, tag="qemu:del"):
    """One that is not to be used."""

    capability: str = attr()


class QemuCapabilities(Element, tag="qemu:capabilities", hide_empty=True):
    """Changes to what the emulator is believed to have."""

    add: list[AddCapability] = children()
    delete: list[DelCapability] = children()


class Property(Element, tag="qemu:property"):
    """A property of a device's frontend."""

    name: str = attr()
    type: Literal["string", "signed", "unsigned", "bool", "remove"] = attr()
    value: str | None = attr()


class DeviceOverride(Element, tag="qemu:device"):
    """Changes to the properties of the device with this alias."""

    alias: str = attr()
    properties: list[Property] = children("qemu:frontend/")


class Override(Element, tag="qemu:override", hide_empty=True):
    """Changes to devices' properties."""

    devices: list[DeviceOverride] = children()


class Deprecation(Element, tag="qemu:deprecation"):
    """What QEMU does when something deprecated is used."""

    behavior: Literal["none", "omit", "reject", "crash"] = attr()
