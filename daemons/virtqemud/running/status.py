"""The record of a running guest: what a restarted daemon needs to find it again. Format 1, JSON, mode 0600."""

import json
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from splitvirt.host.refusal import telling
from splitvirt.store.files import write_volatile

log = logging.getLogger(__name__)

FORMAT = 1


@dataclass
class Status:
    """One running guest. `pid` is 0 from just before QEMU is started until it is known."""

    name: str
    uuid: str
    id: int
    persistent: bool
    xml: str
    """The running configuration, with secrets, in the form for the driver's own records."""
    state: int
    reason: int
    pid: int = 0
    started: int = 0
    """QEMU's start time in clock ticks since boot: with `pid`, its identity."""
    boot_id: str = ""
    vcpus: list[int] = field(default_factory=list)
    """Thread numbers, by vCPU; 0 for one that is not plugged in."""
    helpers: list[tuple[int, int]] = field(default_factory=list)
    """Processes that serve the guest: pid and start time."""
    autodestroy: bool = False
    fake_reboot: bool = False
    given: list[tuple[str, str, int, int, int, int]] = field(default_factory=list)
    """Files that are the guest's user's while it runs: `security.dac.Given`."""

    def save(self, path: Path) -> None:
        """Replace the record. SystemError_ names it when it cannot be written."""
        with telling("cannot write"):
            write_volatile(path, json.dumps({"format": FORMAT, **asdict(self)}))


def load_all(folder: Path) -> Iterator[tuple[Path, Status]]:
    """Every record in a folder. One that is not to be understood is logged and left: its guest may be running."""
    if not folder.is_dir():
        return
    for path in sorted(folder.glob("*.status")):
        try:
            kept: dict[str, Any] = json.loads(path.read_text())
            if kept.pop("format") != FORMAT:
                raise ValueError("it is of a form that this version does not know")
            yield path, Status(**{**kept, "helpers": [(pid, started) for pid, started in kept["helpers"]]})
        except (OSError, ValueError, TypeError, KeyError) as error:
            log.error("cannot use the status record %s: %s", path, error)
