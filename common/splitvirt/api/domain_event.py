"""What happens to domains."""

from typing import Annotated

from .event import event
from .record import Record, wire
from .types import I32, I64, U32, U64, OptStr, Params64, Params2048, Str
from .wire import Many


class GraphicsAddress(Record):
    """One end of a connection to a graphics server (VIR_DOMAIN_EVENT_GRAPHICS_ADDRESS_*)."""

    family: I32
    node: Str
    service: Str


class GraphicsIdentity(Record):
    """What a client of a graphics server is known as."""

    type: Str
    name: Str


class Events:
    """Events of domains, numbered VIR_DOMAIN_EVENT_ID_*."""

    @event(rpc=318, id=0, older=107, dbus="DomainEvent", on_root=True)
    def lifecycle(self, event: I32, detail: I32) -> None:
        """It was defined, undefined, started, suspended, resumed, stopped ... (VIR_DOMAIN_EVENT_*), and why."""

    @event(rpc=319, id=1, older=169, dbus="Reboot")
    def rebooted(self) -> None:
        """The guest rebooted."""

    @event(rpc=320, id=2, older=170, dbus="RTCChange")
    def rtc_changed(self, offset: I64) -> None:
        """The guest set its clock: seconds away from UTC."""

    @event(rpc=321, id=3, older=171, dbus="Watchdog")
    def watchdog(self, action: I32) -> None:
        """Its watchdog fired (VIR_DOMAIN_EVENT_WATCHDOG_*: what was done)."""

    @event(rpc=322, id=4, older=172)
    def io_error(self, path: Str, device: Str, action: I32) -> None:
        """A disk failed (VIR_DOMAIN_EVENT_IO_ERROR_*: what was done)."""

    @event(rpc=323, id=5, older=173, dbus="Graphics")
    def graphics(
        self,
        phase: I32,
        local: GraphicsAddress,
        remote: GraphicsAddress,
        scheme: Str,
        identities: Annotated[list[GraphicsIdentity], Many(wire(GraphicsIdentity), 20)],
    ) -> None:
        """A viewer connected, authenticated or left (VIR_DOMAIN_EVENT_GRAPHICS_*)."""

    @event(rpc=324, id=6, older=195, dbus="IOError")
    def io_error_reason(self, path: Str, device: Str, action: I32, reason: Str) -> None:
        """A disk failed, and why: "enospc" or ""."""

    @event(rpc=325, id=7, older=224, dbus="ControlError")
    def control_error(self) -> None:
        """Its monitor cannot be understood any more."""

    @event(rpc=326, id=8, older=241)
    def block_job(self, path: Str, type: I32, status: I32) -> None:
        """A job on a disk, by its path, is ready or ended (VIR_DOMAIN_BLOCK_JOB_*)."""

    @event(rpc=327, id=9, older=248, dbus="DiskChange")
    def disk_changed(self, old_path: OptStr, new_path: OptStr, device: Str, reason: I32) -> None:
        """A disk was given another source, or dropped at start."""

    @event(rpc=328, id=10, older=268, dbus="TrayChange")
    def tray_changed(self, device: Str, reason: I32) -> None:
        """The guest opened or closed a tray."""

    @event(rpc=329, id=11, older=269, dbus="PMWakeup", lead=1)
    def pm_woke(self, reason: I32) -> None:
        """The guest woke up."""

    @event(rpc=330, id=12, older=270, dbus="PMSuspend", lead=1)
    def pm_suspended(self, reason: I32) -> None:
        """The guest suspended itself to memory."""

    @event(rpc=331, id=13, older=276, dbus="BalloonChange")
    def balloon_changed(self, actual: U64) -> None:
        """The guest now has that much memory, in KiB."""

    @event(rpc=332, id=14, older=292, dbus="PMSuspendDisk", lead=1)
    def pm_suspended_to_disk(self, reason: I32) -> None:
        """The guest suspended itself to disk."""

    @event(rpc=333, id=15, older=311, dbus="DeviceRemoved")
    def device_removed(self, device: Str) -> None:
        """The guest let go of a device, which is gone."""

    @event(rpc=339, id=16, dbus="BlockJob")
    def block_job_2(self, disk: Str, type: I32, status: I32) -> None:
        """A job on a disk, by its target name, is ready or ended (VIR_DOMAIN_BLOCK_JOB_*)."""

    @event(rpc=346, id=17, dbus="Tunable")
    def tunable_changed(self, params: Params2048) -> None:
        """Tuning was changed."""

    @event(rpc=348, id=18, dbus="AgentEvent")
    def agent_lifecycle(self, state: I32, reason: I32) -> None:
        """The guest's agent came or went."""

    @event(rpc=354, id=19, dbus="DeviceAdded")
    def device_added(self, device: Str) -> None:
        """A device was plugged."""

    @event(rpc=359, id=20, dbus="MigrationIteration")
    def migration_iteration(self, iteration: I32) -> None:
        """A migration began another round over the memory."""

    @event(rpc=363, id=21, dbus="JobCompleted")
    def job_completed(self, params: Params64) -> None:
        """A job ended, and what it measured."""

    @event(rpc=367, id=22, dbus="DeviceRemovalFailed")
    def device_removal_failed(self, device: Str) -> None:
        """The guest refused to let go of a device."""

    @event(rpc=379, id=23, dbus="MetadataChange")
    def metadata_changed(self, type: I32, uri: OptStr) -> None:
        """Title, description or the metadata of a namespace were set."""

    @event(rpc=385, id=24)
    def block_threshold(self, device: Str, path: OptStr, threshold: U64, excess: U64) -> None:
        """A write went so many bytes beyond the threshold of an image."""

    @event(rpc=423, id=25)
    def memory_failure(self, recipient: I32, action: I32, flags: U32) -> None:
        """Memory failed (VIR_DOMAIN_EVENT_MEMORY_FAILURE_*)."""

    @event(rpc=438, id=26)
    def memory_device_size_changed(self, device: Str, size: U64) -> None:
        """The guest took or gave back memory of a virtio-mem device, which now has so many KiB."""

    @event(rpc=6, program="qemu")
    def monitor_event(self, event: Str, seconds: I64, micros: U32, details: OptStr) -> None:
        """QEMU sent an event: its name, its time since 1970 and its data as JSON."""
