"""Calls on the driver about many guests: lists, bulk statistics; and about none: capabilities, conversions."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING, get_args

from splitvirt.api import constants as c
from splitvirt.api.domain import DomainStats
from splitvirt.api.errors import ConfigUnsupported, InvalidArg
from splitvirt.api.hypervisor import Hypervisor

from .flags import STATS, only

if TYPE_CHECKING:
    from splitvirt.store.registry import Registry

    from .domain.domain import QemuDomain
    from .emulator.capabilities import Capabilities
    from .emulator.probe import Prober

QEMU = c.VIR_FROM_QEMU
EMULATORS = {"x86_64": "qemu-system-x86_64", "i686": "qemu-system-i386", "aarch64": "qemu-system-aarch64"}
ARCHITECTURES = (
    "alpha", "armv6l", "armv7l", "armv7b", "aarch64", "cris", "i686", "ia64", "lm32", "m68k", "microblaze",
    "microblazeel", "mips", "mipsel", "mips64", "mips64el", "openrisc", "parisc", "parisc64", "ppc", "ppc64",
    "ppc64le", "ppcemb", "riscv32", "riscv64", "s390", "s390x", "sh4", "sh4eb", "sparc", "sparc64", "unicore32",
    "x86_64", "xtensa", "xtensaeb", "loongarch64",
)  # fmt: skip
"""Names that libvirt knows."""

_STATES = {
    c.VIR_DOMAIN_RUNNING: c.VIR_CONNECT_LIST_DOMAINS_RUNNING,
    c.VIR_DOMAIN_PAUSED: c.VIR_CONNECT_LIST_DOMAINS_PAUSED,
    c.VIR_DOMAIN_SHUTOFF: c.VIR_CONNECT_LIST_DOMAINS_SHUTOFF,
}
_ANY_STATE = sum(_STATES.values()) | c.VIR_CONNECT_LIST_DOMAINS_OTHER


class Listing(Hypervisor):
    """Many guests at once, or none."""

    guests: Registry[QemuDomain]
    prober: Prober

    async def domains(self, flags: int = 0) -> list[QemuDomain]:
        """The guests that flags ask for: any of each group of flags, every group."""
        asked = flags & (c.VIR_CONNECT_LIST_DOMAINS_ACTIVE | c.VIR_CONNECT_LIST_DOMAINS_INACTIVE)
        among = self.guests.active() if asked == c.VIR_CONNECT_LIST_DOMAINS_ACTIVE else self.guests
        return [guest for guest in among if await self._wanted(guest, flags)]

    async def _wanted(self, guest: QemuDomain, flags: int) -> bool:
        halves = [
            (c.VIR_CONNECT_LIST_DOMAINS_ACTIVE, c.VIR_CONNECT_LIST_DOMAINS_INACTIVE, guest.active),
            (c.VIR_CONNECT_LIST_DOMAINS_PERSISTENT, c.VIR_CONNECT_LIST_DOMAINS_TRANSIENT, guest.persistent),
            (c.VIR_CONNECT_LIST_DOMAINS_HAS_SNAPSHOT, c.VIR_CONNECT_LIST_DOMAINS_NO_SNAPSHOT, False),
            (c.VIR_CONNECT_LIST_DOMAINS_HAS_CHECKPOINT, c.VIR_CONNECT_LIST_DOMAINS_NO_CHECKPOINT, False),
        ]
        for yes, no, ask in (  # files on the disk: looked at where it matters
            (c.VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE, c.VIR_CONNECT_LIST_DOMAINS_NO_MANAGEDSAVE, guest.has_managed_save),
            (c.VIR_CONNECT_LIST_DOMAINS_AUTOSTART, c.VIR_CONNECT_LIST_DOMAINS_NO_AUTOSTART, guest.autostart),
        ):
            if flags & (yes | no):
                halves.append((yes, no, await ask()))
        if any(flags & (yes | no) and not flags & (yes if so else no) for yes, no, so in halves):
            return False
        state = _STATES.get(guest.current_state, c.VIR_CONNECT_LIST_DOMAINS_OTHER)
        return not flags & _ANY_STATE or bool(flags & state)

    async def stats(self, domains: list[QemuDomain] = [], stats: int = 0, flags: int = 0) -> list[DomainStats]:  # type: ignore[override]  # noqa: B006
        """Statistics of these guests, or of those that flags ask for, as in `domains`."""
        unknown = stats & ~STATS
        if unknown and flags & c.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ENFORCE_STATS:
            raise InvalidArg(f"Stats types bits 0x{unknown:x} are not supported by this daemon", domain=QEMU)
        wanted = domains or await self.domains(flags & 0xFF)
        nowait = bool(flags & c.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT)
        told = await asyncio.gather(*(guest.statistics(stats or STATS, nowait=nowait) for guest in wanted))
        return [DomainStats(guest, params) for guest, params in zip(wanted, told, strict=True)]

    # ---- capabilities

    def usual_emulator(self, arch: str) -> str:
        """The emulator for an architecture. ConfigUnsupported where none is installed."""
        found = shutil.which(EMULATORS.get(arch, f"qemu-system-{arch}"))
        if found is None:
            raise ConfigUnsupported(f"No emulator found for arch '{arch}'", domain=QEMU)
        return found

    async def emulators(self) -> list[tuple[str, Capabilities]]:
        """The installed emulators of the host's own architectures, with what they can do."""
        import platform

        found = []
        for arch in ("i686", platform.machine()) if platform.machine() == "x86_64" else (platform.machine(),):
            path = shutil.which(EMULATORS.get(arch, f"qemu-system-{arch}"))
            if path is not None:
                found.append((arch, await self.prober.get(path, kvm=True)))
        return found

    async def domain_capabilities(
        self,
        emulator: str | None = None,
        arch: str | None = None,
        machine: str | None = None,
        virt_type: str | None = None,
        flags: int = 0,
    ) -> str:
        """What guests of a kind can have."""
        from splitvirt.xml.domain import VirtType

        from .emulator.domcaps import domain_capabilities_xml

        only(flags, 0, "qemuConnectGetDomainCapabilities")
        if virt_type is not None and virt_type not in get_args(VirtType):
            raise InvalidArg(f"unknown virttype: {virt_type}", domain=QEMU)
        if arch is not None and arch not in ARCHITECTURES:
            raise InvalidArg(f"unknown architecture: {arch}", domain=QEMU)
        caps = await self.prober.get(emulator or self.usual_emulator(arch or "x86_64"), kvm=virt_type in (None, "kvm"))
        if arch is not None and arch != caps.arch and (arch, caps.arch) != ("i686", "i386"):
            raise InvalidArg(f"architecture from emulator '{caps.arch}' doesn't match given architecture '{arch}'", domain=QEMU)  # fmt: skip  # noqa: E501
        if virt_type is not None and virt_type not in caps.accelerators:
            raise InvalidArg(f"KVM is not supported by '{caps.emulator}' on this host", domain=QEMU)
        wanted = machine or caps.default_machine or "pc"
        if caps.machine(wanted) is None:
            raise InvalidArg(f"the machine '{wanted}' is not supported by emulator '{caps.emulator}'", domain=QEMU)
        return domain_capabilities_xml(caps, caps.canonical(wanted), virt_type or caps.accelerators[-1])

    async def xml_to_native(self, format: str, xml: str, flags: int = 0) -> str:
        """Domain XML as QEMU's command line, with libvirt's paths of a guest that has no number yet."""
        only(flags, 0, "qemuConnectDomainXMLToNative")
        if format != "qemu-argv":
            raise InvalidArg(f"unsupported config type {format}", domain=QEMU)
        return await self.native(xml) + "\n"

    async def native(self, xml: str) -> str:
        """The command line of a configuration; nothing is opened or made."""
        raise NotImplementedError
