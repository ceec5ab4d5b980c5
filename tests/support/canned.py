"""Contracts that answer from a table and remember what they were asked: for tests of what travels."""

from typing import Any
from uuid import UUID

from splitvirt.api.call import Call, calls
from splitvirt.api.domain import Domain
from splitvirt.api.event import Hub
from splitvirt.api.hypervisor import Hypervisor
from splitvirt.api.record import Object


class Canned:
    """A root of one contract. `answers` by "Kind.name"; `asked` are the calls made, with what they were given.

    An answer that is a function is called with the root. Objects are found by whatever they are looked up by.
    """

    contract: type

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers, self.asked, self.events = answers, list[tuple[Any, ...]](), Hub()
        self.kinds = {kind: _filled(kind) for kind in self.contract.OBJECTS}  # type: ignore[attr-defined]

    def one(self, kind: type[Object], **fields: Any) -> Any:
        """The one object of a kind, with these fields; the first time says them."""
        made = self.kinds[kind]
        made.root = self
        made.__dict__.update(fields)
        return made


def _filled(kind: Any) -> Any:
    own = [call for call in calls(kind) if call.on is kind]
    return type(f"Canned{kind.__name__}", (kind,), {call.name: _method(call) for call in own})()


def _method(call: Call) -> Any:
    async def method(self: Any, *values: Any) -> Any:
        root = self.root if call.on_object else self
        key = f"{call.on.__name__}.{call.name}"
        if not call.finds:
            root.asked.append((key, *values))
        elif key not in root.answers:
            return root.kinds[vars(call.result)["kind"]]
        answer = root.answers.get(key)
        return answer(root) if callable(answer) else answer

    return method


def canned(contract: type, answers: dict[str, Any]) -> Any:
    """A root of a contract that answers from a table."""
    own = {call.name: _method(call) for call in calls(contract) if call.on is contract}
    made: Any = type(f"Canned{contract.__name__}", (Canned, contract), {**own, "contract": contract})
    return made(answers)


def canned_hypervisor(answers: dict[str, Any]) -> Any:
    """A hypervisor that does, with one running domain, "demo"."""
    made = canned(Hypervisor, answers)
    made.domain = made.one(Domain, name="demo", uuid=UUID(int=0x1234), id=7)
    return made
