"""What of `<features>`, `<clock>` and the lifecycle actions QEMU can do on the guest's machine."""

from splitvirt.api.errors import ConfigUnsupported
from splitvirt.xml.clock import Clock, Timer
from splitvirt.xml.domain import Domain
from splitvirt.xml.features import Features
from virtqemud.emulator.capabilities import Capabilities

MIB = 1 << 20
FOREIGN = (
    ("gic", "gic"), ("hpt", "hpt"), ("htm", "htm"), ("nested_hv", "nested-hv"), ("ccf_assist", "ccf-assist"),
    ("cfpc", "cfpc"), ("sbbc", "sbbc"), ("ibs", "ibs"),
)  # fmt: skip
"""Features of machines that are no PC, and their names."""


def defaults(domain: Domain, caps: Capabilities) -> None:
    """A clock in UTC; a guest that powers off or crashes goes, one that reboots comes back."""
    domain.clock = domain.clock or Clock()
    domain.on_poweroff = domain.on_poweroff or "destroy"
    domain.on_reboot = domain.on_reboot or "restart"
    domain.on_crash = domain.on_crash or "destroy"


def check(domain: Domain, caps: Capabilities) -> None:
    """Raises ConfigUnsupported for what QEMU cannot do."""
    if domain.features is not None:
        check_features(domain, domain.features)
    for timer in domain.clock.timers if domain.clock else ():
        check_timer(domain, timer)
    check_actions(domain)


def check_features(domain: Domain, features: Features) -> None:
    system = domain.os
    assert system is not None
    for name, word in FOREIGN:
        value = getattr(features, name)
        if value is not None and value is not False:
            raise ConfigUnsupported(
                f"The '{word}' feature is not supported for architecture '{system.arch}' or machine type"
                f" '{system.machine}'"
            )
    if features.smm is not None and features.smm.tseg:
        if "q35" not in (system.machine or ""):
            raise ConfigUnsupported("SMM TSEG is only supported with q35 machine type")
        if features.smm.tseg % MIB:
            raise ConfigUnsupported("SMM TSEG size must be divisible by 1 MiB")
    if features.tcg_tb_cache:
        if domain.type != "qemu":
            raise ConfigUnsupported(f"TCG features are incompatible with domain type '{domain.type}'")
        if features.tcg_tb_cache % 1024:
            raise ConfigUnsupported("tb-cache size must be an integer multiple of MiB")


def check_timer(domain: Domain, timer: Timer) -> None:
    if timer.name == "platform":
        raise ConfigUnsupported("unsupported timer type (name) 'platform'")
    if timer.name == "armvtimer":
        system = domain.os
        where = f"virtType={domain.type} arch={system and system.arch} machine={system and system.machine}"
        raise ConfigUnsupported(f"Configuring the 'armvtimer' timer is not supported for {where} guests")
    if timer.name == "rtc":
        if timer.track == "boot":
            raise ConfigUnsupported("unsupported rtc timer track 'boot'")
        if timer.tickpolicy in ("merge", "discard"):
            raise ConfigUnsupported(f"unsupported rtc timer tickpolicy '{timer.tickpolicy}'")
    if timer.name == "pit" and timer.tickpolicy == "merge":
        raise ConfigUnsupported("unsupported pit tickpolicy 'merge'")


def check_actions(domain: Domain) -> None:
    for action in (domain.on_poweroff, domain.on_reboot):
        if action == "preserve":
            raise ConfigUnsupported("qemu driver doesn't support the 'preserve' action for 'on_reboot'/'on_poweroff'")
    if "rename-restart" in (domain.on_poweroff, domain.on_reboot, domain.on_crash):
        raise ConfigUnsupported(
            "qemu driver doesn't support the 'rename-restart' action for 'on_reboot'/'on_poweroff'/'on_crash'"
        )
    if domain.on_poweroff == "restart" and domain.on_reboot == "destroy":
        raise ConfigUnsupported(
            "qemu driver doesn't support 'onReboot' set to 'destroy and 'onPoweroff' set to 'reboot'"
        )
