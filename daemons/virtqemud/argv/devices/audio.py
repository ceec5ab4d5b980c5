"""Audio backends as QEMU arguments."""

from typing import Any

from splitvirt.api.errors import InternalError
from splitvirt.xml.devices.audio import Audio, AudioStream
from virtqemud.argv.context import Context
from virtqemud.argv.parts import Parts

DRIVERS = {"pulseaudio": "pa", "file": "wav"}


def audio(dev: Audio, ctx: Context) -> Parts:
    """`-audiodev` in JSON."""
    parts = Parts()
    value: dict[str, Any] = {
        "id": f"audio{dev.id}", "driver": DRIVERS.get(dev.type, dev.type), "timer-period": dev.timer_period,
        "try-mmap": dev.try_mmap, "exclusive": dev.exclusive, "dsp-policy": dev.dsp_policy,
        "server": dev.server_name, "path": dev.path,
    }  # fmt: skip
    parts.json("-audiodev", value | {"in": stream(dev.input), "out": stream(dev.output)})
    return parts


def stream(of: AudioStream | None) -> dict[str, Any] | None:
    """One direction, in QEMU's names."""
    if of is None or all(v is None for v in vars(of).values()):
        return None
    return {
        "mixing-engine": of.mixing_engine, "fixed-settings": of.fixed_settings, "voices": of.voices,
        "buffer-length": of.buffer_length, "frequency": of.frequency, "channels": of.channels, "format": of.format,
        "dev": of.dev, "buffer-count": of.buffer_count, "try-poll": of.try_poll, "name": of.name,
        "stream-name": of.stream_name, "latency": of.latency, "server-name": of.server_name,
        "client-name": of.client_name, "connect-ports": of.connect_ports, "exact-name": of.exact_name,
    }  # fmt: skip


def backend(id: int | None, ctx: Context) -> str:
    """The id of the backend that a device plays through: the one it names, else the first.

    Raises InternalError where there is none.
    """
    audios = ctx.domain.devices.audios
    if not any(id in (None, audio.id) for audio in audios):
        raise InternalError("unable to find audio backend for sound device")
    return f"audio{id or audios[0].id}"


def environment(dev: Audio) -> dict[str, str]:
    """SDL is told its driver by environment."""
    return {"SDL_AUDIODRIVER": dev.driver} if dev.type == "sdl" and dev.driver else {}
