"""What boots: `-boot`, a kernel given directly, power management, SMBIOS, firmware configuration."""

from collections.abc import Mapping

from splitvirt.api.errors import ConfigUnsupported, XMLError
from splitvirt.xml.sysinfo import FwCfgInfo, SmbiosInfo, Table
from virtqemud.argv.context import Context
from virtqemud.argv.parts import Parts, escape, options

STANDARD_KEYS: Mapping[str, Mapping[str, str]] = {
    "bios": {"vendor": "vendor", "version": "version", "date": "date", "release": "release"},
    "system": {k: k for k in ("manufacturer", "product", "version", "serial", "uuid", "sku", "family")},
    "board": {k: k for k in ("manufacturer", "product", "version", "serial", "asset", "location")},
    "chassis": {k: k for k in ("manufacturer", "version", "serial", "asset", "sku")},
}


def power(ctx: Context) -> Parts:
    """What a guest's shutdown does to QEMU, whether it has ACPI, and which sleep states."""
    parts, domain = Parts(), ctx.domain
    parts.add("-no-shutdown")
    if ctx.x86 and not (domain.features and domain.features.acpi):
        parts.add("-no-acpi")
    chip = "ICH9-LPC" if ctx.q35 else "PIIX4_PM"
    for state, enabled in (("disable_s3", domain.suspend_to_mem), ("disable_s4", domain.suspend_to_disk)):
        if enabled is not None:
            parts.add("-global", f"{chip}.{state}={int(not enabled)}")
    return parts


def boot(ctx: Context) -> Parts:
    """`-boot` and a kernel that QEMU loads itself."""
    parts, os = Parts(), ctx.domain.os
    if os is None:
        return parts
    splash = os.bootmenu_timeout if os.bootmenu else None
    parts.add("-boot", options(
        menu=os.bootmenu, splash_time=splash, reboot_timeout=os.bios_reboot_timeout, strict=True
    ))  # fmt: skip
    for option, value in (("-kernel", os.kernel), ("-initrd", os.initrd), ("-append", os.cmdline), ("-dtb", os.dtb)):
        if value:
            parts.add(option, value)
            parts.paths += [value] if option != "-append" else []
    for table in os.acpi_tables:
        parts.add("-acpitable", options(sig=table.type.upper(), file=table.path or ""))
    return parts


def smbios(ctx: Context) -> Parts:
    """SMBIOS tables from `<sysinfo>`. Raises XMLError where there is none, ConfigUnsupported for the host's."""
    parts, os = Parts(), ctx.domain.os
    info = next((s for s in ctx.domain.sysinfo if isinstance(s, SmbiosInfo)), None)
    if os is not None and os.smbios == "host":
        raise ConfigUnsupported("Host SMBIOS information is not available")
    if os is None or os.smbios != "sysinfo":
        return parts
    if info is None:
        raise XMLError(f"Domain '{ctx.domain.name}' sysinfo are not available")
    table(parts, 0, "bios", info.bios)
    table(parts, 1, "system", info.system)
    for board in info.baseboards:
        table(parts, 2, "board", board)
    table(parts, 3, "chassis", info.chassis)
    if info.oem_strings:
        parts.add("-smbios", "type=11" + "".join(f",value={escape(s)}" for s in info.oem_strings))
    return parts


def table(parts: Parts, number: int, kind: str, of: Table | None) -> None:
    """One table, its entries in the standard's order."""
    if of is None:
        return
    given = {key: of.get(name) for name, key in STANDARD_KEYS[kind].items() if of.get(name)}
    if given:
        parts.add("-smbios", options(f"type={number}", **given))


def firmware_configuration(ctx: Context) -> Parts:
    """Blobs that the guest's firmware or operating system reads by name."""
    parts = Parts()
    for info in ctx.domain.sysinfo:
        if isinstance(info, FwCfgInfo):
            for entry in info.entries:
                parts.add(
                    "-fw_cfg", options(name=entry.name, string=entry.value, file=None if entry.value else entry.file)
                )
    return parts


def generation(ctx: Context) -> Parts:
    """The number that changes when the guest was copied or went back in time."""
    parts = Parts()
    if ctx.domain.genid:
        parts.json("-device", {"driver": "vmgenid", "guid": ctx.domain.genid, "id": "vmgenid0"})
    return parts


def crash_information(ctx: Context) -> Parts:
    """Where a guest's kernel leaves what a dump of it needs."""
    parts, features = Parts(), ctx.domain.features
    if features and features.vmcoreinfo:
        parts.json("-device", {"driver": "vmcoreinfo"})
    return parts
