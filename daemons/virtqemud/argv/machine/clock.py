"""The guest's clock and timers: `-rtc`, the PIT, the HPET."""

from datetime import UTC, datetime, timedelta

from splitvirt.xml.clock import Timer
from virtqemud.argv.context import Context
from virtqemud.argv.parts import Parts, options

TRACKS = {"guest": "vm", "wall": "host", "realtime": "rt"}


def clock(ctx: Context) -> Parts:
    """All of it."""
    parts = Parts()
    rtc = timer(ctx, "rtc")
    drift = "slew" if rtc and rtc.tickpolicy == "catchup" else None
    track = TRACKS.get((rtc and rtc.track) or "")
    parts.add("-rtc", options(base=base(ctx), clock=track, driftfix=drift))
    pit = timer(ctx, "pit")
    if pit and pit.tickpolicy in (None, "delay", "discard"):
        parts.add("-global", f"kvm-pit.lost_tick_policy={pit.tickpolicy or 'delay'}")
    hpet = timer(ctx, "hpet")
    if hpet and hpet.present is False and ctx.x86:
        parts.add("-no-hpet")
    return parts


def timer(ctx: Context, name: str) -> Timer | None:
    found = ctx.domain.clock
    return next((t for t in found.timers if t.name == name), None) if found else None


def base(ctx: Context) -> str:
    """What the clock starts with: utc, localtime, or a moment."""
    at = ctx.domain.clock
    match at.offset if at else "utc":
        case "localtime" | "timezone":
            return "localtime"
        case "absolute":
            return stamp(datetime.fromtimestamp((at and at.start) or 0, UTC))
        case "variable":
            seconds = int(at.adjustment) if at and at.adjustment and at.adjustment != "reset" else 0
            now = datetime.now() if at and at.basis == "localtime" else datetime.now(UTC)
            return stamp(now + timedelta(seconds=seconds))
    return "utc"


def stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S")


def environment(ctx: Context) -> dict[str, str]:
    """The time zone of a clock that has one."""
    at = ctx.domain.clock
    return {"TZ": at.timezone} if at and at.offset == "timezone" and at.timezone else {}
