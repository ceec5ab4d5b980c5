"""`<audio>`: where the sound of the guest's sound cards goes on the host."""

from typing import Literal

from splitvirt.xml.element import Element, Unsigned, YesNo, attr, child

PULSE = ("type", "pulseaudio")
JACK = ("type", "jack")


class AudioStream(Element, hide_empty=True):
    """One direction; which of the fields past `format` exist depends on the backend. Times in microseconds."""

    mixing_engine: YesNo | None = attr("@mixingEngine")
    fixed_settings: YesNo | None = attr("@fixedSettings")
    voices: Unsigned | None = attr()
    buffer_length: Unsigned | None = attr("@bufferLength")
    dev: str | None = attr()
    buffer_count: Unsigned | None = attr("@bufferCount")
    try_poll: YesNo | None = attr("@tryPoll")
    name: str | None = attr()
    stream_name: str | None = attr("@streamName")
    latency: Unsigned | None = attr()
    server_name: str | None = attr("@serverName")
    client_name: str | None = attr("@clientName")
    connect_ports: str | None = attr("@connectPorts")
    exact_name: YesNo | None = attr("@exactName")
    frequency: Unsigned | None = attr("settings/@frequency")
    channels: Unsigned | None = attr("settings/@channels")
    format: Literal["s8", "u8", "s16", "u16", "s32", "u32", "f32"] | None = attr("settings/@format")


class Audio(Element, tag="audio"):
    """One audio backend, numbered from 1."""

    id: Unsigned = attr()
    type: Literal["none", "alsa", "coreaudio", "jack", "oss", "pulseaudio", "sdl", "spice", "file", "dbus"] = attr()
    timer_period: Unsigned | None = attr("@timerPeriod")
    server_name: str | None = attr("@serverName", when="pulseaudio")
    driver: Literal["esd", "alsa", "arts", "pulseaudio"] | None = attr(when="sdl")
    path: str | None = attr(when="file")
    try_mmap: YesNo | None = attr("@tryMMap", when="oss")
    exclusive: YesNo | None = attr(when="oss")
    dsp_policy: int | None = attr("@dspPolicy", when="oss")
    input: AudioStream | None = child("input")
    output: AudioStream | None = child("output")
