"""`<rng>`: random numbers from the host."""

from collections.abc import Mapping
from typing import Any, Literal

from splitvirt.api.errors import XMLError
from splitvirt.xml.devices.chardev import Chardev
from splitvirt.xml.devices.device import Device, VirtioOptions
from splitvirt.xml.devices.virtio import VirtioModel
from splitvirt.xml.element import Element, Unsigned, attr, child, text


class Rate(Element, tag="rate"):
    """At most so many bytes in a period of so many milliseconds."""

    bytes: Unsigned = attr()
    period: Unsigned | None = attr()


class RandomBackend(Element, tag="backend", when=("model", "random")):
    """A file of the host, /dev/urandom unless given."""

    model: Literal["random"] = attr(default="random")
    file: str | None = text(".")


class EgdBackend(Chardev, tag="backend", when=("model", "egd")):
    """An entropy gathering daemon behind a character device."""

    model: Literal["egd"] = attr(default="egd", order=-2)

    def visible(self, bits: int) -> Mapping[str, Any]:
        return self.hidden(bits, self.__dict__)


class BuiltinBackend(Element, tag="backend", when=("model", "builtin")):
    """QEMU's own generator."""

    model: Literal["builtin"] = attr(default="builtin")


class Rng(Device, tag="rng"):
    """A random number generator."""

    model: VirtioModel = attr(
        missing=lambda: XMLError("missing RNG device model"),
        wrong=lambda raw: XMLError(f"unknown RNG model '{raw}'"),
    )
    rate: Rate | None = child()
    backend: RandomBackend | EgdBackend | BuiltinBackend = child(missing=lambda: XMLError("missing RNG device backend"))
    driver: VirtioOptions | None = child()
