"""`<encryption>`: how a disk or volume is encrypted, and which of libvirt's secrets opens it."""

from typing import Literal

from splitvirt.api.errors import XMLError
from splitvirt.xml.element import Element, Node, Unsigned, attr, child, children


class Secret(Element, tag="secret"):
    """A secret by UUID or by what it is used for."""

    type: Literal["passphrase"] = attr(
        missing=lambda: XMLError("unknown volume encryption secret type"),
        wrong=lambda raw: XMLError(f"unknown volume encryption secret type {raw}"),
    )
    uuid: str | None = attr()
    usage: str | None = attr()

    def check(self, node: Node) -> None:
        if self.uuid is None and self.usage is None:
            raise XMLError("missing uuid or usage attribute in secret")
        if self.uuid is not None and self.usage is not None:
            raise XMLError("either uuid or usage expected in secret")


class Cipher(Element, tag="cipher"):
    """For making a volume; a disk says nothing of it."""

    name: str = attr(missing=lambda: XMLError("cipher info missing 'name' attribute"))
    size: Unsigned | None = attr(missing=lambda: XMLError("cipher info missing 'size' attribute"))
    mode: str | None = attr()
    hash: str | None = attr()


class InitialVector(Element, tag="ivgen"):
    """For making a volume; a disk says nothing of it."""

    name: str = attr(missing=lambda: XMLError("missing ivgen info name string"))
    hash: str | None = attr()


class Encryption(Element, tag="encryption"):
    """The format and its secrets."""

    format: Literal["default", "qcow", "luks", "luks2", "luks-any"] = attr()
    engine: Literal["default", "qemu", "librbd"] | None = attr()
    secrets: list[Secret] = children()
    cipher: Cipher | None = child()
    ivgen: InitialVector | None = child()
