"""The guest's firmware: by path, or chosen from the descriptors that distributions install (QEMU's firmware.json)."""

import fnmatch
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from splitvirt.api.errors import OperationFailed
from virtqemud.argv.context import Context
from virtqemud.argv.parts import Parts


@dataclass
class Firmware:
    """What boots: `code` in flash (or a ROM); variables in `nvram`, which the driver makes from `template`."""

    code: str = ""
    rom: bool = False
    read_only: bool = True
    secure: bool = False
    smm: bool = False
    nvram: Any = None
    """A path, or a source as a disk has it."""
    template: str = ""
    format: str = "raw"
    nvram_format: str = "raw"


def firmware(ctx: Context) -> Firmware | None:
    """The guest's firmware; None for what the board brings. Raises OperationFailed where no descriptor fits."""
    os_ = ctx.domain.os
    if os_ is None:
        return None
    if os_.firmware is not None:
        return chosen(ctx)
    loader = os_.loader
    if loader is None or not loader.path:
        return None
    flash = loader.type == "pflash"
    nvram = getattr(os_.nvram, "path", None) or source_of(os_.nvram)
    return Firmware(
        loader.path, rom=not flash, read_only=bool(loader.readonly), secure=bool(loader.secure),
        nvram=nvram if flash and not loader.stateless else None,
        template=(os_.nvram.template if os_.nvram else None) or "",
    )  # fmt: skip


def source_of(nvram: Any) -> Any:
    """The source of variables that are not in a file of the host."""
    return getattr(nvram, "source", None) if nvram is not None else None


def chosen(ctx: Context) -> Firmware:
    """The first descriptor that fits the guest."""
    os_ = ctx.domain.os
    assert os_ is not None
    for about in descriptors(tuple(ctx.settings.firmware_folders)):
        if fits(about, ctx):
            return described(about, ctx)
    raise OperationFailed(f"Unable to find any firmware to satisfy '{os_.firmware}'")


def described(about: dict[str, Any], ctx: Context) -> Firmware:
    """A descriptor as firmware of this guest."""
    os_ = ctx.domain.os
    mapping = about["mapping"]
    if mapping["device"] == "memory":
        return Firmware(mapping["filename"], rom=True)
    template = mapping.get("nvram-template", {})
    given = (os_.nvram.path if os_ and os_.nvram else None) or source_of(os_.nvram if os_ else None)
    stateless = (os_ and os_.loader and os_.loader.stateless) or mapping.get("mode") == "stateless"
    smm = "requires-smm" in about["features"]
    return Firmware(
        mapping["executable"]["filename"], secure=smm, smm=smm,
        nvram=None if stateless else given or f"{ctx.lib}/nvram/{ctx.name}_VARS.fd",
        template=template.get("filename", ""), format=mapping["executable"].get("format", "raw"),
        nvram_format=template.get("format", "raw"),
    )  # fmt: skip


def fits(about: dict[str, Any], ctx: Context) -> bool:
    """Whether a descriptor is for this guest's board and has what the guest wants of a firmware."""
    os_, features = ctx.domain.os, set(about.get("features", ()))
    assert os_ is not None
    interface = {"efi": "uefi", "bios": "bios"}[os_.firmware or ""]
    if interface not in about.get("interface-types", ()) or about["mapping"]["device"] not in ("flash", "memory"):
        return False
    if not any(
        target["architecture"] == (os_.arch or "x86_64")
        and any(fnmatch.fnmatchcase(ctx.machine, pattern) for pattern in target["machines"])
        for target in about.get("targets", ())
    ):
        return False
    smm = ctx.domain.features.smm if ctx.domain.features else None
    if "requires-smm" in features and smm is not None and smm.state is False:
        return False
    return wanted(about, ctx, features)


def wanted(about: dict[str, Any], ctx: Context, features: set[str]) -> bool:
    """Secure boot, enrolled keys, statelessness, and sleep states as the guest asks."""
    os_ = ctx.domain.os
    assert os_ is not None
    secure = "secure-boot" in features and "requires-smm" in features
    for ask in os_.features:
        has = {"secure-boot": "secure-boot" in features, "enrolled-keys": "enrolled-keys" in features}[ask.name]
        if has != ask.enabled:
            return False
    loader = os_.loader
    if loader is not None:
        if loader.secure and not secure:
            return False
        if loader.secure is False and secure:
            return False
        stateless = about["mapping"].get("mode") == "stateless" or about["mapping"]["device"] == "memory"
        if loader.stateless and not stateless:
            return False
        if loader.path and loader.path != about["mapping"].get("executable", {}).get("filename"):
            return False
    if ctx.domain.suspend_to_mem and "acpi-s3" not in features:
        return False
    return not (ctx.domain.suspend_to_disk and "acpi-s4" not in features)


@lru_cache(maxsize=8)
def descriptors(folders: tuple[str, ...]) -> list[dict[str, Any]]:
    """All descriptors in order of their file names; a file hides those of its name in earlier folders."""
    found: dict[str, str] = {}
    for folder in folders:
        found |= {name: f"{folder}/{name}" for name in listed(folder)}
    return [about for name in sorted(found) if (about := read(found[name]))]


def listed(folder: str) -> Iterator[str]:
    try:
        yield from (n for n in os.listdir(folder) if n.endswith(".json"))
    except OSError:
        return


def read(path: str) -> dict[str, Any] | None:
    try:
        with open(path) as file:
            about = json.load(file)
    except (OSError, ValueError):
        return None
    return about if isinstance(about, dict) and "mapping" in about else None


def flash(found: Firmware | None, ctx: Context) -> tuple[Parts, list[str]]:
    """Block nodes of code and variables, and their names."""
    parts, names = Parts(), []
    if found is None or found.rom or not found.code:
        return parts, []
    names.append(image(parts, ctx, "libvirt-pflash0", found.code, found.read_only, found.format))
    if found.nvram is not None:
        names.append(image(parts, ctx, "libvirt-pflash1", found.nvram, False, found.nvram_format))
    return parts, names


def image(parts: Parts, ctx: Context, name: str, source: Any, read_only: bool, kind: str) -> str:
    """The two nodes of one image."""
    if isinstance(source, str):
        storage: dict[str, Any] = {"driver": "file", "filename": source}
        parts.paths.append(source)
    else:
        from splitvirt.xml.devices.disk import Disk
        from virtqemud.argv.devices.blockdev import network

        if hasattr(source, "protocol"):
            storage = network(source, name, Disk(), parts, ctx)
        else:
            path = getattr(source, "file", None) or getattr(source, "dev", None)
            driver = "host_device" if hasattr(source, "dev") else "file"
            storage = {"driver": driver, "filename": path}
    common = {"node-name": f"{name}-storage", "auto-read-only": True, "discard": "unmap"}
    parts.json("-blockdev", storage | common)
    value = {"node-name": f"{name}-format", "read-only": read_only, "driver": kind, "file": f"{name}-storage"}
    parts.json("-blockdev", value)
    return f"{name}-format"


def loader(found: Firmware | None) -> Parts:
    """A ROM, or that only system management mode may write the flash."""
    parts = Parts()
    if found is not None and found.rom and found.code:
        parts.add("-bios", found.code)
        parts.paths.append(found.code)
    elif found is not None and found.secure:
        parts.add("-global", "driver=cfi.pflash01,property=secure,value=on")
    return parts
