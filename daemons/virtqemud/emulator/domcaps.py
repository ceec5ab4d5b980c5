"""What guests one emulator can run on one machine type, as libvirt's domain capabilities document tells it."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from splitvirt.host import topology
from splitvirt.xml.tree import Tree

from .capabilities import Capabilities, named
from .cpumodels import ITS_NAMES, host_model, in_order

FIRMWARE_FOLDERS = (Path("/etc/qemu/firmware"), Path("/usr/share/qemu/firmware"))
"""Firmware descriptors (QEMU's docs/interop/firmware.json); a file in the first hides its namesake in the second."""

_INTEL = (
    *("n270", "coreduo", "core2duo", "Conroe", "Penryn", "Nehalem", "Westmere", "SandyBridge", "IvyBridge", "Haswell"),
    *("Broadwell", "Skylake", "Cascadelake", "Cooperlake", "Icelake", "SapphireRapids", "Snowridge", "KnightsMill"),
    *("Denverton", "GraniteRapids", "SierraForest"),
)
_AMD = ("athlon", "phenom", "Opteron", "EPYC")


def domain_capabilities_xml(caps: Capabilities, machine: str, kind: str) -> str:
    """The document for a machine (its full name) and a domain type, "qemu" or "kvm"."""
    facts = caps.machine(machine) or {}
    root = Tree("domainCapabilities", Tree("path", text=caps.emulator), Tree("domain", text=kind))
    root.add([Tree("machine", text=caps.canonical(machine)), Tree("arch", text=caps.arch)])
    root.add([Tree("vcpu", max=facts.get("cpu-max", 1)), _yes("iothreads", caps.has_object("iothread"))])
    root.add([_os(caps, machine), _cpu(caps, kind), _memory(caps), _devices(caps, machine), _features(caps)])
    return root.to_xml()


def _yes(tag: str, supported: bool, *children: Tree) -> Tree:
    return Tree(tag, *(children if supported else ()), supported=supported)


def _enum(name: str, values: Iterable[str]) -> Tree:
    return Tree("enum", *(Tree("value", text=value) for value in values), name=name)


def firmware(arch: str, machine: str) -> list[dict[str, Any]]:
    """The firmware descriptors that are good for a machine, in the order that they are to be preferred in."""
    found: dict[str, Path] = {}
    for folder in reversed(FIRMWARE_FOLDERS):
        found |= {path.name: path for path in folder.glob("*.json")}
    good = []
    for name in sorted(found):
        try:
            descriptor = json.loads(found[name].read_text())
            targets = descriptor["targets"]
        except (OSError, ValueError, KeyError):
            continue
        if any(t["architecture"] == arch and _machine_matches(machine, t["machines"]) for t in targets):
            good.append(descriptor)
    return good


def _machine_matches(machine: str, patterns: Iterable[str]) -> bool:
    from fnmatch import fnmatchcase

    return any(fnmatchcase(machine, pattern) for pattern in patterns)


def _os(caps: Capabilities, machine: str) -> Tree:
    descriptors = firmware(caps.arch, caps.canonical(machine))
    kinds = {"uefi": "efi", "bios": "bios"}
    types = {kinds[kind] for d in descriptors for kind in d.get("interface-types", ()) if kind in kinds}
    loaders: list[str] = []
    for descriptor in descriptors:
        mapping = descriptor.get("mapping", {})
        path = mapping.get("executable", {}).get("filename") or mapping.get("filename")
        if path and path not in loaders and Path(path).exists():
            loaders.append(path)
    secure = any("requires-smm" in d.get("features", ()) for d in descriptors)
    loader = _yes("loader", True, *(Tree("value", text=path) for path in loaders))
    loader.add([_enum("type", ["rom", "pflash"]), _enum("readonly", ["yes", "no"])])
    loader.add([_enum("secure", ["yes", "no"] if secure else ["no"])])
    return _yes("os", True, _enum("firmware", sorted(types, reverse=True)), loader)


def _cpu(caps: Capabilities, kind: str) -> Tree:
    accelerator = "kvm" if kind == "kvm" else "tcg"
    onoff = ["on", "off"]
    host = _yes("mode", kind == "kvm", _enum("hostPassthroughMigratable", onoff))
    maximum = _yes("mode", True, _enum("maximumMigratable", onoff))
    model = _yes("mode", True, *_host_model(caps, accelerator))
    custom = _yes("mode", True)
    models = {str(cpu["name"]): cpu for cpu in caps.cpus.get(accelerator) or caps.cpus["tcg"]}
    for name in sorted(named(models.values()), reverse=True):
        usable = not models[name].get("unavailable-features")
        custom.add([Tree("model", text=name, usable=usable, vendor=cpu_vendor(name))])
    for mode, name in ((host, "host-passthrough"), (maximum, "maximum"), (model, "host-model"), (custom, "custom")):
        mode.attributes = {"name": name, **mode.attributes}
    return Tree("cpu", host, maximum, model, custom)


def cpu_vendor(model: str) -> str:
    """The vendor of a CPU model of QEMU's, "unknown" for its own inventions."""
    if model.startswith(_INTEL):
        return "Intel"
    if model.startswith(_AMD):
        return "AMD"
    return "Hygon" if model.startswith("Dhyana") else "unknown"


def _host_model(caps: Capabilities, accelerator: str) -> list[Tree]:
    """The nearest named model, and what the richest CPU has beside it, or has not."""
    found = host_model(caps, accelerator)
    if found is None:
        return []
    on = found.on
    if accelerator == "kvm" and "nonstop_tsc" in topology.cpuinfo().get("flags", "").split():
        on = in_order({*on, "invtsc"})
    parts = [Tree("model", text=found.name, fallback="forbid"), Tree("vendor", text=found.vendor)]
    for policy, features in (("require", on), ("disable", found.off)):
        parts += [Tree("feature", policy=policy, name=ITS_NAMES.get(name, name)) for name in features]
    return parts


def _memory(caps: Capabilities) -> Tree:
    kinds = [("file", "memory-backend-file"), ("anonymous", "memory-backend-ram"), ("memfd", "memory-backend-memfd")]
    return _yes("memoryBacking", True, _enum("sourceType", [name for name, kind in kinds if caps.has_object(kind)]))


def _devices(caps: Capabilities, machine: str) -> Tree:
    virtio = ["virtio", "virtio-transitional", "virtio-non-transitional"]
    q35 = "q35" in machine
    has = caps.has_device
    buses = [] if q35 or "microvm" in machine else ["ide"]
    buses += (
        ["fdc", "scsi", "virtio"] + (["usb"] if has("usb-storage") else []) + (["sata"] if has("ich9-ahci") else [])
    )
    disk = _yes("disk", True, _enum("diskDevice", ["disk", "cdrom", "floppy", "lun"]), _enum("bus", buses))
    disk.add([_enum("model", virtio)])
    shown = [kind for kind in ("sdl", "vnc", "spice", "egl-headless", "dbus") if _display(caps, kind)]
    cards = {
        "vga": "VGA", "cirrus": "cirrus-vga", "vmvga": "vmware-svga", "qxl": "qxl", "virtio": "virtio-gpu-pci",
        "none": "", "bochs": "bochs-display", "ramfb": "ramfb",
    }  # fmt: skip
    video = _enum("modelType", [name for name, device in cards.items() if not device or has(device)])
    hostdev = _yes("hostdev", True, _enum("mode", ["subsystem"]))
    hostdev.add([_enum("startupPolicy", ["default", "mandatory", "requisite", "optional"])])
    subsystems = [n for n, d in (("usb", "usb-host"), ("pci", "vfio-pci"), ("scsi", "scsi-generic")) if has(d)]
    hostdev.add([_enum("subsysType", subsystems), Tree("enum", name="capsType"), Tree("enum", name="pciBackend")])
    backends = [n for n in ("random", "egd", "builtin") if caps.has_object(f"rng-{n}")]
    rng = _yes("rng", bool(backends), _enum("model", virtio), _enum("backendModel", backends))
    filesystems = ["path", "handle"] + (["virtiofs"] if has("vhost-user-fs-pci") else [])
    tpm = _yes(
        "tpm", bool(caps.tpm_models), _enum("model", [m for m in ("tpm-tis", "tpm-crb") if m in caps.tpm_models])
    )
    if caps.tpm_models:
        tpm.add(
            [_enum("backendModel", ["passthrough", "emulator", "external"]), _enum("backendVersion", ["1.2", "2.0"])]
        )
    channels = ["pty", "unix"] + (["spicevmc"] if _spice(caps) else [])
    return Tree(
        "devices",
        disk,
        _yes("graphics", True, _enum("type", shown)),
        _yes("video", True, video),
        hostdev,
        rng,
        _yes("filesystem", has("virtio-9p-pci"), _enum("driverType", filesystems)),
        tpm,
        _yes("redirdev", has("usb-redir"), _enum("bus", ["usb"])),
        _yes("channel", True, _enum("type", channels)),
    )


def _spice(caps: Capabilities) -> bool:
    return caps.schema("query-spice")


def _display(caps: Capabilities, kind: str) -> bool:
    if kind == "spice":
        return _spice(caps)
    if kind == "vnc":
        return caps.has_option("vnc")
    return kind in caps.facts["displays"]


def _features(caps: Capabilities) -> Tree:
    hyperv = (
        *(
            "relaxed",
            "vapic",
            "spinlocks",
            "vpindex",
            "runtime",
            "synic",
            "stimer",
            "reset",
            "vendor_id",
            "frequencies",
        ),
        *("reenlightenment", "tlbflush", "ipi", "evmcs", "avic"),
    )
    known = caps.cpu_expansion("kvm") or {}
    # What needs no help of KVM's is there under TCG too.
    usable = [name for name in hyperv if f"hv-{name}" in known or name in ("spinlocks", "vendor_id")]
    return Tree(
        "features",
        _yes("gic", False),
        _yes("vmcoreinfo", caps.has_device("vmcoreinfo")),
        _yes("genid", caps.has_device("vmgenid")),
        _yes("backingStoreInput", True),
        _yes("backup", True),
        _yes("sev", False),
        _yes("sgx", False),
        _yes("hyperv", bool(usable), _enum("features", usable)),
    )
