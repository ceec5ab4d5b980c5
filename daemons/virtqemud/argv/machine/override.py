"""The `qemu:` namespace: changed properties of devices, further arguments and variables."""

import json
from typing import Any

from splitvirt.xml.domain import Domain
from splitvirt.xml.qemu import Property
from virtqemud.argv.parts import Parts, compact

COMPATIBILITY = {
    "omit": "deprecated-output=hide",
    "reject": "deprecated-output=hide,deprecated-input=reject",
    "crash": "deprecated-output=hide,deprecated-input=crash",
}
"""What QEMU does when something deprecated is used, by `<qemu:deprecation>`."""


def compatibility(domain: Domain, usual: str = "") -> Parts:
    """`-compat`, where it is not QEMU's default; `usual` is what guests do that do not say."""
    parts, found = Parts(), domain.qemu_deprecation
    behavior = found.behavior if found is not None else usual
    if behavior in COMPATIBILITY:
        parts.add("-compat", COMPATIBILITY[behavior])
    return parts


def apply(args: list[str], domain: Domain) -> None:
    """Change the properties of devices by alias, in place."""
    if domain.qemu_override is None:
        return
    changes = {device.alias: device.properties for device in domain.qemu_override.devices}
    for i, option in enumerate(args[:-1]):
        if option == "-device" and args[i + 1].startswith("{"):
            value = json.loads(args[i + 1])
            for change in changes.get(value.get("id"), ()):
                change_property(value, change)
            args[i + 1] = compact(value)


def change_property(value: dict[str, Any], change: Property) -> None:
    """Set or remove one."""
    raw = change.value or ""
    match change.type:
        case "remove":
            value.pop(change.name, None)
        case "signed" | "unsigned":
            value[change.name] = int(raw, 0)
        case "bool":
            value[change.name] = raw == "true"
        case _:
            value[change.name] = raw


def arguments(domain: Domain) -> list[str]:
    """Arguments as they are."""
    return [a.value for a in domain.qemu_commandline.args] if domain.qemu_commandline else []


def environment(domain: Domain) -> dict[str, str]:
    """Variables as they are."""
    return {e.name: e.value or "" for e in domain.qemu_commandline.env} if domain.qemu_commandline else {}
