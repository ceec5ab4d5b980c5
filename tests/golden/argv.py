"""Our command lines against libvirtd's: the cases "domain-argv".

Two command lines are the same when they hold the same options with the same values. The order of options of one kind
counts only where QEMU gives it a meaning (`-device` and `-blockdev` are compared by id and node name); JSON and
key=value options are compared as mappings; numbers of file descriptors, generated ids and moments are neutral.
"""

import json
import re
import shlex
from typing import Any

from golden.domain_xml import capabilities
from golden.shared import Case
from splitvirt.api.errors import VirtError
from splitvirt.xml.domain import Domain

ALONE = frozenset({"-S", "-nodefaults", "-no-user-config", "-no-acpi", "-no-hpet", "-no-shutdown", "-no-reboot"}) | {
    "-full-screen", "-nographic", "-no-kvm-pit-reinjection",
}  # fmt: skip
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
MAC = re.compile(r"52:54:00(:[0-9a-f]{2}){3}")
LIB = "/var/lib/libvirt/qemu"


def judge(case: Case) -> str | None:
    """How our answer differs from libvirtd's; None when it does not."""
    wanted, got = case.answer, answer(case.input)
    if "error" in wanted:
        if "error" not in got:
            return f"accepted, but libvirtd says {wanted['error']}"
        return None if list(got["error"]) == list(wanted["error"]) else f"{wanted['error']}, we say {got['error']}"
    if "error" in got:
        return f"refused: {got['error']}"
    return difference(wanted["argv"], got["argv"], case.input)


def answer(document: str) -> dict[str, Any]:
    """What our driver says to `domxml-to-native qemu-argv`."""
    from virtqemud.argv.native import command_line

    try:
        domain = Domain.from_xml(document)
        return {"argv": command_line(domain, capabilities(domain), LIB)}
    except VirtError as error:
        return {"error": [error.code, error.message]}


def difference(expected: str, got: str, given: str = "") -> str | None:
    """The first difference between two command lines; None when there is none. `given` is the input of both."""
    left, right = parse(expected, given), parse(got, given)
    for key in (*left, *(k for k in right if k not in left)):
        a, b = left.get(key, ()), right.get(key, ())
        for i in range(max(len(a), len(b))):
            mine, theirs = (b[i] if i < len(b) else None), (a[i] if i < len(a) else None)
            if mine != theirs:
                return f"{key}: {show(theirs, mine)}, we say {show(mine, theirs)}"
    return None


def show(value: Any, other: Any) -> str:
    """A value; of two mappings only what is not the same in both."""
    if isinstance(value, dict) and isinstance(other, dict):
        value = {k: v for k, v in value.items() if k not in other or other[k] != v}
    return "nothing" if value is None else str(value)


def parse(line: str, given: str) -> dict[str, list[Any]]:
    """Options by name, devices and objects also by id, each with its values in order; variables and the emulator."""
    words = shlex.split(line)
    found: dict[str, list[Any]] = {}
    at = 0
    while at < len(words) and re.match(r"[A-Za-z_][A-Za-z0-9_]*=", words[at]):
        variable, _, text = words[at].partition("=")
        found[f"env {variable}"] = [text]
        at += 1
    found["emulator"] = words[at : at + 1]
    at += 1
    while at < len(words):
        option = words[at]
        at += 1
        if not option.startswith("-") or option in ALONE:
            found.setdefault(option, []).append(True)
            continue
        value: Any = read(words[at] if at < len(words) else "", option, given)
        at += 1
        name = (value.get("id") or value.get("node-name")) if isinstance(value, dict) else None
        found.setdefault(f"{option} {name}" if name else option, []).append(value)
    return found


def read(text: str, option: str, given: str) -> Any:
    """A value as a mapping, where it is one."""
    if text.startswith("{"):
        return neutral(json.loads(text), given)
    parts = [p.replace("\0", ",") for p in text.replace(",,", "\0").split(",")]
    if option in ("-append", "-kernel", "-initrd", "-uuid", "-k", "-bios", "-m") or not any(
        "=" in p for p in parts[1:]
    ):
        return neutral(text, given) if "=" not in text else neutral(pairs(parts), given)
    return neutral(pairs(parts), given)


def pairs(parts: list[str]) -> dict[str, Any]:
    """key=value parts; repeated keys make lists, and the first part may be a bare word."""
    value: dict[str, Any] = {}
    for i, part in enumerate(parts):
        key, equals, text = part.partition("=")
        if not equals:
            key, text = ("", part) if i == 0 else (part, "on")
        value[key] = text if key not in value else [*listed(value[key]), text]
    return value


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def neutral(value: Any, given: str, key: str = "") -> Any:
    """Without what differs between any two runs."""
    if isinstance(value, dict):
        secret = {"data", "iv"} if "keyid" in value else set()
        return {k: "encrypted" if k in secret else neutral(v, given, k) for k, v in value.items()}
    if isinstance(value, list):
        return [neutral(v, given, key) for v in value]
    if isinstance(value, str):
        if key in ("fd", "fds", "vhostfd", "vhostfds"):
            return re.sub(r"\d+", "N", value)
        if key == "base" and MOMENT.fullmatch(value) and value not in given:
            return "a moment"
        if any(p.fullmatch(value) for p in (UUID, MAC)) and value not in given:
            return "generated"
    return value
