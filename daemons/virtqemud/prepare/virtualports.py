"""`<virtualport>` of an interface: what its kind of switch must be told, and ids that are made up."""

from uuid import uuid4

from splitvirt.api.errors import ConfigUnsupported, XMLError
from splitvirt.xml.devices.interface import Interface
from splitvirt.xml.netparts import VirtualPortParameters

KINDS = frozenset({"network", "bridge", "direct", "hostdev"})
"""Interfaces that may be ports of a managed switch."""

REQUIRED = {
    "802.1Qbg": ("managerid", "typeid", "typeidversion"),
    "802.1Qbh": ("profileid",),
    "midonet": ("interfaceid",),
}
"""What must be given, except on a network, which may know it."""

GENERATED: dict[str | None, tuple[str, ...]] = {
    None: ("instanceid", "interfaceid"),
    "802.1Qbg": ("instanceid",),
    "openvswitch": ("interfaceid",),
}
"""Ids that are made up where they are not given."""


def complete(card: Interface) -> None:
    """Check an interface's port and give it its ids. Raises ConfigUnsupported or XMLError."""
    port = card.virtualport
    if port is None:
        return
    if card.type not in KINDS:
        raise ConfigUnsupported(f"<virtualport> element unsupported for <interface type='{card.type}'>")
    given = port.parameters or VirtualPortParameters()
    if card.type != "network":
        if port.type is None:
            raise XMLError("missing required virtualport type")
        for name in REQUIRED.get(port.type, ()):
            if getattr(given, name) is None:
                raise XMLError(f"missing {name} in <virtualport type='{port.type}'>")
    for name in GENERATED.get(port.type, ()):
        if getattr(given, name) is None:
            setattr(given, name, str(uuid4()))
        port.parameters = given
