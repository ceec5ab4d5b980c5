"""What libvirt says to flags and parameters that a call does not know."""

from collections.abc import Iterable, Mapping

from splitvirt.api.constants import VIR_ERR_INVALID_ARG, VIR_FROM_NETWORK
from splitvirt.api.errors import ArgumentUnsupported, InvalidArg, VirtError, XMLSchema
from splitvirt.api.params import TypedParam
from splitvirt.xml.element import Element


def check_flags(flags: int, known: int, function: str) -> None:
    """Refuse unknown flags. Raises InvalidArg."""
    if flags & ~known:
        words = f"unsupported flags (0x{flags & ~known:x}) in function {function}"
        raise VirtError.of(VIR_ERR_INVALID_ARG, VIR_FROM_NETWORK, words)


def check_params(params: Iterable[TypedParam], known: Mapping[str, int]) -> None:
    """Refuse parameters that are unknown, of another type, or given twice. Raises VirtError."""
    seen: set[str] = set()
    for param in params:
        if param.name not in known:
            raise ArgumentUnsupported(f"parameter '{param.name}' not supported", domain=VIR_FROM_NETWORK)
        if param.kind != known[param.name]:
            raise InvalidArg(f"invalid type of parameter '{param.name}'", domain=VIR_FROM_NETWORK)
        if param.name in seen:
            raise InvalidArg(f"parameter '{param.name}' occurs multiple times", domain=VIR_FROM_NETWORK)
        seen.add(param.name)


def check_known(element: Element, what: str) -> None:
    """Refuse a document with parts that the format does not have. Raises XMLSchema, naming the first."""
    if element.unknown:
        first = element.unknown[0]
        raise XMLSchema(f"{first.path} (line {first.line}) is not part of the {what} format", domain=VIR_FROM_NETWORK)
