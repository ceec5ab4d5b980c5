"""Sound cards as QEMU arguments."""

from splitvirt.api.errors import ConfigUnsupported
from splitvirt.xml.devices.sound import Codec, Sound
from virtqemud.argv.context import Context
from virtqemud.argv.parts import Parts

from .audio import backend
from .properties import device

DRIVERS = {
    "es1370": "ES1370", "sb16": "sb16", "ac97": "AC97", "ich6": "intel-hda", "ich9": "ich9-intel-hda",
    "usb": "usb-audio",
}  # fmt: skip
CODECS = {"duplex": "hda-duplex", "micro": "hda-micro", "output": "hda-output"}


def sound(dev: Sound, ctx: Context) -> Parts:
    """The card, and the codecs of an HD one. The PC speaker is the board's (see `machine.board`)."""
    parts = Parts()
    audio = backend(dev.audio_id, ctx)
    if dev.model == "pcspk":
        if ctx.native:  # libvirt prints what QEMU 7.2 no longer takes
            parts.add("-soundhw", "pcspk")
        return parts
    if dev.model not in DRIVERS:
        raise ConfigUnsupported(f"sound card model '{dev.model}' is not supported by qemu")
    if dev.model in ("ich6", "ich9"):
        device(parts, DRIVERS[dev.model], dev, ctx)
        for i, codec in enumerate(dev.codecs or [Codec(type="duplex")]):
            parts.json("-device", {
                "driver": CODECS[codec.type], "id": f"{dev.alias}-codec{i}", "bus": f"{dev.alias}.0", "cad": i,
                "audiodev": audio,
            })  # fmt: skip
        return parts
    device(parts, DRIVERS[dev.model], dev, ctx, audiodev=audio)
    return parts
