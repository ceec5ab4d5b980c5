"""The network port format (formatnetworkport): one guest interface's place on a network."""

from typing import Literal

from splitvirt.api.constants import VIR_FROM_NETWORK
from splitvirt.api.errors import InternalError, XMLError
from splitvirt.xml.element import Element, attr, child, text
from splitvirt.xml.forms import YesNo
from splitvirt.xml.netparts import Bandwidth, PciAddress, PlainUuid, PortOptions, VirtualPort, Vlan

MacTableManager = Literal["kernel", "libvirt"]


class Plug(Element, tag="plug"):
    """How the interface is connected."""

    type: str = attr()


class NetworkPlug(Plug, tag="plug", when=("type", "network")):
    """To the bridge of a network that we make."""

    type: str = attr(default="network")
    bridge: str | None = attr()
    mac_table_manager: MacTableManager | None = attr(
        "@macTableManager",
        wrong=lambda raw: XMLError(f"Invalid macTableManager setting '{raw}' in network port", domain=VIR_FROM_NETWORK),
    )


class BridgePlug(NetworkPlug, tag="plug", when=("type", "bridge")):
    """To a bridge of the host's."""

    type: str = attr(default="bridge")


class DirectPlug(Plug, tag="plug", when=("type", "direct")):
    """To a host interface, through macvtap."""

    type: str = attr(default="direct")
    dev: str | None = attr()
    mode: Literal["bridge", "private", "vepa", "passthrough"] | None = attr(
        wrong=lambda raw: XMLError(f"Invalid mode setting '{raw}' in network port", domain=VIR_FROM_NETWORK)
    )


class NoPlug(Plug, tag="plug", when=("type", ("none", None))):
    """Not yet: the network will say."""

    type: str | None = attr()  # type: ignore[assignment]


class HostdevPlug(Plug, tag="plug", when=("type", "hostdev-pci")):
    """To a virtual function, handed over whole."""

    type: str = attr(default="hostdev-pci")
    managed: YesNo | None = attr()
    driver: Literal["kvm", "vfio"] | None = attr(
        "driver/@name", wrong=lambda raw: XMLError("Missing network port driver name", domain=VIR_FROM_NETWORK)
    )
    address: PciAddress | None = child()


AnyPlug = NoPlug | NetworkPlug | BridgePlug | DirectPlug | HostdevPlug


def not_uuid(raw: str) -> InternalError:
    """What to say of a UUID that is none."""
    return InternalError(f"Unable to parse UUID '{raw}'", domain=VIR_FROM_NETWORK)


class NetworkPort(Element, tag="networkport"):
    """A port of a network."""

    uuid: PlainUuid = text(
        missing=lambda: InternalError("network port has no uuid", domain=VIR_FROM_NETWORK), wrong=not_uuid
    )
    owner_name: str = text(
        "owner/name", missing=lambda: InternalError("network port has no owner name", domain=VIR_FROM_NETWORK)
    )
    owner_uuid: PlainUuid = text(
        "owner/uuid",
        missing=lambda: InternalError("network port has no owner UUID", domain=VIR_FROM_NETWORK),
        wrong=not_uuid,
    )
    group: str | None = text()
    mac: str = attr("mac/@address", missing=lambda: InternalError("network port has no mac", domain=VIR_FROM_NETWORK))
    virtualport: VirtualPort | None = child()
    bandwidth: Bandwidth | None = child()
    vlan: Vlan | None = child()
    port: PortOptions | None = child()
    trust_guest_rx_filters: YesNo | None = attr("rxfilters/@trustGuest")
    plug: AnyPlug | None = child()

    @property
    def isolated(self) -> bool:
        """Whether it talks to the host only."""
        return bool(self.port and self.port.isolated)

    @property
    def floor(self) -> int:
        """The share of the network's bandwidth that is kept for it, in KiB/s."""
        limit = self.bandwidth.inbound if self.bandwidth else None
        return (limit.floor or 0) if limit else 0
