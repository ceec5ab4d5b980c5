"""`domxml-to-native qemu-argv`: the command line of a guest that is not started."""

from collections.abc import Callable

from splitvirt.xml.domain import Domain
from virtqemud.capabilities import Capabilities
from virtqemud.command import build, plain_interfaces
from virtqemud.context import Context, Settings
from virtqemud.prepare import prepare


def command_line(
    document: str, capabilities: Callable[[Domain], Capabilities], lib: str, settings: Settings | None = None
) -> str:
    """The line for a guest's XML; `capabilities` gives those of its emulator. Raises VirtError."""
    domain = Domain.from_xml(document)
    caps = capabilities(domain)
    prepare(domain, caps)
    plain_interfaces(domain)
    prepare(domain, caps, for_start=True)
    ctx = Context(domain, caps, lib, settings or Settings(), native=True)
    return build(domain, ctx).text()
