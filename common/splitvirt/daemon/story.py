"""What happens to a daemon's objects, in the log: `journalctl SPLITVIRT_DOMAIN=demo` tells one guest's story."""

import logging
from typing import Any

from splitvirt.api.event import Event
from splitvirt.api.meaning import word
from splitvirt.api.record import Object

log = logging.getLogger("splitvirt.event")

_OFTEN = frozenset({"balloon_change", "rtc_change", "block_threshold", "memory_device_size_change", "monitor_event"})
"""Events that a guest may cause many times a second: told at debug level."""


def tell(event: Event, subject: Any, values: tuple[Any, ...]) -> None:
    """Log an event of a driver's hub, with the object's name and UUID as fields."""
    level = logging.DEBUG if event.name in _OFTEN else logging.INFO
    if not log.isEnabledFor(level):
        return
    name = getattr(subject, "name", "")
    extra = {event.family: name, "uuid": str(getattr(subject, "uuid", ""))} if isinstance(subject, Object) else {}
    said = _words(event, values)
    log.log(level, "%s %s: %s", event.family.replace("_", " "), name, said, extra=extra)


def _words(event: Event, values: tuple[Any, ...]) -> str:
    if event.name == "lifecycle" and values:
        what = word(f"VIR_{event.family.upper()}_EVENT_", values[0]) or str(values[0])
        why = word(f"VIR_{event.family.upper()}_EVENT_{what.upper()}_", values[1]) if len(values) > 1 else ""
        return f"{what} ({why})" if why else what
    told = " ".join(f"{name}={value}" for (name, _), value in zip(event.fields, values, strict=False))
    return f"{event.name.replace('_', ' ')} {told}".rstrip()
