"""`<sound>`: an emulated sound card."""

from typing import Literal

from splitvirt.api.errors import ConfigUnsupported
from splitvirt.xml.devices.device import Device
from splitvirt.xml.element import Element, Positive, attr, children


class Codec(Element, tag="codec"):
    """One codec of an HD audio card."""

    type: Literal["duplex", "micro", "output"] = attr(
        wrong=lambda raw: ConfigUnsupported(f"unknown codec type '{raw}'"),
        missing=lambda: ConfigUnsupported("unknown codec type '(null)'"),
    )


class Sound(Device, tag="sound"):
    """A sound card; `audio_id` names the `<audio>` backend that it plays through."""

    model: Literal["es1370", "sb16", "ac97", "ich6", "ich9", "usb", "pcspk", "ich7"] = attr()
    codecs: list[Codec] = children(when=("model", ("ich6", "ich9")))
    audio_id: Positive | None = attr("audio/@id", needed=True)
