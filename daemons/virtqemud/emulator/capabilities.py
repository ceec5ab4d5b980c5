"""What one QEMU binary can do, as it says itself: machines, CPU models, devices, objects, options and schema."""

import re
from collections.abc import Iterable, Mapping
from typing import Any


class Capabilities:
    """The answers of one emulator, and whether KVM works with it. Immutable; made by `virtqemud.emulator.probe`."""

    def __init__(self, facts: Mapping[str, Any], *, kvm: bool = False, why_no_kvm: str = "") -> None:
        self.facts = facts
        self.emulator: str = facts["emulator"]
        self.arch: str = facts["arch"]
        self.version: tuple[int, int, int] = (*facts["version"],)
        self.package: str = facts["package"]
        self.kvm, self.why_no_kvm = kvm, why_no_kvm
        self.machines: dict[str, dict[str, Any]] = {machine["name"]: machine for machine in facts["machines"]}
        self.cpus: dict[str, list[dict[str, Any]]] = facts["cpus"]
        self.models: dict[str, dict[str, Any]] = facts.get("models", {})
        """Named CPU models: who made such processors ("vendor"), and the features that they have under TCG ("on")."""
        self.devices = frozenset(facts["devices"])
        self.objects = frozenset(facts["objects"])
        self._aliases = {machine["alias"]: machine["name"] for machine in facts["machines"] if "alias" in machine}
        self._options: dict[str, list[str]] = facts["options"]
        self._schema = frozenset(facts["schema"])

    @property
    def version_number(self) -> int:
        """The version as libvirt numbers it: major * 1,000,000 + minor * 1,000 + micro."""
        major, minor, micro = self.version
        return major * 1_000_000 + minor * 1_000 + micro

    @property
    def accelerators(self) -> list[str]:
        """The domain types that it can run here: "qemu" (TCG), and "kvm" where that was seen to work."""
        return ["qemu", "kvm"] if self.kvm else ["qemu"]

    @property
    def default_machine(self) -> str | None:
        """The full name of the machine that a guest gets when it asks for none."""
        return next((name for name, machine in self.machines.items() if machine.get("is-default")), None)

    def canonical(self, machine: str) -> str:
        """The versioned name behind an alias such as "pc" or "q35"; any other name as it is."""
        return str(self._aliases.get(machine, machine))

    def machine(self, name: str) -> dict[str, Any] | None:
        """QEMU's MachineInfo of a machine or alias: cpu-max, default-cpu-type, default-ram-id, numa-mem-supported..."""
        return self.machines.get(self.canonical(name))

    def cpu(self, name: str, accelerator: str = "tcg") -> dict[str, Any] | None:
        """QEMU's CpuDefinitionInfo of a CPU model under "tcg" or "kvm"."""
        models = self.cpus.get(accelerator) or self.cpus["tcg"]
        return next((model for model in models if model["name"] == name), None)

    def cpu_expansion(self, accelerator: str = "tcg") -> dict[str, Any] | None:
        """All properties of the richest model: "max" under TCG, "host" under KVM; None where QEMU cannot say."""
        expansions: dict[str, dict[str, Any]] = self.facts["expansions"]
        return expansions.get(accelerator)

    def has_device(self, name: str) -> bool:
        """Whether `-device name` exists."""
        return name in self.devices

    def has_object(self, name: str) -> bool:
        """Whether `-object name` exists."""
        return name in self.objects

    def machine_has(self, prop: str) -> bool:
        """Whether `-machine` takes an option (of the machine base class, as query-command-line-options lists them)."""
        return self.option_has("machine", prop)

    def has_option(self, option: str) -> bool:
        """Whether the command line takes `-option` (for options that QEMU lists in query-command-line-options)."""
        return option in self._options

    def option_has(self, option: str, parameter: str) -> bool:
        """Whether `-option` takes a parameter."""
        return parameter in self._options.get(option, ())

    def schema(self, path: str) -> bool:
        """Whether QEMU's schema holds a path.

        `command`, `command/argument`, `command/argument=choice` for an enumeration, `command/argument/member` within
        it, and for the members of a variant `command/choice/member`: "blockdev-add/driver=nbd",
        "blockdev-add/file/aio", "netdev_add/type=vhost-vdpa", "object-add/qom-type=sev-guest".
        """
        return path in self._schema

    @property
    def tpm_models(self) -> list[str]:
        """TPM models: "tpm-tis", "tpm-crb", ..."""
        return list(self.facts["tpm-models"])

    @property
    def sandbox(self) -> bool:
        """Whether seccomp filters are built in (`-sandbox on`)."""
        return self.option_has("sandbox", "enable")


def named(models: Iterable[Mapping[str, Any]]) -> list[str]:
    """The names of CPU models that guests ask for: not those of the machine itself, nor versions of a model."""
    return [name for model in models if not _UNNAMED.fullmatch(name := str(model["name"]))]


_UNNAMED = re.compile("base|host|max|.*-v[0-9]+")


def schema_paths(schema: Iterable[Mapping[str, Any]], depth: int = 2) -> set[str]:
    """The paths of `Capabilities.schema`, from the answer to query-qmp-schema."""
    types = {entry["name"]: entry for entry in schema}
    paths: set[str] = set()

    def walk(path: str, name: str, level: int) -> None:
        entry = types.get(name, {})
        match entry.get("meta-type"):
            case "object":
                for member in entry["members"]:
                    paths.add(f"{path}/{member['name']}")
                    enter(f"{path}/{member['name']}", member["type"], level)
                for variant in entry.get("variants", ()):
                    walk(f"{path}/{variant['case']}", variant["type"], level)
            case "enum":
                paths.update(f"{path}={value}" for value in entry["values"])
            case "array":
                walk(path, entry["element-type"], level)
            case "alternate":
                for member in entry["members"]:
                    enter(path, member["type"], level)

    def enter(path: str, name: str, level: int) -> None:
        kind = types.get(name, {}).get("meta-type")
        if kind == "enum" or level > 1:
            walk(path, name, level - 1)

    for entry in list(types.values()):
        if entry["meta-type"] in ("command", "event"):
            paths.add(entry["name"])
        if entry["meta-type"] == "command":
            walk(entry["name"], entry["arg-type"], depth)
    return paths
