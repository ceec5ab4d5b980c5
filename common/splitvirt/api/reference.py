"""The page of all calls, made from their declarations.

python -m splitvirt.api.reference > docs/reference/calls.md
"""

import importlib
from collections.abc import Iterator
from typing import Any

from .call import Call, calls
from .event import Event, events
from .program import PROGRAMS
from .rule import Rule
from .wire import Wire

CONTRACTS = (
    ("host", "Connection"),
    ("hypervisor", "Hypervisor"),
    ("network", "Networks"),
    ("storage", "Storage"),
    ("nodedev", "NodeDevices"),
    ("secret", "Secrets"),
    ("interface", "Interfaces"),
    ("nwfilter", "NWFilters"),
    ("admin", "Admin"),
    ("lease", "NetworkPorts"),
)
INTRODUCTION = """\
# Calls and events

Made from the declarations in `common/splitvirt/api` by `python -m splitvirt.api.reference`; a test keeps it current.

Each call is a method of the same name in Python (`await domain.create()`, or without `await` on `splitvirt.sync`), the
procedure of that number on libvirt's RPC sockets, and the method or property of that name on D-Bus. *Older* are
procedures that the same method answers for clients of libvirt's earlier versions. The permission is what fine-grained
access control asks polkit about: `domain:start` is the action `org.libvirt.api.domain.start`. A permission after which
flags stand is needed only where the call has all of them set, or after a "!" none of them. *shows* is needed for each
item of a list: what the caller may not see is left out. A read-only connection has `getattr`, `read` and `search_*`
only. Every daemon answers the calls of a connection.
"""
CALL_HEAD = "| call | what it does | libvirt | number | permission | D-Bus |\n|---|---|---|---|---|---|"
EVENT_HEAD = "| event | what happened | number to register for | procedure | D-Bus signal |\n|---|---|---|---|---|"


def contracts() -> list[type]:
    """Every root contract."""
    return [getattr(importlib.import_module(f"splitvirt.api.{module}"), name) for module, name in CONTRACTS]


def page() -> str:
    """The whole page, as Markdown."""
    shown: set[str] = set()
    return "\n".join([INTRODUCTION, *(line for contract in contracts() for line in _chapter(contract, shown))])


def _chapter(contract: Any, shown: set[str]) -> Iterator[str]:
    for kind in (contract, *contract.OBJECTS):
        yield f"## {kind.__name__}\n\n{_sentence(kind)}\n"
        own = [made for made in calls(contract) if made.on is kind]
        yield CALL_HEAD
        yield from (_call(made) for made in own if made.api not in shown)
        shown |= {made.api for made in own}
        told = [one for one in events(contract) if one.on is kind]
        if told:
            yield f"\n{EVENT_HEAD}"
            yield from map(_event, told)
        yield ""


def _call(made: Call) -> str:
    cells = [
        f"`{made.name}({', '.join(name for name, _ in made.params[made.on_object :])})`{_stream(made)}",
        _sentence(made),
        f"`{made.api}`",
        _number(made),
        "<br>".join([*map(_rule, made.rules), *([f"shows `{made.filter}`"] if made.filter else [])]) or "admin socket",
        _bus(made),
    ]
    return _row(cells)


def _event(one: Event) -> str:
    cells = [
        f"`{one.name}({', '.join(name for name, _ in one.fields)})`",
        _sentence(one),
        "by name" if one.id < 0 else str(one.id),
        f"{_program(one.program)}{one.rpc or 'D-Bus only'}" + (f"; older {one.older}" if one.older else ""),
        f"`{one.dbus}` {_signature(made for _, made in one.bus_fields)}".strip() if one.dbus else "",
    ]
    return _row(cells)


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _sentence(made: Any) -> str:
    """The first sentence of a docstring, on one line."""
    text = " ".join((made.doc if isinstance(made, (Call, Event)) else made.__doc__).split())
    return str(text).replace("*", "\\*").replace("<", "\\<")


def _stream(made: Call) -> str:
    return {"": "", "in": " with a stream in", "out": " with a stream out", "both": " with a stream"}[made.stream]


def _number(made: Call) -> str:
    if not made.rpc:
        return "D-Bus only"
    older = ", ".join(str(one.rpc) for one in made.older)
    return f"{_program(made.program)}{made.rpc}" + (f"; older {older}" if older else "")


def _program(number: int) -> str:
    name = next(name for name, known in PROGRAMS.items() if known == number)
    return "" if name == "remote" else f"{name} "


def _rule(rule: Rule) -> str:
    if rule.kind == "none":
        return "none"
    _, _, *condition = rule.text.split(":")
    if not condition:
        return f"`{rule.name}`"
    return f"`{rule.name}` where {rule.param or 'flags'} `{condition[-1]}`"


def _bus(made: Call) -> str:
    if made.prop:
        return f"{'writes' if made.bus_params else 'property'} `{made.prop}`"
    if not made.dbus:
        return ""
    given = _signature(kind for _, kind in made.bus_params)
    answered = made.result.dbus if made.result is not None else ""
    return f"`{made.dbus}` {given}{f' → `{answered}`' if answered else ''}".replace("  ", " ").strip()


def _signature(kinds: Iterator[Wire]) -> str:
    text = "".join(kind.dbus for kind in kinds)
    return f"`{text}`" if text else ""


if __name__ == "__main__":
    print(page(), end="")
