"""`<rng>`: random numbers from the host."""

from collections.abc import Mapping
from typing import Any, Literal, Self, get_args

from splitvirt.api.errors import ConfigUnsupported, XMLError
from splitvirt.xml.devices.chardev import Backend, Chardev
from splitvirt.xml.devices.device import Device, VirtioOptions
from splitvirt.xml.devices.virtio import VirtioModel
from splitvirt.xml.element import Element, Node, Unsigned, attr, child, text

MODELS = get_args(VirtioModel)


class Rate(Element, tag="rate"):
    """At most so many bytes in a period of so many milliseconds."""

    bytes: Unsigned | None = attr(wrong=lambda raw: XMLError("invalid RNG rate bytes value"))
    period: Unsigned | None = attr(omit=0, wrong=lambda raw: XMLError("invalid RNG rate period value"))


class RandomBackend(Element, tag="backend", when=("model", "random")):
    """A file of the host, /dev/urandom unless given."""

    model: Literal["random"] = attr(default="random")
    file: str | None = text(".")


class EgdBackend(Chardev, tag="backend", when=("model", "egd"), block=True):
    """An entropy gathering daemon behind a character device."""

    model: Literal["egd"] = attr(default="egd", order=-2)
    type: Backend | None = attr(order=-1, wrong=lambda raw: ConfigUnsupported(f"unknown backend type '{raw}' for egd"))

    def check(self, node: Node) -> None:
        if self.type is None:
            raise XMLError("missing EGD backend type")
        super().check(node)

    def visible(self, bits: int) -> Mapping[str, Any]:
        return self.hidden(bits, self.__dict__)


class BuiltinBackend(Element, tag="backend", when=("model", "builtin")):
    """QEMU's own generator."""

    model: Literal["builtin"] = attr(default="builtin")


class Rng(Device, tag="rng"):
    """A random number generator."""

    model: VirtioModel = attr(
        missing=lambda: XMLError("missing RNG device model"),
        wrong=lambda raw: ConfigUnsupported(f"unknown RNG model '{raw}'"),
    )
    rate: Rate | None = child()
    backend: RandomBackend | EgdBackend | BuiltinBackend = child()
    driver: VirtioOptions | None = child()

    @classmethod
    def parse(cls, node: Node, lost: list[tuple[Node, str]] | None = None) -> Self:
        backends = [inner for inner in node.children if inner.tag == "backend"]
        if node.get("model") in MODELS and len(backends) != 1:
            raise XMLError("only one RNG backend is supported")
        model = backends[0].get("model") if backends else None
        if backends and model is None:
            raise XMLError("missing RNG device backend model")
        if backends and model not in ("random", "egd", "builtin"):
            raise ConfigUnsupported(f"unknown RNG backend model '{model}'")
        return super().parse(node, lost)

    def check(self, node: Node) -> None:
        if self.rate and not self.rate.bytes:
            self.rate = None
