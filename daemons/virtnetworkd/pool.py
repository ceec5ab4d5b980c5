"""The devices of a network that guests get whole: virtual functions found on the card that the network names."""

import re
from pathlib import Path

from splitvirt.api.constants import VIR_FROM_NETWORK
from splitvirt.api.errors import InternalError
from splitvirt.xml.network import ForwardAddress, ForwardInterface, Network

DEVICES = Path("/sys/class/net")


def fill(net: Network) -> None:
    """List the virtual functions of the network's card: by PCI address for hostdev, else by name. Raises VirtError."""
    forward = net.forward
    if forward is None or not forward.pfs or forward.interfaces or forward.addresses:
        return
    card = forward.pfs[0].dev or ""
    functions = sorted((DEVICES / card / "device").glob("virtfn*"), key=lambda path: int(path.name[6:]))
    if not functions:
        raise InternalError(f"No usable Vf's present on SRIOV PF {card}", domain=VIR_FROM_NETWORK)
    for function in functions:
        if net.mode == "hostdev":
            parts = [int(part, 16) for part in re.split("[:.]", function.resolve().name)]
            names = ("domain", "bus", "slot", "function")
            forward.addresses.append(ForwardAddress(type="pci", **dict(zip(names, parts, strict=True))))
        else:
            forward.interfaces += [ForwardInterface(dev=path.name) for path in sorted((function / "net").glob("*"))[:1]]
