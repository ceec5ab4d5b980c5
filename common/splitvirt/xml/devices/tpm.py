"""`<tpm>`: a trusted platform module, the host's or an emulated one."""

from typing import Literal

from splitvirt.xml.devices.chardev import ChardevSource
from splitvirt.xml.devices.device import Device
from splitvirt.xml.element import Element, YesNo, attr, child, present


class PassthroughBackend(Element, tag="backend", when=("type", "passthrough")):
    """The host's TPM."""

    type: Literal["passthrough"] = attr(default="passthrough")
    path: str | None = attr("device/@path")


class EmulatorBackend(Element, tag="backend", when=("type", "emulator")):
    """swtpm, started with the guest; `encryption_secret` is the uuid of the secret that its state is encrypted with."""

    type: Literal["emulator"] = attr(default="emulator")
    version: Literal["1.2", "2.0"] | None = attr()
    persistent_state: YesNo | None = attr()
    encryption_secret: str | None = attr("encryption/@secret")
    sha1: bool = present("active_pcr_banks/sha1")
    sha256: bool = present("active_pcr_banks/sha256")
    sha384: bool = present("active_pcr_banks/sha384")
    sha512: bool = present("active_pcr_banks/sha512")


class ExternalSource(ChardevSource, tag="source"):
    """The socket of an swtpm that somebody else runs."""

    type: Literal["unix"] = attr(order=-1, default="unix")


class ExternalBackend(Element, tag="backend", when=("type", "external")):
    """An swtpm that somebody else runs."""

    type: Literal["external"] = attr(default="external")
    source: ExternalSource | None = child()


class Tpm(Device, tag="tpm"):
    """A TPM."""

    model: Literal["tpm-tis", "tpm-crb", "tpm-spapr", "spapr-tpm-proxy"] | None = attr()
    backend: PassthroughBackend | EmulatorBackend | ExternalBackend = child()
