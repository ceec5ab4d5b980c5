"""The host's firmware tables as libvirt's sysinfo document, read from /sys (no dmidecode is run)."""

from pathlib import Path

from splitvirt.xml.tree import Tree

DMI = Path("/sys/class/dmi/id")

_BLOCKS = {
    "bios": {"vendor": "bios_vendor", "version": "bios_version", "date": "bios_date", "release": "bios_release"},
    "system": {
        "manufacturer": "sys_vendor", "product": "product_name", "version": "product_version",
        "serial": "product_serial", "uuid": "product_uuid", "sku": "product_sku", "family": "product_family",
    },
    "baseBoard": {
        "manufacturer": "board_vendor", "product": "board_name", "version": "board_version",
        "serial": "board_serial", "asset": "board_asset_tag",
    },
    "chassis": {
        "manufacturer": "chassis_vendor", "version": "chassis_version", "serial": "chassis_serial",
        "asset": "chassis_asset_tag",
    },
}  # fmt: skip


def sysinfo_xml() -> str | None:
    """The document; None on a host without such tables."""
    if not DMI.is_dir():
        return None
    root = Tree("sysinfo", type="smbios")
    for block, entries in _BLOCKS.items():
        found = [(name, _read(DMI / file)) for name, file in entries.items()]
        told = [Tree("entry", name=name, text=value) for name, value in found if value]
        if told:
            root.add([Tree(block, *told)])
    return root.to_xml() if root.children else None


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
