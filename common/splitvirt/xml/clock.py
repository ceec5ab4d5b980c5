"""`<clock>`: what time the guest's clock starts with and how its timers keep it."""

import re
from typing import Annotated, Literal

from splitvirt.api.errors import ConfigUnsupported, InternalError, XMLError
from splitvirt.xml.element import Element, Unsigned, Unsigned64, YesNo, attr, child, children
from splitvirt.xml.forms import U64, UNSIGNED, integer, lenient
from splitvirt.xml.node import Node

SECONDS = re.compile(r"[+-]?[0-9]{1,18}")


class Catchup(Element, tag="catchup", hide_empty=True):
    """How missed ticks are made up for."""

    threshold: Unsigned | None = attr(omit=0)
    slew: Unsigned | None = attr(omit=0)
    limit: Unsigned | None = attr(omit=0)

    @property
    def given(self) -> bool:
        """Whether it says anything."""
        return bool(self.threshold or self.slew or self.limit)


class Timer(Element, tag="timer"):
    """One timer; `frequency` in Hz."""

    name: Literal["platform", "pit", "rtc", "hpet", "tsc", "kvmclock", "hypervclock", "armvtimer"] = attr()
    present: YesNo | None = attr()
    tickpolicy: Literal["delay", "catchup", "merge", "discard"] | None = attr()
    track: Literal["boot", "guest", "wall", "realtime"] | None = attr()
    frequency: Unsigned64 | None = attr(omit=0)
    mode: Literal["auto", "native", "emulate", "paravirt", "smpsafe"] | None = attr()
    catchup: Catchup | None = child()

    def check(self, node: Node) -> None:
        """What each timer can be told."""
        if self.tickpolicy is not None and self.name in ("kvmclock", "hypervclock"):
            raise ConfigUnsupported(f"timer {self.name} doesn't support setting of timer tickpolicy")
        if self.track is not None and self.name not in ("rtc", "platform"):
            raise ConfigUnsupported(f"timer {self.name} doesn't support setting of timer track")
        if (self.frequency is not None or self.mode is not None) and self.name != "tsc":
            what = "frequency" if self.frequency is not None else "mode"
            raise ConfigUnsupported(f"timer {self.name} doesn't support setting of timer {what}")
        if self.catchup is not None and self.catchup.given and self.tickpolicy != "catchup":
            raise XMLError("setting of timer catchup policies is only supported with tickpolicy='catchup'")


class Clock(Element, tag="clock"):
    """`adjustment` in seconds or "reset", `start` in seconds since 1970."""

    offset: Literal["utc", "localtime", "variable", "timezone", "absolute"] = attr(
        default="utc", blank=True, wrong=lambda raw: ConfigUnsupported(f"unknown clock offset '{raw}'")
    )
    adjustment: str | None = attr(blank=True)
    basis: Literal["utc", "localtime"] | None = attr(
        blank=True, wrong=lambda raw: ConfigUnsupported(f"unknown clock basis '{raw}'")
    )
    timezone: str | None = attr(blank=True)
    start: Annotated[int, lenient(integer(0, U64, UNSIGNED))] | None = attr()
    timers: list[Timer] = children()

    def check(self, node: Node) -> None:
        """Each offset has its own attributes; an adjustment in seconds makes it variable."""
        seconds = None if self.adjustment is None or not SECONDS.fullmatch(self.adjustment) else int(self.adjustment)
        if self.offset in ("utc", "localtime"):
            if self.adjustment not in (None, "reset") and seconds is None:
                raise XMLError(f"unknown clock adjustment '{self.adjustment}'")
            if seconds is not None:
                self.basis, self.offset = self.offset, "variable"
        elif self.offset == "variable":
            self.adjustment, self.basis = str(seconds or 0), self.basis or "utc"
        elif self.offset == "timezone" and not self.timezone:
            raise InternalError("missing 'timezone' attribute for clock with offset='timezone'")
        elif self.offset == "absolute" and self.start is None:
            raise InternalError("missing 'start' attribute for clock with offset='absolute'")
        for name, offsets in OWNED.items():
            if self.offset not in offsets:
                setattr(self, name, None)


OWNED = {
    "adjustment": ("utc", "localtime", "variable"),
    "basis": ("variable",),
    "timezone": ("timezone",),
    "start": ("absolute",),
}
"""Which attributes belong to which offsets."""
