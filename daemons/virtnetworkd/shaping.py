"""Bandwidth: what arrives at a network's guests, shaped on its bridge, and the floors that ports were promised."""

from splitvirt.api.constants import VIR_FROM_NETWORK
from splitvirt.api.errors import OperationInvalid, OperationUnsupported, SystemError_
from splitvirt.host import tc
from splitvirt.xml.netparts import Bandwidth, Inbound
from splitvirt.xml.network import Network

FIRST_CLASS, LAST_CLASS = 3, 0xFFFE
"""tc classes of ports; 1 is the whole network, 2 what has no floor."""


def inbound(net: Network) -> Inbound | None:
    """The limit on what the network's guests get, if there is one."""
    limit = net.bandwidth.inbound if net.bandwidth else None
    return limit if limit is not None and limit.average else None


def run(lines: list[str], what: str, *, force: bool = False) -> None:
    """Run tc commands. Raises SystemError_."""
    try:
        tc.batch(lines, force=force)
    except OSError as error:
        raise SystemError_(f"{what}: {error.strerror or error}", domain=VIR_FROM_NETWORK) from error


def rate(average: int, peak: int | None, burst: int | None) -> str:
    """An HTB class's bounds; libvirt's numbers are kilobytes, which tc calls kbps and kb."""
    text = f"rate {max(average, 1)}kbps ceil {max(peak or average, average, 1)}kbps"
    return text + (f" burst {burst}kb" if burst else "")


def limit_device(device: str, bandwidth: Bandwidth | None) -> list[str]:
    """Commands that limit what goes out of a device towards a guest."""
    limit = bandwidth.inbound if bandwidth else None
    if limit is None or not limit.average:
        return []
    bounds = rate(limit.average, limit.peak, limit.burst)
    return [
        f"qdisc add dev {device} root handle 1: htb default 1",
        f"class add dev {device} parent 1: classid 1:1 htb {bounds}",
    ]


def start(net: Network) -> None:
    """Shape the bridge. Raises SystemError_."""
    limit = inbound(net)
    if limit is None:
        return
    device, bounds = net.bridge_name, rate(limit.average or 0, limit.peak, limit.burst)
    run(
        [
            f"qdisc add dev {device} root handle 1: htb default 2",
            f"class add dev {device} parent 1: classid 1:1 htb {bounds}",
            f"class add dev {device} parent 1:1 classid 1:2 htb {bounds}",
        ],
        f"cannot set bandwidth limits on {device}",
    )


def check_floor(net: Network, mac: str, mode: str, floor: int, promised: int) -> None:
    """Whether a network that has promised so much can promise a port more. Raises VirtError in libvirt's words."""
    if mode not in ("none", "nat", "route", "open"):
        raise OperationUnsupported(
            f"Invalid use of 'floor' on interface with MAC address {mac} - 'floor' is only supported for interface"
            " type 'network' with forward type 'nat', 'route', 'open' or none",
            domain=VIR_FROM_NETWORK,
        )
    limit = inbound(net)
    if limit is None:
        raise OperationUnsupported(
            f"Invalid use of 'floor' on interface with MAC address {mac} - network '{net.name}' has no inbound QoS set",
            domain=VIR_FROM_NETWORK,
        )
    total = promised + floor
    for word, bound in (("peak", limit.peak), ("average", None if limit.peak else limit.average)):
        if bound and total > bound:
            raise OperationInvalid(
                f"Cannot plug '{mac}' interface into '{net.bridge_name}' because new combined inbound floor={total}"
                f" would overcommit {word}={bound} on network '{net.name}'",
                domain=VIR_FROM_NETWORK,
            )


def add_floor(net: Network, class_id: int, mac: str, floor: int, promised: int) -> None:
    """Keep a share of the network for a port's address. `promised` counts it. Raises SystemError_."""
    limit = inbound(net)
    assert limit is not None
    device, ceiling = net.bridge_name, limit.peak or limit.average
    run(
        [
            f"class add dev {device} parent 1:1 classid 1:{class_id:x} htb rate {floor}kbps ceil {ceiling}kbps",
            f"filter add dev {device} parent 1: protocol all prio {class_id} u32 {match(mac)} flowid 1:{class_id:x}",
            rest(net, promised),
        ],
        f"cannot set bandwidth floor of {mac} on {device}",
    )


def drop_floor(net: Network, class_id: int, promised: int) -> None:
    """Give a port's share back."""
    device = net.bridge_name
    run(
        [
            f"filter del dev {device} parent 1: prio {class_id}",
            f"class del dev {device} classid 1:{class_id:x}",
            rest(net, promised),
        ],
        f"cannot remove bandwidth floor on {device}",
        force=True,
    )


def rest(net: Network, promised: int) -> str:
    """The command that leaves to everybody else what is not promised."""
    limit = inbound(net)
    assert limit is not None
    left = max((limit.average or 0) - promised, 1)
    return f"class change dev {net.bridge_name} classid 1:2 htb {rate(left, limit.peak or limit.average, limit.burst)}"


def match(mac: str) -> str:
    """A u32 match of the frame's destination."""
    digits = mac.replace(":", "")
    return f"match u16 0x{digits[:4]} 0xffff at -14 match u32 0x{digits[4:]} 0xffffffff at -12"
