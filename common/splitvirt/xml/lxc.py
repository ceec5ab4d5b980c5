"""The `lxc:` namespace: namespaces that a container shares with another one."""

from typing import Literal

from splitvirt.xml.element import Element, attr

NAMESPACE = "http://libvirt.org/schemas/domain/lxc/1.0"


class SharedNamespaces(Element, tag="lxc:namespace", hide_empty=True):
    """Whose namespace to use: a network namespace's, a container's name, or a process id."""

    net_type: Literal["netns", "name", "pid"] | None = attr("lxc:sharenet/@type")
    net: str | None = attr("lxc:sharenet/@value")
    ipc_type: Literal["name", "pid"] | None = attr("lxc:shareipc/@type")
    ipc: str | None = attr("lxc:shareipc/@value")
    uts_type: Literal["name", "pid"] | None = attr("lxc:shareuts/@type")
    uts: str | None = attr("lxc:shareuts/@value")
