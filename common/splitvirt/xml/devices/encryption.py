"""`<encryption>`: how a disk or volume is encrypted, and which of libvirt's secrets opens it."""

import re
from typing import Literal

from splitvirt.api.errors import ConfigUnsupported, XMLError
from splitvirt.xml.element import Element, Node, Unsigned, attr, child, children

UUID = re.compile(r"[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}")


class Secret(Element, tag="secret"):
    """A secret by UUID or by what it is used for."""

    type: Literal["passphrase"] = attr(
        missing=lambda: XMLError("unknown volume encryption secret type"),
        wrong=lambda raw: ConfigUnsupported(f"unknown volume encryption secret type {raw}"),
    )
    uuid: str | None = attr()
    usage: str | None = attr()

    def check(self, node: Node) -> None:
        check_secret(self.uuid, self.usage)


def check_secret(uuid: str | None, usage: str | None) -> None:
    """A secret is named in one of two ways. Raises XMLError."""
    if uuid is None and usage is None:
        raise XMLError("missing secret uuid or usage attribute")
    if uuid is not None and usage is not None:
        raise XMLError("either secret uuid or usage expected")
    if uuid is not None and not UUID.fullmatch(uuid):
        raise XMLError(f"invalid secret uuid '{uuid}'")


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


class Encryption(Element, tag="encryption", block=True):
    """The format and its secrets."""

    format: Literal["default", "qcow", "luks", "luks2"] = attr(
        missing=lambda: XMLError("unknown volume encryption format"),
        wrong=lambda raw: ConfigUnsupported(f"unknown volume encryption format type {raw}"),
    )
    engine: Literal["default", "qemu", "librbd"] | None = attr()
    secrets: list[Secret] = children()
    cipher: Cipher | None = child()
    ivgen: InitialVector | None = child()
