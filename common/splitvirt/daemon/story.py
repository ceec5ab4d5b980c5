"""What happens to a daemon's objects, in the log: `journalctl SPLITVIRT_DOMAIN=demo` tells one guest's story."""

import functools
import logging
from typing import Any

from splitvirt.api import constants
from splitvirt.api.event import Event
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
        what = _named(f"VIR_{event.family.upper()}_EVENT_", values[0])
        why = _named(f"VIR_{event.family.upper()}_EVENT_{what.upper()}_", values[1]) if len(values) > 1 else ""
        return f"{what} ({why})" if why and not why.isdigit() else what
    told = " ".join(f"{name}={value}" for (name, _), value in zip(event.fields, values, strict=False))
    return f"{event.name.replace('_', ' ')} {told}".rstrip()


@functools.lru_cache(256)
def _named(prefix: str, value: int) -> str:
    """The constant of that prefix and value, in small letters without the prefix; the number where there is none."""
    for name, found in vars(constants).items():
        rest = name.removeprefix(prefix)
        if rest != name and found == value and rest.isalpha():
            return rest.lower()
    for name, found in vars(constants).items():
        if name.startswith(prefix) and found == value and not name.endswith("_LAST") and "_ID_" not in name:
            return name.removeprefix(prefix).lower().replace("_", " ")
    return str(value)
