"""Which flags calls know, and libvirt's words for others."""

from splitvirt.api import constants as c
from splitvirt.api.errors import VirtError

START_FLAGS = (
    c.VIR_DOMAIN_START_PAUSED
    | c.VIR_DOMAIN_START_AUTODESTROY
    | c.VIR_DOMAIN_START_BYPASS_CACHE
    | c.VIR_DOMAIN_START_FORCE_BOOT
    | c.VIR_DOMAIN_START_VALIDATE
    | c.VIR_DOMAIN_START_RESET_NVRAM
)


def only(flags: int, allowed: int, function: str) -> None:
    """Refuse flags that a call does not know, in libvirt's words."""
    if flags & ~allowed:
        words = f"unsupported flags (0x{flags & ~allowed:x}) in function {function}"
        raise VirtError.of(c.VIR_ERR_INVALID_ARG, c.VIR_FROM_QEMU, words)


STATS = (
    c.VIR_DOMAIN_STATS_STATE | c.VIR_DOMAIN_STATS_CPU_TOTAL | c.VIR_DOMAIN_STATS_BALLOON | c.VIR_DOMAIN_STATS_VCPU
    | c.VIR_DOMAIN_STATS_INTERFACE | c.VIR_DOMAIN_STATS_BLOCK | c.VIR_DOMAIN_STATS_PERF | c.VIR_DOMAIN_STATS_IOTHREAD
    | c.VIR_DOMAIN_STATS_MEMORY | c.VIR_DOMAIN_STATS_DIRTYRATE | c.VIR_DOMAIN_STATS_VM
)  # fmt: skip
"""The groups that there are."""
