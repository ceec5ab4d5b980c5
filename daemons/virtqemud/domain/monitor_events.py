"""What QEMU tells, made into the domain's state and events."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

from splitvirt.api import constants as c
from splitvirt.api.domain import Domain
from splitvirt.api.domain_event import GraphicsAddress, GraphicsIdentity

from .lifecycle import Lifecycle

log = logging.getLogger(__name__)

_WATCHDOG = {
    "none": c.VIR_DOMAIN_EVENT_WATCHDOG_NONE,
    "pause": c.VIR_DOMAIN_EVENT_WATCHDOG_PAUSE,
    "reset": c.VIR_DOMAIN_EVENT_WATCHDOG_RESET,
    "poweroff": c.VIR_DOMAIN_EVENT_WATCHDOG_POWEROFF,
    "shutdown": c.VIR_DOMAIN_EVENT_WATCHDOG_SHUTDOWN,
    "debug": c.VIR_DOMAIN_EVENT_WATCHDOG_DEBUG,
    "inject-nmi": c.VIR_DOMAIN_EVENT_WATCHDOG_INJECTNMI,
}
_IO_ERROR = {
    "ignore": c.VIR_DOMAIN_EVENT_IO_ERROR_NONE,
    "stop": c.VIR_DOMAIN_EVENT_IO_ERROR_PAUSE,
    "report": c.VIR_DOMAIN_EVENT_IO_ERROR_REPORT,
}
_FAMILY = {
    "ipv4": c.VIR_DOMAIN_EVENT_GRAPHICS_ADDRESS_IPV4,
    "ipv6": c.VIR_DOMAIN_EVENT_GRAPHICS_ADDRESS_IPV6,
    "unix": c.VIR_DOMAIN_EVENT_GRAPHICS_ADDRESS_UNIX,
}


class MonitorEvents(Lifecycle):
    """Handlers by the name of QEMU's event."""

    def on_monitor_event(self, name: str, data: dict[str, Any], at: float) -> None:
        """Take one event in."""
        details = json.dumps(data) if data else None
        seconds = int(at)
        self.driver.events.emit(Domain.monitor_event, self, name, seconds, round((at - seconds) * 1e6), details)
        if self.agent_link is not None:
            self.agent_link.heard(name)
        handler = _HANDLERS.get(name)
        if handler is not None:
            try:
                handler(self, data)
            except (KeyError, TypeError, ValueError):
                log.exception("%r: QEMU's event %s was not understood", self, name)

    def _emit(self, event: Any, *values: Any) -> None:
        self.driver.events.emit(event, self, *values)

    def _on_reset(self, data: dict[str, Any]) -> None:
        self._emit(Domain.rebooted)

    def _on_suspend(self, data: dict[str, Any]) -> None:
        self._emit(Domain.pm_suspended, 0)
        if self.current_state == c.VIR_DOMAIN_RUNNING:
            self.enter(c.VIR_DOMAIN_PMSUSPENDED, c.VIR_DOMAIN_PMSUSPENDED_UNKNOWN)
            self.tell(c.VIR_DOMAIN_EVENT_PMSUSPENDED, c.VIR_DOMAIN_EVENT_PMSUSPENDED_MEMORY)

    def _on_suspend_disk(self, data: dict[str, Any]) -> None:
        self._emit(Domain.pm_suspended_to_disk, 0)
        if self.current_state == c.VIR_DOMAIN_RUNNING:
            self.enter(c.VIR_DOMAIN_PMSUSPENDED, c.VIR_DOMAIN_PMSUSPENDED_UNKNOWN)
            self.tell(c.VIR_DOMAIN_EVENT_PMSUSPENDED, c.VIR_DOMAIN_EVENT_PMSUSPENDED_DISK)

    def _on_wakeup(self, data: dict[str, Any]) -> None:
        self._emit(Domain.pm_woke, 0)
        if self.current_state == c.VIR_DOMAIN_PMSUSPENDED:
            self.enter(c.VIR_DOMAIN_RUNNING, c.VIR_DOMAIN_RUNNING_WAKEUP)
            self.tell(c.VIR_DOMAIN_EVENT_STARTED, c.VIR_DOMAIN_EVENT_STARTED_WAKEUP)

    def _on_rtc_change(self, data: dict[str, Any]) -> None:
        self._emit(Domain.rtc_changed, int(data["offset"]))

    def _on_watchdog(self, data: dict[str, Any]) -> None:
        if data["action"] == "pause":
            self.pause_reason = c.VIR_DOMAIN_PAUSED_WATCHDOG
        self._emit(Domain.watchdog, _WATCHDOG.get(data["action"], 0))

    def _on_block_io_error(self, data: dict[str, Any]) -> None:
        if data["action"] == "stop":
            self.pause_reason = c.VIR_DOMAIN_PAUSED_IOERROR
        device = str(data.get("qom-path") or data.get("device", ""))
        path, alias = self.disk_of(device, str(data.get("node-name", "")))
        action = _IO_ERROR.get(data["action"], 0)
        self._emit(Domain.io_error, path, alias, action)
        self._emit(Domain.io_error_reason, path, alias, action, "enospc" if data.get("nospace") else "")

    def _on_balloon_change(self, data: dict[str, Any]) -> None:
        now = int(data["actual"]) // 1024
        if self.live is not None:
            self.live.current_memory = now
            self.record()
        self._emit(Domain.balloon_changed, now)

    def _on_device_deleted(self, data: dict[str, Any]) -> None:
        if "device" in data:
            self.device_gone(str(data["device"]))

    def _on_tray_moved(self, data: dict[str, Any]) -> None:
        opened = c.VIR_DOMAIN_EVENT_TRAY_CHANGE_OPEN if data["tray-open"] else c.VIR_DOMAIN_EVENT_TRAY_CHANGE_CLOSE
        self._emit(Domain.tray_changed, str(data.get("id") or data["device"]), opened)

    def _on_serial_port(self, data: dict[str, Any]) -> None:
        self.port_changed(str(data["id"]), bool(data["open"]))

    def _on_vnc(self, phase: int, data: dict[str, Any]) -> None:
        ends = []
        for end in ("server", "client"):
            about = data[end]
            ends.append(GraphicsAddress(_FAMILY.get(about["family"], 0), about["host"], about["service"]))
        client = data["client"]
        known = {"x509dname": client.get("x509_dname"), "saslUsername": client.get("sasl_username")}
        identities = [GraphicsIdentity(kind, name) for kind, name in known.items() if name]
        self._emit(Domain.graphics, phase, *ends, str(data["server"].get("auth", "")), identities)

    def _on_memory_failure(self, data: dict[str, Any]) -> None:
        recipient = ["hypervisor", "guest"].index(data["recipient"])
        action = ["ignore", "inject", "fatal", "reset"].index(data["action"])
        flags = data.get("flags", {})
        bits = (1 if flags.get("action-required") else 0) | (2 if flags.get("recursive") else 0)
        self._emit(Domain.memory_failure, recipient, action, bits)

    def _on_memory_size(self, data: dict[str, Any]) -> None:
        self._emit(Domain.memory_device_size_changed, str(data["id"]), int(data["size"]) // 1024)

    def _on_unplug_error(self, data: dict[str, Any]) -> None:
        if data.get("device"):
            self._emit(Domain.device_removal_failed, str(data["device"]))


_HANDLERS: dict[str, Callable[[MonitorEvents, dict[str, Any]], None]] = {
    "STOP": lambda guest, data: guest.paused(),
    "RESUME": lambda guest, data: guest.resumed(),
    "SHUTDOWN": Lifecycle.shut_down,
    "GUEST_PANICKED": lambda guest, data: guest.panicked(),
    "RESET": MonitorEvents._on_reset,
    "SUSPEND": MonitorEvents._on_suspend,
    "SUSPEND_DISK": MonitorEvents._on_suspend_disk,
    "WAKEUP": MonitorEvents._on_wakeup,
    "RTC_CHANGE": MonitorEvents._on_rtc_change,
    "WATCHDOG": MonitorEvents._on_watchdog,
    "BLOCK_IO_ERROR": MonitorEvents._on_block_io_error,
    "BALLOON_CHANGE": MonitorEvents._on_balloon_change,
    "BLOCK_JOB_COMPLETED": lambda guest, data: guest.whole.block_job_ended(data, c.VIR_DOMAIN_BLOCK_JOB_COMPLETED),
    "BLOCK_JOB_CANCELLED": lambda guest, data: guest.whole.block_job_ended(data, c.VIR_DOMAIN_BLOCK_JOB_CANCELED),
    "BLOCK_WRITE_THRESHOLD": lambda guest, data: guest.whole.write_beyond(data),
    "DEVICE_DELETED": MonitorEvents._on_device_deleted,
    "DEVICE_TRAY_MOVED": MonitorEvents._on_tray_moved,
    "VSERPORT_CHANGE": MonitorEvents._on_serial_port,
    "VNC_CONNECTED": lambda guest, data: guest._on_vnc(c.VIR_DOMAIN_EVENT_GRAPHICS_CONNECT, data),
    "VNC_INITIALIZED": lambda guest, data: guest._on_vnc(c.VIR_DOMAIN_EVENT_GRAPHICS_INITIALIZE, data),
    "VNC_DISCONNECTED": lambda guest, data: guest._on_vnc(c.VIR_DOMAIN_EVENT_GRAPHICS_DISCONNECT, data),
    "MEMORY_FAILURE": MonitorEvents._on_memory_failure,
    "MEMORY_DEVICE_SIZE_CHANGE": MonitorEvents._on_memory_size,
    "MEM_UNPLUG_ERROR": MonitorEvents._on_unplug_error,
    "DEVICE_UNPLUG_GUEST_ERROR": MonitorEvents._on_unplug_error,
}
