"""`<tpm>`: a trusted platform module, the host's or an emulated one."""

from typing import Annotated, Literal, get_args
from uuid import UUID

from splitvirt.api.errors import ConfigUnsupported, InternalError, XMLError
from splitvirt.xml.devices.chardev import Backend, ChardevSource
from splitvirt.xml.devices.device import Device
from splitvirt.xml.element import Element, Form, Node, WrongValue, YesNo, attr, child, present


def read_uuid(raw: str) -> str:
    """A UUID, with or without hyphens."""
    try:
        return str(UUID(raw))
    except ValueError:
        raise WrongValue from None


Uuid = Annotated[str, Form(read_uuid, str)]


class PassthroughBackend(Element, tag="backend", when=("type", "passthrough")):
    """The host's TPM."""

    type: Literal["passthrough"] = attr(default="passthrough")
    path: str = attr("device/@path", default="/dev/tpm0")


class EmulatorBackend(Element, tag="backend", when=("type", "emulator")):
    """swtpm, started with the guest; `encryption_secret` is the uuid of the secret that its state is encrypted with."""

    type: Literal["emulator"] = attr(default="emulator")
    version: Literal["1.2", "2.0"] | None = attr()
    persistent_state: YesNo | None = attr(
        wrong=lambda raw: InternalError("Invalid persistent_state value, either 'yes' or 'no'")
    )
    encryption_secret: Uuid | None = attr(
        "encryption/@secret", wrong=lambda raw: InternalError(f"Unable to parse secret uuid '{raw}'")
    )
    sha1: bool = present("active_pcr_banks/sha1")
    sha256: bool = present("active_pcr_banks/sha256")
    sha384: bool = present("active_pcr_banks/sha384")
    sha512: bool = present("active_pcr_banks/sha512")

    def check(self, node: Node) -> None:
        """Raise ConfigUnsupported for banks that no TPM has, XMLError for those that TPM 1.2 has not."""
        for banks in (n for n in node.children if n.tag == "active_pcr_banks"):
            for bank in banks.children:
                if bank.tag not in ("sha1", "sha256", "sha384", "sha512"):
                    raise ConfigUnsupported(f"Unsupported PCR banks '{bank.tag}'")
            if self.version == "1.2" and banks.children:
                raise XMLError("<active_pcr_banks/> requires TPM version '2.0'")


class ExternalSource(ChardevSource, tag="source"):
    """The socket of an swtpm that somebody else runs."""

    type: Literal["unix"] = attr(
        order=-1,
        missing=lambda: XMLError("missing external TPM backend type"),
        wrong=lambda raw: (
            XMLError("only source type 'unix' is supported for external TPM device")
            if raw in get_args(Backend)
            else ConfigUnsupported(f"unknown backend type '{raw}' for external TPM")
        ),
    )

    def check(self, node: Node) -> None:
        """We are the client of somebody's socket."""
        if self.path is None:
            raise XMLError("missing socket path for external TPM device")
        if self.mode == "bind":
            raise XMLError("only 'client' mode is supported for external TPM device")
        self.mode = "connect"


class ExternalBackend(Element, tag="backend", when=("type", "external")):
    """An swtpm that somebody else runs."""

    type: Literal["external"] = attr(default="external")
    source: ExternalSource = child(missing=lambda: XMLError("missing external TPM backend type"))


class Tpm(Device, tag="tpm"):
    """A TPM."""

    model: Literal["tpm-tis", "tpm-crb", "tpm-spapr", "spapr-tpm-proxy"] | None = attr()
    backend: PassthroughBackend | EmulatorBackend | ExternalBackend = child(
        missing=lambda: XMLError("missing TPM device backend")
    )

    def check(self, node: Node) -> None:
        if sum(inner.tag == "backend" for inner in node.children) > 1:
            raise XMLError("only one TPM backend is supported")
