"""What boots and on what: architecture, emulator, machine, firmware, boot order."""

import os as host
from pathlib import Path
from uuid import uuid4

from splitvirt.api.errors import ConfigUnsupported, XMLDetail, XMLError
from splitvirt.xml.devices.device import Device
from splitvirt.xml.domain import Domain
from splitvirt.xml.os import Loader, Nvram, Os
from splitvirt.xml.sysinfo import SmbiosInfo
from virtqemud.emulator.capabilities import Capabilities

from .disks import ports

EMULATORS = {"x86_64": "qemu-system-x86_64", "i686": "qemu-system-i386"}
"""Emulators whose name does not follow from the architecture as "qemu-system-ARCH" does."""

ARCHITECTURES = frozenset((
    "alpha", "armv6l", "armv7l", "armv7b", "aarch64", "cris", "i686", "ia64", "itanium", "lm32", "loongarch64", "m68k",
    "microblaze", "microblazeel", "mips", "mipsel", "mips64", "mips64el", "or32", "parisc", "parisc64", "ppc", "ppcle",
    "ppc64", "ppc64le", "ppcemb", "riscv32", "riscv64", "s390", "s390x", "sh4", "sh4eb", "sparc", "sparc64",
    "unicore32", "x86_64", "xtensa", "xtensaeb",
))  # fmt: skip
RUNS = {"x86_64": ("x86_64", "i686"), "i686": ("i686",), "i386": ("i686",)}
"""Architectures of guests by the emulator's."""

TYPES = frozenset(("hvm", "xen", "linux", "exe", "uml", "xenpvh"))


def emulator(domain: Domain) -> str:
    """The path of the guest's emulator: what it says, or the one for its architecture.

    Raises ConfigUnsupported for architectures that do not exist or have no emulator here.
    """
    arch = domain.os.arch if domain.os and domain.os.arch else host.uname().machine
    if arch not in ARCHITECTURES:
        raise ConfigUnsupported(f"Unknown architecture {arch}")
    if domain.devices.emulator:
        return domain.devices.emulator
    path = Path("/usr/bin") / EMULATORS.get(arch, f"qemu-system-{arch}")
    if not path.exists():
        raise ConfigUnsupported(f"No emulator found for arch '{arch}'")
    return str(path)


def defaults(domain: Domain, caps: Capabilities, nvram: str = "/var/lib/libvirt/qemu/nvram") -> None:
    """Fill in what of the platform was left open; `nvram` is the folder of the guests' own firmware variables."""
    given = [info.system.get("uuid") for info in domain.sysinfo if isinstance(info, SmbiosInfo) and info.system]
    domain.uuid = domain.uuid or next((uuid for uuid in given if uuid), None) or str(uuid4())
    if domain.genid_wanted and not domain.genid:
        domain.genid = str(uuid4())
    system = domain.os
    if system is None or system.type is None:
        raise XMLError("an os <type> must be specified")
    domain.devices.emulator = domain.devices.emulator or caps.emulator
    platform(domain, system, caps)
    system.machine = caps.canonical(system.machine) if system.machine else caps.default_machine
    if system.machine and caps.machine(system.machine) is None:
        # At once: libvirt 9.0 gives PCI devices their places first, and says that an unknown machine has no PCI bus.
        words = f"Emulator '{domain.devices.emulator}' does not support machine type '{system.machine}'"
        raise ConfigUnsupported(words)
    firmware(domain, system, nvram)
    orders = [device.boot_order for device in devices(domain) if device.boot_order is not None]
    for order in orders:
        if orders.count(order) > 1:
            raise ConfigUnsupported(f"boot order '{order}' used for more than one device")
    if orders and system.boot:
        raise ConfigUnsupported("per-device boot elements cannot be used together with os/boot elements")
    if not system.boot and not orders:
        system.boot = ["hd"]


def devices(domain: Domain) -> list[Device]:
    """Devices that can be booted from."""
    found = domain.devices
    return [*found.disks, *found.interfaces, *found.hostdevs, *found.redirdevs, *found.filesystems]


def platform(domain: Domain, system: Os, caps: Capabilities) -> None:
    """What the emulator is and runs."""
    system.arch = system.arch or host.uname().machine
    runs = RUNS.get(caps.arch, (caps.arch,))
    binary = domain.devices.emulator
    if system.type not in TYPES:
        raise ConfigUnsupported(f"unknown OS type '{system.type}'")
    if system.type == "exe" and not system.init:
        raise XMLError("init binary must be specified")
    if system.arch not in runs:
        raise ConfigUnsupported(f"Emulator '{binary}' does not support arch '{system.arch}'")
    if system.type != "hvm":
        raise ConfigUnsupported(f"Emulator '{binary}' does not support os type '{system.type}'")
    if domain.type not in ("qemu", "kvm"):
        raise ConfigUnsupported(f"Emulator '{binary}' does not support virt type '{domain.type}'")
    # what only containers have
    system.init = system.initdir = system.inituser = system.initgroup = None
    system.initargs, system.initenv = [], []
    if domain.bootloader:
        raise ConfigUnsupported("bootloader is not supported by QEMU")


def firmware(domain: Domain, system: Os, nvram: str) -> None:
    """The kind of loader, and where the guest's own variables go."""
    loader = system.loader
    if system.nvram is not None and system.nvram.network is not None:
        ports(system.nvram.network)
    if loader is not None and loader.path and loader.type is None:
        loader.type = "rom"
    if system.nvram is not None and not (system.nvram.path or system.nvram.template is not None or system.nvram.source):
        system.nvram = None if (loader is not None and loader.path) or system.firmware else system.nvram
    if system.firmware is None and loader is not None and loader.type == "pflash" and loader.readonly and loader.path:
        system.nvram = system.nvram or Nvram(path=None)
        if system.nvram.path is None and system.nvram.type is None and not loader.stateless:
            system.nvram.path = f"{nvram}/{domain.name}_VARS.fd"
        elif loader.stateless and not system.nvram.path and system.nvram.type is None:
            system.nvram = None
    features(system)


def features(system: Os) -> None:
    """Enrolled keys are of no use without secure boot; each feature once, in order."""
    wanted = {feature.name: feature for feature in reversed(system.features)}
    enrolled, secure = wanted.get("enrolled-keys"), wanted.get("secure-boot")
    if system.firmware and enrolled is not None and enrolled.enabled:
        if secure is None:
            secure = wanted["secure-boot"] = type(enrolled)(enabled=True, name="secure-boot")
        if not secure.enabled:
            raise XMLDetail(
                "firmware feature 'enrolled-keys' cannot be enabled when firmware feature 'secure-boot' is disabled"
            )
    system.features = [wanted[name] for name in sorted(wanted)]


def check(domain: Domain, caps: Capabilities) -> None:
    """What contradicts itself. Raises XMLDetail, XMLError or ConfigUnsupported."""
    system = domain.os
    assert system is not None
    if system.machine == "none":
        raise ConfigUnsupported(f"Emulator '{domain.devices.emulator}' does not support machine type 'none'")
    if system.firmware:
        check_automatic(system)
    else:
        check_manual(system)
    if system.loader is not None and system.loader.stateless and system.nvram is not None:
        raise XMLDetail("NVRAM is not permitted when loader is stateless")
    check_platform(domain, system, system.loader or Loader())
    if system.bios_useserial and not domain.devices.serials:
        raise XMLError("need at least one serial port to use BIOS serial output")


def check_automatic(system: Os) -> None:
    """With a firmware that is chosen for the guest, only some things may be said about it."""
    loader, nvram = system.loader or Loader(), system.nvram
    for name, given in (
        ("readonly", loader.readonly is not None),
        ("type", loader.type is not None),
        ("secure", loader.secure is False),
    ):
        if given:
            raise XMLDetail(f"loader attribute '{name}' cannot be specified when firmware autoselection is enabled")
    if nvram is not None and nvram.template:
        raise XMLDetail("nvram attribute 'template' cannot be specified when firmware autoselection is enabled")
    if system.firmware != "efi":
        if loader.stateless is False:
            raise XMLDetail("Only EFI firmware permits NVRAM")
        if nvram is not None:
            raise XMLDetail(f"firmware type '{system.firmware}' does not support nvram")


def check_manual(system: Os) -> None:
    if system.features:
        raise XMLDetail("cannot use feature-based firmware autoselection when firmware autoselection is disabled")
    if (system.loader is not None or system.nvram is not None) and not (system.loader and system.loader.path):
        raise XMLDetail("no loader path specified and firmware auto selection disabled")
    if system.loader is not None and system.loader.stateless is False and system.loader.type != "pflash":
        raise XMLDetail("Only pflash loader type permits NVRAM")


def check_platform(domain: Domain, system: Os, loader: Loader) -> None:
    """What firmware needs of the machine."""
    uefi = system.firmware == "efi" or (system.firmware is None and loader.type == "pflash")
    if uefi and not (domain.features and domain.features.acpi):
        raise ConfigUnsupported("UEFI requires ACPI on this architecture")
    if loader.secure:
        if "q35" not in (system.machine or ""):
            raise ConfigUnsupported("Secure boot is supported with q35 machine types only")
        if system.arch != "x86_64":
            raise ConfigUnsupported("Secure boot is supported for x86_64 architecture only")
        smm = domain.features.smm if domain.features else None
        if not system.firmware and not (smm and smm.state):
            raise ConfigUnsupported("Secure boot requires SMM feature enabled")
