"""A port of a running network: who holds it, where it is plugged, what bandwidth it was promised."""

from typing import TYPE_CHECKING
from uuid import UUID

from splitvirt.api import constants as c
from splitvirt.api import network as api
from splitvirt.api.params import TypedParam
from splitvirt.xml.netparts import Bandwidth, Inbound, Outbound
from splitvirt.xml.networkport import NetworkPort

from . import shaping
from .flags import check_flags, check_params

if TYPE_CHECKING:
    from .network import VirtualNetwork

PARAMS = {
    f"{way}.{field}": (way, field)
    for way, fields in (("inbound", ("average", "peak", "burst", "floor")), ("outbound", ("average", "peak", "burst")))
    for field in fields
}
KINDS = dict.fromkeys(PARAMS, c.VIR_TYPED_PARAM_UINT)


class HeldPort(api.Port):
    """A port in use."""

    def __init__(self, network: "VirtualNetwork", port: NetworkPort) -> None:
        self.network: VirtualNetwork = network
        self.uuid = UUID(port.uuid)
        self.port = port

    @property
    def class_id(self) -> int:
        """The tc class that keeps its floor, or 0."""
        return (self.port.bandwidth.class_id or 0) if self.port.bandwidth else 0

    async def xml(self, flags: int = 0) -> str:
        check_flags(flags, 0, "networkPortGetXMLDesc")
        return self.port.to_xml()

    async def params(self, flags: int = 0) -> list[TypedParam]:
        check_flags(flags, 0, "networkPortGetParameters")
        bandwidth = self.port.bandwidth or Bandwidth()
        return [
            TypedParam.uint(name, getattr(getattr(bandwidth, way), field) or 0)
            for name, (way, field) in PARAMS.items()
            if getattr(bandwidth, way) is not None
        ]

    async def set_params(self, params: list[TypedParam], flags: int = 0) -> None:
        check_flags(flags, 0, "networkPortSetParameters")
        check_params(params, KINDS)
        limits = {"inbound": Inbound(), "outbound": Outbound()}
        old = self.port.bandwidth
        for way, limit in limits.items():
            there = getattr(old, way) if old else None
            if there is not None:
                vars(limit).update(vars(there))
        for param in params:
            way, field = PARAMS[param.name]
            setattr(limits[way], field, param.value or None)
        kept = {way: limit for way, limit in limits.items() if any(vars(limit).values())}
        await self.network.limit_port(self, Bandwidth(**kept) if kept else None)

    async def delete(self, flags: int = 0) -> None:
        check_flags(flags, 0, "networkPortDelete")
        await self.network.give_back(self)


def promised(ports: list[HeldPort]) -> int:
    """The bandwidth that a network's ports were promised together, in KiB/s."""
    return sum(held.port.floor for held in ports)


def free_class(ports: list[HeldPort]) -> int:
    """A tc class that no port has."""
    used = {held.class_id for held in ports}
    return next(n for n in range(shaping.FIRST_CLASS, shaping.LAST_CLASS) if n not in used)
