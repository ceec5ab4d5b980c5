"""`<launchSecurity>` and `<keywrap>`: memory and keys that the host cannot read."""

from typing import Literal

from splitvirt.xml.element import Element, Hex4, OnOff, Unsigned, YesNo, attr, text


class Sev(Element, tag="launchSecurity", when=("type", "sev")):
    """AMD's encrypted memory."""

    type: str = attr(default="sev")
    kernel_hashes: YesNo | None = attr("@kernelHashes")
    cbitpos: Unsigned | None = text()
    reduced_phys_bits: Unsigned | None = text("reducedPhysBits")
    policy: Hex4 | None = text()
    dh_cert: str | None = text("dhCert")
    session: str | None = text()


class ProtectedVirtualization(Element, tag="launchSecurity", when=("type", "s390-pv")):
    """IBM Z's."""

    type: str = attr(default="s390-pv")


class Cipher(Element, tag="cipher"):
    """A key-wrapping cipher of IBM Z."""

    name: Literal["aes", "dea"] = attr()
    state: OnOff = attr()
