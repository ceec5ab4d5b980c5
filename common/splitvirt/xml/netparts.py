"""What a guest's interface, a network and a network port share: bandwidth, VLANs, virtual ports, addresses, routes."""

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from splitvirt.api.constants import VIR_FROM_NETWORK
from splitvirt.api.errors import ConfigUnsupported, InvalidArg, VirtError, XMLDetail, XMLError
from splitvirt.xml.element import Element, Node, attr, child, children
from splitvirt.xml.forms import U32, U64, Form, Hex1, Hex2, Hex4, Positive, Signed, Unsigned, WrongValue, YesNo, number
from splitvirt.xml.netaddress import BITS, IPV4, IPV6, parse_address


class Paired(Element):
    """An element that libvirt writes with a closing tag even when nothing is in it."""

    def write(self, out: list[str], pad: str, bits: int, tag: str = "") -> None:
        mark = len(out)
        super().write(out, pad, bits, tag)
        if len(out) == mark + 1 and out[mark].endswith("/>\n"):
            out[mark] = out[mark][:-3] + ">\n"
            out.append(f"{pad}</{tag or self.TAG}>\n")


def whole(raw: str) -> int:
    value = number(raw, 10, "")
    if not 0 <= value <= U64 or raw.strip().startswith("-"):
        raise WrongValue
    return value


Speed = Annotated[int, Form(whole, str)]


def unread(name: str) -> Callable[[str], VirtError]:
    """The words for a rate that is no number."""

    def wrong(raw: str) -> VirtError:
        return ConfigUnsupported(f"could not convert bandwidth {name} value '{raw}'", domain=VIR_FROM_NETWORK)

    return wrong


class Rate(Element, hide_empty=True):
    """One direction of a limit: kilobytes per second; `burst` is in kilobytes. 0 is the same as not given."""

    average: Speed | None = attr(omit=0, wrong=unread("average"))
    peak: Speed | None = attr(omit=0, wrong=unread("peak"))
    floor: Speed | None = attr(omit=0, wrong=unread("floor"))
    burst: Speed | None = attr(omit=0, wrong=unread("burst"))

    def visible(self, bits: int) -> Mapping[str, Any]:
        return self.__dict__ if self.average or self.floor else {}

    def check(self, node: Node) -> None:
        if self.average is None and self.floor is None:
            raise XMLDetail("Missing mandatory average or floor attributes", domain=VIR_FROM_NETWORK)
        if self.average is None and (self.peak is not None or self.burst is not None):
            raise ConfigUnsupported("'peak' and 'burst' require 'average' attribute", domain=VIR_FROM_NETWORK)
        if self.floor and node.tag == "outbound":
            raise ConfigUnsupported("'floor' attribute allowed only in <inbound> element", domain=VIR_FROM_NETWORK)


class Inbound(Rate, tag="inbound"):
    """What comes in from the guest's or network's point of view."""


class Outbound(Rate, tag="outbound"):
    """What goes out."""


def class_number(raw: str) -> int:
    """A class; what is no number is no class that there is, but said."""
    try:
        return number(raw, 10, "")
    except WrongValue:
        return 0


class Bandwidth(Paired, tag="bandwidth"):
    """Traffic shaping; `class_id` is the tc class of a running network's port."""

    class_id: Annotated[int, Form(class_number, str)] | None = attr("@classID")
    inbound: Inbound | None = child()
    outbound: Outbound | None = child()

    def check(self, node: Node) -> None:
        for tag in ("inbound", "outbound"):
            if sum(inner.tag == tag for inner in node.children) > 1:
                raise XMLDetail(f"Only one child <{tag}> element allowed", domain=VIR_FROM_NETWORK)

    def write(self, out: list[str], pad: str, bits: int, tag: str = "") -> None:
        if self.inbound or self.outbound or self.class_id:
            super().write(out, pad, bits, tag)


class VlanTag(Element, tag="tag"):
    """One VLAN id, 0-4095."""

    id: Unsigned = attr()
    native_mode: Literal["tagged", "untagged"] | None = attr("@nativeMode")


def only_yes(raw: str) -> bool:
    """Whether it says yes, in whatever case."""
    return raw.lower() == "yes"


class Vlan(Element, tag="vlan"):
    """The VLANs of a port; a trunk carries several."""

    trunk: Annotated[bool, Form(only_yes, {True: "yes", False: "no"}.__getitem__)] | None = attr(omit=False, blank=True)
    tags: list[VlanTag] = children()

    def check(self, node: Node) -> None:
        if not self.tags:
            raise XMLError("missing tag id - each <vlan> must have at least one <tag id='n'/> subelement")
        for tag in self.tags:
            if tag.id > 4095:
                raise XMLError(f"vlan tag id {tag.id} too large (maximum 4095)")
        natives = sum(tag.native_mode is not None for tag in self.tags)
        if natives > 1:
            raise XMLError("duplicate native vlan setting")
        raw = node.get("trunk")
        if self.trunk is False and len(self.tags) > 1:
            raise XMLError(f"invalid \"trunk='{raw}'\" in <vlan> - trunk='yes' is required for more than one vlan tag")
        if self.trunk is False and natives:
            raise XMLError(f"invalid configuration in <vlan> - \"trunk='{raw}'\" is not allowed with a native vlan id")
        if self.trunk is False and (raw or "").lower() != "no":
            raise XMLError(f"invalid \"trunk='{raw}'\" in <vlan> - must be yes or no")
        self.trunk = self.trunk or len(self.tags) > 1 or None


def small(limit: int) -> Form:
    """A number in any base up to `limit`; the reason says which bound it missed."""

    def read(raw: str) -> int:
        value = number(raw, 0, "")
        if not 0 <= value <= limit:
            raise WrongValue
        return value

    return Form(read, str)


def parameter(name: str, preposition: str) -> Callable[[str], VirtError]:
    """The words for a parameter that is no number, or too large a one."""

    def wrong(raw: str) -> VirtError:
        try:
            if number(raw, 0, "") > U32:
                raise WrongValue
        except WrongValue:
            return XMLError(f"cannot parse value of {name} parameter")
        return XMLError(f"value {preposition} {name} out of range")

    return wrong


UUID = re.compile(r"\s*(?:[- ]*[0-9a-fA-F]{2}){16}\s*")


def read_uuid(raw: str) -> str:
    if not UUID.fullmatch(raw):
        raise WrongValue
    digits = re.sub("[^0-9a-f]", "", raw.lower())
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def not_uuid(name: str) -> Callable[[str], VirtError]:
    return lambda raw: XMLError(f"cannot parse {name} parameter as a uuid")


def profile(raw: str) -> str:
    if len(raw.encode()) > 39:
        raise WrongValue
    return raw


PlainUuid = Annotated[str, Form(read_uuid, str)]


class VirtualPortParameters(Element, tag="parameters", hide_empty=True):
    """What the switch wants to know of the port."""

    managerid: Annotated[int, small(0xFF)] | None = attr(wrong=parameter("managerid", "of"))
    typeid: Annotated[int, small(0xFFFFFF)] | None = attr(wrong=parameter("typeid", "for"))
    typeidversion: Annotated[int, small(0xFF)] | None = attr(wrong=parameter("typeidversion", "of"))
    instanceid: PlainUuid | None = attr(wrong=not_uuid("instanceid"))
    interfaceid: PlainUuid | None = attr(wrong=not_uuid("interfaceid"))
    profileid: Annotated[str, Form(profile, str)] | None = attr(
        omit="", wrong=lambda raw: XMLError("profileid parameter too long")
    )


SWITCHES = {
    "802.1Qbg": ("managerid", "typeid", "typeidversion", "instanceid"),
    "802.1Qbh": ("profileid",),
    "openvswitch": ("interfaceid", "profileid"),
    "midonet": ("interfaceid",),
}
"""The kinds of managed switch, and the parameters that each understands."""


def switch_kind(raw: str) -> str:
    if raw not in SWITCHES:
        raise WrongValue
    return raw


class VirtualPort(Element, tag="virtualport", hide_empty=True):
    """A port of a managed switch: 802.1Qbg, 802.1Qbh, openvswitch or midonet."""

    type: Annotated[str, Form(switch_kind, str)] | None = attr(
        wrong=lambda raw: ConfigUnsupported(f"unknown virtualport type {raw}", domain=VIR_FROM_NETWORK)
    )
    parameters: VirtualPortParameters | None = child()

    def check(self, node: Node) -> None:
        if self.type is None or self.parameters is None:
            return
        if self.type == "midonet":  # libvirt drops what it does not know of
            self.parameters = VirtualPortParameters(interfaceid=self.parameters.interfaceid)
        given: dict[str, Any] = vars(self.parameters)
        for name in ("managerid", "typeid", "typeidversion", "instanceid", "profileid", "interfaceid"):
            if given.get(name) is not None and name not in SWITCHES[self.type]:
                raise XMLError(f"extra {name} unsupported in <virtualport type='{self.type}'>")


class PciAddress(Element, tag="address"):
    """A PCI device."""

    domain: Hex4 = attr(default=0)
    bus: Hex2 = attr(default=0)
    slot: Hex2 = attr(default=0)
    function: Hex1 = attr(default=0)

    def check(self, node: Node) -> None:
        for name, value, limit in (("bus", self.bus, 0xFF), ("slot", self.slot, 0x1F), ("function", self.function, 7)):
            if value > limit:
                raise XMLError(f"Invalid PCI address {name}='0x{value:x}', must be <= {limit:#X}".replace("0X", "0x"))

    def __str__(self) -> str:
        return f"{self.domain:04x}:{self.bus:02x}:{self.slot:02x}.{self.function:x}"


class IPAddress(Element, tag="ip"):
    """An address of one side of an interface; `family` (ipv4, ipv6) follows from it."""

    address: str = attr(missing=lambda: XMLError("Missing required address in <ip>"))
    family: str | None = attr()
    prefix: Signed | None = attr(omit=0, wrong=lambda raw: XMLError(f"Invalid prefix value '{raw}' in <ip>"))
    peer: str | None = attr()

    def check(self, node: Node) -> None:
        """Raise VirtError for what is no address, or not of the family."""
        found, wanted = parse_address(self.address), {"ipv4": IPV4, "ipv6": IPV6}.get(self.family or "")
        if found is None or wanted not in (None, found.family):
            raise XMLError(f"Invalid address '{self.address}' in <ip>")
        if self.prefix is not None and not 0 <= self.prefix <= BITS[found.family]:
            raise XMLError(f"Invalid prefix value '{self.prefix}' in <ip>")
        if self.peer is not None and (parse_address(self.peer) or found).family != found.family:
            raise InvalidArg(f"Invalid peer '{self.peer}' in <ip>")
        if self.peer is not None and parse_address(self.peer) is None:
            raise InvalidArg(f"Invalid peer '{self.peer}' in <ip>")
        self.family = "ipv4" if found.family == IPV4 else "ipv6"


class Route(Element, tag="route"):
    """A static route; `splitvirt.xml.netaddress.check_route` says whether it is one."""

    family: str | None = attr()
    address: str | None = attr()
    netmask: str | None = attr()
    prefix: Unsigned | None = attr()
    gateway: str | None = attr()
    metric: Positive | None = attr()


class PortOptions(Element, tag="port", hide_empty=True):
    """An isolated port talks to the host only, not to other isolated ports."""

    isolated: YesNo | None = attr()
