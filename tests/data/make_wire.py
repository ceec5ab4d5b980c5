"""Makes wire.json (libvirt's protocol as flat facts) of a description of its structs, dbus.json of libvirt-dbus's.

    python tests/data/make_wire.py libvirt_wire.json tests/data/wire.json
    python tests/data/make_wire.py /usr/share/dbus-1/interfaces tests/data/dbus.json

The first input has, for each program, constants, typedefs, structs and procedures as lines of the protocol's
`.x` files. A procedure comes out with its fields as one line: structs taken apart, lists as `[bound: item]`.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

SIMPLE = {
    "int": "int", "unsigned int": "uint", "hyper": "hyper", "unsigned hyper": "uhyper", "char": "char",
    "unsigned char": "uchar", "unsigned short": "ushort", "remote_uuid": "uuid", "remote_nonnull_string": "string",
    "remote_string": "string?", "admin_nonnull_string": "string", "admin_string": "string?",
    "remote_typed_param": "string value", "remote_auth_type": "int", "admin_typed_param": "string value",
}  # fmt: skip
SIZES = {"VIR_SECURITY_MODEL_BUFLEN": 257, "VIR_SECURITY_LABEL_BUFLEN": 4097, "VIR_SECURITY_DOI_BUFLEN": 257}
FIELD = re.compile(r"(.+?) (\w+)(?:([<\[])(\w+)[>\]])?$")
SAME = ("acl", "aclfilter", "priority", "readstream", "writestream", "sparseflag")


def flat(wire: dict[str, Any], fields: list[str]) -> str:
    """Fields of a struct on one line."""
    structs = {name: parts for program in wire.values() for name, parts in program["structs"].items()}
    constants = {name: value for program in wire.values() for name, value in program["constants"].items()}

    def number(name: str) -> int:
        found = constants.get(name, name)
        return SIZES.get(found) or int(found, 0)

    def one(field: str) -> str:
        kind, _, bracket, bound = FIELD.match(field).groups()  # type: ignore[union-attr]
        if kind == "opaque":
            return f"opaque<{number(bound)}>"
        pointed = kind.replace("remote_", "remote_nonnull_")
        if kind not in structs and pointed in structs:
            return f"({' '.join(map(one, structs[pointed]))})?"
        item = SIMPLE.get(kind) or " ".join(map(one, structs[kind]))
        if kind == "char" and bound:
            return f"char{bracket}{number(bound)}{']' if bracket == '[' else '>'}"
        return f"[{number(bound)}: {item}]" if bound else item

    return " ".join(map(one, fields))


def procedure(wire: dict[str, Any], program: str, facts: dict[str, Any]) -> dict[str, Any]:
    """One procedure's facts."""
    structs = wire[program]["structs"]
    made = {"name": facts["name"]} | {key: facts[key] for key in SAME if key in facts}
    for key in ("args", "ret", "msg"):
        if facts.get(key):
            made[key] = flat(wire, structs[facts[key]])
    return made


def of_protocol(source: Path) -> dict[str, Any]:
    """wire.json."""
    wire = json.loads(source.read_text())
    return {
        program: {int(n): procedure(wire, program, facts) for n, facts in wire[program]["procedures"].items() if facts}
        for program in ("remote", "qemu", "lxc", "admin")
    }


def of_interfaces(folder: Path) -> dict[str, Any]:
    """dbus.json: by interface, each method's and signal's signatures, and each property's type and access."""
    made: dict[str, Any] = {}
    for file in sorted(folder.glob("org.libvirt.*.xml")):
        for interface in ElementTree.parse(file).getroot().iter("interface"):
            methods = {one.get("name"): [way(one, "in"), way(one, "out")] for one in interface.iter("method")}
            signals = {one.get("name"): way(one, None) for one in interface.iter("signal")}
            props = {one.get("name"): [one.get("type"), one.get("access")] for one in interface.iter("property")}
            made[str(interface.get("name"))] = {"methods": methods, "signals": signals, "properties": props}
    return made


def way(one: ElementTree.Element, direction: str | None) -> str:
    """The signature of the arguments that go one way."""
    return "".join(arg.get("type", "") for arg in one.iter("arg") if arg.get("direction") == direction)


if __name__ == "__main__":
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    made = of_interfaces(source) if source.is_dir() else of_protocol(source)
    target.write_text(json.dumps(made, indent=1) + "\n")
