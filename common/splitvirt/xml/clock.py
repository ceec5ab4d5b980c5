"""`<clock>`: what time the guest's clock starts with and how its timers keep it."""

from typing import Literal

from splitvirt.xml.element import Element, Unsigned, Unsigned64, YesNo, attr, child, children


class Catchup(Element, tag="catchup"):
    """How missed ticks are made up for."""

    threshold: Unsigned | None = attr()
    slew: Unsigned | None = attr()
    limit: Unsigned | None = attr()


class Timer(Element, tag="timer"):
    """One timer; `frequency` in Hz."""

    name: Literal["platform", "pit", "rtc", "hpet", "tsc", "kvmclock", "hypervclock", "armvtimer"] = attr()
    present: YesNo | None = attr()
    tickpolicy: Literal["delay", "catchup", "merge", "discard"] | None = attr()
    track: Literal["boot", "guest", "wall", "realtime"] | None = attr()
    frequency: Unsigned64 | None = attr()
    mode: Literal["auto", "native", "emulate", "paravirt", "smpsafe"] | None = attr()
    catchup: Catchup | None = child()


class Clock(Element, tag="clock"):
    """`adjustment` in seconds or "reset", `start` in seconds since 1970."""

    offset: Literal["utc", "localtime", "variable", "timezone", "absolute"] = attr()
    adjustment: str | None = attr()
    basis: Literal["utc", "localtime"] | None = attr()
    timezone: str | None = attr()
    start: Unsigned64 | None = attr()
    timers: list[Timer] = children()
