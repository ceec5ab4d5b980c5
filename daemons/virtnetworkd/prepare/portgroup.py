"""Port groups and traffic limits."""

from splitvirt.api.constants import VIR_FROM_NETWORK
from splitvirt.api.errors import ConfigUnsupported, XMLDetail, XMLError
from splitvirt.xml.netparts import Bandwidth
from splitvirt.xml.network import PortGroup


def check_bandwidth(bandwidth: Bandwidth | None) -> Bandwidth | None:
    """A limit of a network or a port group: no floor, no class. None if it limits nothing."""
    if bandwidth is None:
        return None
    if bandwidth.class_id is not None:
        raise XMLDetail("classID attribute not supported on <bandwidth> in this usage context", domain=VIR_FROM_NETWORK)
    if bandwidth.inbound and bandwidth.inbound.floor:
        raise ConfigUnsupported("floor attribute is not supported for this config", domain=VIR_FROM_NETWORK)
    return bandwidth if bandwidth.inbound or bandwidth.outbound else None


def check_portgroup(group: PortGroup) -> None:
    """A group's name and limits."""
    if not group.name:
        raise XMLError("Missing required name attribute in portgroup", domain=VIR_FROM_NETWORK)
    group.bandwidth = check_bandwidth(group.bandwidth)
