"""Finding again what an earlier driver of this root left running, or half started, or dead."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from splitvirt.api import constants as c
from splitvirt.api.errors import Timeout, VirtError
from splitvirt.host.pidfd import Held
from splitvirt.xml.domain import Domain as DomainXML

from .domain.domain import QemuDomain
from .running.guest import Guest, write_end
from .running.monitor import Monitor
from .running.nics import remember
from .running.status import Status, load_all
from .security.dac import Given

if TYPE_CHECKING:
    from .driver import QemuDriver

log = logging.getLogger(__name__)

ANSWER = 5.0
"""Seconds for which a QEMU that does not answer is waited for before everybody else is served."""
RETRY = 1.0
"""Seconds until it is asked again where too many wait at its monitor, or it stops answering in the middle."""

_STATES = {
    "running": c.VIR_DOMAIN_RUNNING,
    "paused": c.VIR_DOMAIN_PAUSED,
    "prelaunch": c.VIR_DOMAIN_PAUSED,
    "io-error": c.VIR_DOMAIN_PAUSED,
    "watchdog": c.VIR_DOMAIN_PAUSED,
    "internal-error": c.VIR_DOMAIN_PAUSED,
    "shutdown": c.VIR_DOMAIN_SHUTDOWN,
    "suspended": c.VIR_DOMAIN_PMSUSPENDED,
    "guest-panicked": c.VIR_DOMAIN_CRASHED,
}


async def adopt_all(driver: QemuDriver) -> None:
    """Go through the records of running guests: take over those that run, clear up after the others."""
    found = list(load_all(driver.places.state))
    for _, status in found:  # all of them first: what one that is gone shares with one that runs stays as it is
        for given in status.given:
            driver.security.ownership.expect(Given(*given))
    await asyncio.gather(*(_adopt_one(driver, path, status) for path, status in found))


async def _adopt_one(driver: QemuDriver, path: Path, status: Status) -> None:
    try:
        await _adopt(driver, status)
    except (VirtError, OSError, ValueError) as error:
        log.error("the guest of %s is not taken over: %s", path, error)


async def _adopt(driver: QemuDriver, status: Status) -> None:
    guest = _known(driver, status)
    driver.take_number(guest, status.id)
    guest.live = DomainXML.from_xml(status.xml, source=f"({status.name}.status)")
    driver.security.take_over(guest.live)
    guest.given = [Given(*given) for given in status.given]
    guest.current_state, guest.current_reason = status.state, status.reason
    guest.fake_reboot, guest.autodestroy = status.fake_reboot, status.autodestroy
    process = _process(status, guest.places.folder)
    if process is not None and status.pid and not status.autodestroy and await _take_over(guest, process, status):
        return
    await _bury(driver, guest, process, status)


def _known(driver: QemuDriver, status: Status) -> QemuDomain:
    known = driver.guests.by_uuid(UUID(status.uuid))
    if known is not None:
        return known
    config = DomainXML.from_xml(status.xml, source=f"({status.name}.status)")
    guest = QemuDomain(driver, config, persistent=False)
    driver.guests.add(guest)
    return guest


def _process(status: Status, folder: Path) -> Held | None:
    """The QEMU of a record: by number and start time, or, when its driver died while starting it, by its arguments."""
    from splitvirt.host.pidfd import boot_id

    if status.boot_id != boot_id():
        return None
    if status.pid:
        return Held.open(status.pid, status.started)
    marker = str(folder).encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if marker + b"/" in command and status.uuid.encode() in command.split(b"\0"):
                return Held.open(int(entry.name))
    return None


async def _take_over(guest: QemuDomain, process: Held, status: Status) -> bool:
    """Take over a QEMU that runs; False when nobody can. One that is stopped or busy is waited for beside all else.

    (It is ended by whoever wants that, never for being slow.)
    """
    guest.process = process
    guest.find_group()
    guest.guest = running = Guest(guest.places, process, Monitor(guest.on_monitor_event))
    assert guest.live
    remember(guest, guest.live)
    held = (Held.open(pid, started) for pid, started in status.helpers)
    guest.helpers = running.helpers = [helper for helper in held if helper is not None]
    meeting = guest.driver.background(_meet(guest, running, status))
    await asyncio.wait([meeting], timeout=ANSWER)
    if meeting.done() and not meeting.result():
        guest.guest = None
        return False
    if not meeting.done():
        log.warning("%r (pid %d) does not answer yet", guest, process.pid)
    process.on_end(guest.noticed)
    return True


async def _meet(guest: QemuDomain, running: Guest, status: Status) -> bool:
    """Reach a QEMU's monitor, however long it takes, and learn how its guest fares; one that refuses is ended."""
    reached = False
    while True:
        try:
            if not reached:
                await running.connect(None)
            reached = True
            await _learn(guest, running, status)
            return True
        except Timeout:
            await asyncio.sleep(RETRY)
        except VirtError as error:
            log.error("%r: its QEMU (pid %d) cannot be talked to and is ended: %s", guest, running.process.pid, error)
            await running.monitor.close()
            await running.process.stop(0)
            return False


async def _learn(guest: QemuDomain, running: Guest, status: Status) -> None:
    assert guest.live
    guest.learn_chardevs(guest.live, await running.learn())
    now = await running.monitor.execute("query-status")
    state = _STATES.get(str(now["status"]), c.VIR_DOMAIN_PAUSED)
    if state == c.VIR_DOMAIN_SHUTDOWN and status.state != state:
        guest.shut_down({"guest": True})
    elif state != guest.current_state:
        guest.enter(state, 0)
    else:
        guest.record()
    log.info("%r runs (pid %d)", guest, running.process.pid)


async def _bury(driver: QemuDriver, guest: QemuDomain, process: Held | None, status: Status) -> None:
    if process is not None:
        await process.stop(0)
        process.close()
    for pid, started in status.helpers:
        helper = Held.open(pid, started)
        if helper is not None:
            await helper.stop(1.0)
            helper.close()
    ended = status.state == c.VIR_DOMAIN_SHUTDOWN
    reason = c.VIR_DOMAIN_SHUTOFF_SHUTDOWN if ended else c.VIR_DOMAIN_SHUTOFF_CRASHED
    write_end(guest.places.log, "shutdown" if ended else "crashed")
    await guest.clear(reason)
    detail = c.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN if ended else c.VIR_DOMAIN_EVENT_STOPPED_FAILED
    guest.tell(c.VIR_DOMAIN_EVENT_STOPPED, detail)
    if not guest.persistent:
        driver.forget(guest)
