"""Access rules of calls: a permission on a kind of object, on condition of the arguments."""

from collections.abc import Sequence
from typing import Any

from . import constants

# Changing a domain: keeping the change asks for more. Neither flag means what runs or, if nothing does, what is kept.
CHANGE = (
    "domain:write",
    "domain:save:!VIR_DOMAIN_AFFECT_CONFIG|VIR_DOMAIN_AFFECT_LIVE",
    "domain:save:VIR_DOMAIN_AFFECT_CONFIG",
)


class Rule:
    """One rule, in libvirt's notation.

    `domain:write` always; `domain:save:FLAG` when all bits of FLAG are set in `flags`; `domain:save:!A|B` when none is;
    `domain:write::source:VALUE` when the argument `source` has that value.
    """

    def __init__(self, text: str, params: Sequence[str]) -> None:
        self.text = text
        self.kind, self.permission, flag, self.param, value = (text.split(":") + [""] * 4)[:5]
        self.name = f"{self.kind}:{self.permission}"
        self.negated = flag.startswith("!")
        self.mask = _number(flag.lstrip("!"))
        self.value = _number(value)
        self.at = params.index(self.param or "flags") if flag or value else -1

    def applies(self, values: Sequence[Any]) -> bool:
        """Whether the call with these values needs the permission."""
        if self.at < 0:
            return True
        given = values[self.at]
        if self.param:
            return bool(given == self.value)
        return not given & self.mask if self.negated else given & self.mask == self.mask

    def __repr__(self) -> str:
        return f"Rule({self.text})"


def _number(names: str) -> int:
    number = 0
    for name in filter(None, names.split("|")):
        number |= getattr(constants, name)
    return number
