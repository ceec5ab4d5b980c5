"""Kinds of machines, by the canonical name."""

from splitvirt.xml.devices.controller import PciController
from splitvirt.xml.domain import Domain

X86 = ("x86_64", "i686")


def name(domain: Domain) -> str:
    """The machine's name, empty when it is not known yet."""
    return (domain.os.machine if domain.os else None) or ""


def is_x86(domain: Domain) -> bool:
    """Whether the guest is a PC."""
    return domain.os is not None and domain.os.arch in X86


def is_i440fx(domain: Domain) -> bool:
    """The old PC: PCI, IDE."""
    machine = name(domain)
    return is_x86(domain) and (machine == "pc" or machine.startswith(("pc-0.", "pc-1.", "pc-i440")))


def is_q35(domain: Domain) -> bool:
    """The newer PC: PCIe, SATA."""
    machine = name(domain)
    return is_x86(domain) and (machine == "q35" or machine.startswith("pc-q35"))


def is_microvm(domain: Domain) -> bool:
    """A machine without PCI."""
    return is_x86(domain) and name(domain) == "microvm"


def is_isapc(domain: Domain) -> bool:
    """The PC before PCI."""
    return is_x86(domain) and name(domain) == "isapc"


def without_usb(domain: Domain) -> bool:
    """A machine that has no USB controller unless one is written."""
    return is_microvm(domain) or is_isapc(domain)


def has_pcie(domain: Domain) -> bool:
    """Whether bus 0 is PCIe."""
    return any(isinstance(c, PciController) and c.model == "pcie-root" for c in domain.devices.controllers)
