"""`<launchSecurity>` and `<keywrap>`: memory and keys that the host cannot read."""

from typing import Annotated, Literal

from splitvirt.api.errors import XMLError
from splitvirt.xml.element import Element, OnOff, Unsigned, YesNo, attr, text
from splitvirt.xml.forms import hexadecimal


class Sev(Element, tag="launchSecurity", when=("type", "sev")):
    """AMD's encrypted memory."""

    type: str = attr(default="sev")
    kernel_hashes: YesNo | None = attr("@kernelHashes")
    cbitpos: Unsigned | None = text(wrong=lambda raw: XMLError("Invalid format for launch security cbitpos"))
    reduced_phys_bits: Unsigned | None = text(
        "reducedPhysBits", wrong=lambda raw: XMLError("Invalid format for launch security reduced-phys-bits")
    )
    policy: Annotated[int, hexadecimal(4, base=16)] = text(
        wrong=lambda raw: XMLError("failed to get launch security policy"),
        missing=lambda: XMLError("failed to get launch security policy"),
    )
    dh_cert: str | None = text("dhCert")
    session: str | None = text()


class ProtectedVirtualization(Element, tag="launchSecurity", when=("type", "s390-pv")):
    """IBM Z's."""

    type: str = attr(default="s390-pv")


class Cipher(Element, tag="cipher"):
    """A key-wrapping cipher of IBM Z."""

    name: Literal["aes", "dea"] = attr()
    state: OnOff = attr()
