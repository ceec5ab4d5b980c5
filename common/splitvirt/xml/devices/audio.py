"""`<audio>`: where the sound of the guest's sound cards goes on the host."""

import re
from typing import Literal

from splitvirt.api.errors import ConfigUnsupported, XMLError
from splitvirt.xml.element import Element, Node, NonNegative, Positive, Unsigned, YesNo, attr, child


def bad_policy(raw: str) -> XMLError:
    """The error for a policy that is negative, or no number."""
    if re.fullmatch("-[0-9]+", raw):
        return XMLError(f"cannot parse 'dspPolicy' value '{raw}'")
    return XMLError(f"Invalid value for attribute 'dspPolicy' in element 'audio': '{raw}'. Expected integer value")


class AudioStream(Element, hide_empty=True):
    """One direction; which of the fields past `format` exist depends on the backend. Times in microseconds."""

    mixing_engine: YesNo | None = attr("@mixingEngine")
    fixed_settings: YesNo | None = attr("@fixedSettings")
    voices: Positive | None = attr()
    buffer_length: Positive | None = attr("@bufferLength")
    dev: str | None = attr()
    buffer_count: Unsigned | None = attr("@bufferCount", omit=0)
    try_poll: YesNo | None = attr("@tryPoll")
    name: str | None = attr()
    stream_name: str | None = attr("@streamName")
    latency: Unsigned | None = attr(omit=0)
    server_name: str | None = attr("@serverName")
    client_name: str | None = attr("@clientName")
    connect_ports: str | None = attr("@connectPorts")
    exact_name: YesNo | None = attr("@exactName")
    frequency: Positive | None = attr("settings/@frequency")
    channels: Positive | None = attr("settings/@channels")
    format: Literal["s8", "u8", "s16", "u16", "s32", "u32", "f32"] | None = attr("settings/@format")

    def check(self, node: Node) -> None:
        """Raise ConfigUnsupported for settings without the flags that they need."""
        if self.fixed_settings and not self.mixing_engine:
            raise ConfigUnsupported("fixed audio settings requires mixing engine")
        if not self.fixed_settings and node.find("settings") is not None:
            raise ConfigUnsupported("audio settings specified without fixed settings flag")


OWN: dict[str, tuple[str, ...]] = {
    "alsa": ("dev", "try_poll"),
    "coreaudio": ("buffer_count",),
    "jack": ("server_name", "client_name", "connect_ports", "exact_name"),
    "oss": ("dev", "buffer_count", "try_poll"),
    "pulseaudio": ("name", "stream_name", "latency"),
    "sdl": ("buffer_count",),
}
"""What each backend's streams have beside what all have."""
SPECIAL = frozenset(name for names in OWN.values() for name in names)


class Audio(Element, tag="audio"):
    """One audio backend, numbered from 1."""

    id: Positive = attr(missing=lambda: XMLError("Missing required attribute 'id' in element 'audio'"))
    type: Literal["none", "alsa", "coreaudio", "jack", "oss", "pulseaudio", "sdl", "spice", "file", "dbus"] = attr()
    timer_period: Positive | None = attr("@timerPeriod")
    server_name: str | None = attr("@serverName", when="pulseaudio")
    driver: Literal["esd", "alsa", "arts", "pulseaudio"] | None = attr(when="sdl")
    path: str | None = attr(when="file")
    try_mmap: YesNo | None = attr("@tryMMap", when="oss")
    exclusive: YesNo | None = attr(when="oss")
    dsp_policy: NonNegative | None = attr("@dspPolicy", when="oss", wrong=bad_policy)
    input: AudioStream | None = child("input")
    output: AudioStream | None = child("output")

    def check(self, node: Node) -> None:
        """Of a stream only what its backend has, as libvirt keeps it."""
        for stream in (self.input, self.output):
            for name in SPECIAL.difference(OWN.get(self.type, ())) if stream is not None else ():
                setattr(stream, name, None)
