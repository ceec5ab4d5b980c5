"""Finding devices of a configuration by kind, alias, target or path."""

from collections.abc import Iterator
from typing import TypeVar

from splitvirt.xml.devices.device import Device
from splitvirt.xml.domain import Domain as DomainXML
from splitvirt.xml.element import Element

D = TypeVar("D", bound=Element)


def every(config: DomainXML) -> Iterator[Element]:
    """All devices, in the order of the document."""
    if config.devices is None:
        return
    for value in config.devices.__dict__.values():
        if isinstance(value, Element):
            yield value
        elif isinstance(value, list):
            yield from (item for item in value if isinstance(item, Element))


def of(config: DomainXML, kind: type[D]) -> list[D]:
    """The devices of one kind."""
    return [device for device in every(config) if isinstance(device, kind)]


def by_alias(config: DomainXML, alias: str) -> Device | None:
    """The device of that alias."""
    return next((d for d in every(config) if isinstance(d, Device) and d.alias == alias), None)
