"""A hypervisor that answers from a table and remembers what it was asked: for tests of what travels."""

from typing import Any
from uuid import UUID

from splitvirt.api.call import Call, calls
from splitvirt.api.domain import Domain
from splitvirt.api.event import Hub
from splitvirt.api.hypervisor import Hypervisor


class CannedDomain(Domain):
    """Its one domain."""

    def __init__(self, root: "CannedHypervisor") -> None:
        self.root, self.name, self.uuid, self.id = root, "demo", UUID(int=0x1234), 7


class CannedHypervisor(Hypervisor):
    """`answers` by "Kind.name"; `asked` are the calls made, with what they were given."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers, self.asked, self.events = answers, list[tuple[Any, ...]](), Hub()
        self.domain = CannedDomain(self)


def _method(call: Call) -> Any:
    async def method(self: Any, *values: Any) -> Any:
        root = self.root if call.on_object else self
        key = f"{call.on.__name__}.{call.name}"
        if not call.name.startswith("domain_by_"):
            root.asked.append((key, *values))
        answer = root.answers.get(key)
        return answer(root) if callable(answer) else answer

    return method


for made in calls(Hypervisor):
    if made.on in (Domain, Hypervisor):
        setattr(CannedDomain if made.on is Domain else CannedHypervisor, made.name, _method(made))
