"""What a guest's interface, a network and a network port share: bandwidth, VLANs, virtual ports, addresses, routes."""

from splitvirt.xml.element import Element, YesNo, attr, child, children


class Rate(Element):
    """One direction of a limit: kilobytes per second; `burst` is in kilobytes."""

    average: int | None = attr()
    peak: int | None = attr()
    floor: int | None = attr()
    burst: int | None = attr()


class Inbound(Rate, tag="inbound"):
    """What comes in from the guest's or network's point of view."""


class Outbound(Rate, tag="outbound"):
    """What goes out."""


class Bandwidth(Element, tag="bandwidth"):
    """Traffic shaping; `class_id` is the tc class of a running network's port."""

    class_id: int | None = attr("@classID")
    inbound: Inbound | None = child()
    outbound: Outbound | None = child()


class VlanTag(Element, tag="tag"):
    """One VLAN id, 0-4095."""

    id: int = attr()
    native_mode: str | None = attr("@nativeMode")


class Vlan(Element, tag="vlan"):
    """The VLANs of a port; a trunk carries several."""

    trunk: YesNo | None = attr()
    tags: list[VlanTag] = children()


class VirtualPortParameters(Element, tag="parameters"):
    """What the switch wants to know of the port."""

    managerid: int | None = attr()
    typeid: int | None = attr()
    typeidversion: int | None = attr()
    instanceid: str | None = attr()
    interfaceid: str | None = attr()
    profileid: str | None = attr()


class VirtualPort(Element, tag="virtualport"):
    """A port of a managed switch: 802.1Qbg, 802.1Qbh, openvswitch or midonet."""

    type: str | None = attr()
    parameters: VirtualPortParameters | None = child()


class IPAddress(Element, tag="ip"):
    """An address of one side of an interface."""

    address: str = attr()
    family: str | None = attr()
    prefix: int | None = attr()
    peer: str | None = attr()


class Route(Element, tag="route"):
    """A static route."""

    family: str | None = attr()
    address: str = attr()
    netmask: str | None = attr()
    prefix: int | None = attr()
    gateway: str | None = attr()
    metric: int | None = attr()


class PortOptions(Element, tag="port"):
    """An isolated port talks to the host only, not to other isolated ports."""

    isolated: YesNo | None = attr()
