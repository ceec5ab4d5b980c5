# mypy: disable-error-code="empty-body"
"""The life of a domain: starting, stopping, what it is doing, what it is called and what is said of it."""

from typing import Annotated

from .call import Older, call
from .opaque import Chars
from .record import Record, wire
from .rule import CHANGE
from .shape import Counted, Silent, Zero
from .types import I32, U8, U16, U32, U64, Bool, Fds, Names2048, OptStr, Params64, ParamsAll, Str
from .wire import Many


class DomainState(Record):
    """What a domain is doing (VIR_DOMAIN_*), and why (VIR_DOMAIN_*_*, by state)."""

    MEANINGS = {"state": "VIR_DOMAIN_", "reason": "VIR_DOMAIN_{state}_"}
    state: I32
    reason: I32


class DomainInfo(Record):
    """A domain at a glance: state, memory in KiB, virtual processors, processor time in nanoseconds."""

    MEANINGS = {"state": "VIR_DOMAIN_"}
    state: U8
    max_memory: U64
    memory: U64
    vcpus: U16
    cpu_time: U64


class ControlInfo(Record):
    """The control channel: state (VIR_DOMAIN_CONTROL_*), details of an error, milliseconds in that state."""

    MEANINGS = {"state": "VIR_DOMAIN_CONTROL_"}
    state: U32
    details: U32
    time: U64


class SecurityLabel(Record):
    """The security label that a domain runs under, and whether it is enforced."""

    label: Annotated[str, Chars(4097)]
    enforcing: Bool


class JobInfo(Record):
    """A running job (VIR_DOMAIN_JOB_*): times in milliseconds, amounts in bytes."""

    MEANINGS = {"type": "VIR_DOMAIN_JOB_"}
    type: I32
    time_elapsed: U64
    time_remaining: U64
    data_total: U64
    data_processed: U64
    data_remaining: U64
    memory_total: U64
    memory_processed: U64
    memory_remaining: U64
    file_total: U64
    file_processed: U64
    file_remaining: U64


class JobStats(Record):
    """A running or completed job (VIR_DOMAIN_JOB_*), and what it measured."""

    MEANINGS = {"type": "VIR_DOMAIN_JOB_"}
    type: I32
    params: Params64


class Lifecycle:
    """Starting and stopping."""

    @call(
        "virDomainCreateWithFlags",
        rpc=196,
        acl="domain:start",
        dbus="Create",
        echo=True,
        older=[Older(9, shape=Silent(), flags=0)],
    )
    async def create(self, flags: U32 = 0) -> None:
        """Start a defined domain (VIR_DOMAIN_START_*)."""

    @call("virDomainCreateWithFiles", rpc=310, acl="domain:start", dbus="CreateWithFiles", echo=True)
    async def create_with_files(self, files: Fds, flags: U32 = 0) -> None:
        """Start a defined domain and hand it open files, as a container's init expects them."""

    @call("virDomainDestroyFlags", rpc=234, acl="domain:stop", high=True, dbus="Destroy", older=[Older(12, flags=0)])
    async def destroy(self, flags: U32 = 0) -> None:
        """Stop it at once, as by pulling its plug; with VIR_DOMAIN_DESTROY_GRACEFUL never by force."""

    @call(
        "virDomainShutdownFlags",
        rpc=258,
        acl=("domain:init_control", "domain:write:VIR_DOMAIN_SHUTDOWN_GUEST_AGENT"),
        dbus="Shutdown",
        older=[Older(33, flags=0)],
    )
    async def shutdown(self, flags: U32 = 0) -> None:
        """Ask the guest to shut down (VIR_DOMAIN_SHUTDOWN_*: by which way); returns once it was asked."""

    @call(
        "virDomainReboot",
        rpc=27,
        acl=("domain:init_control", "domain:write:VIR_DOMAIN_REBOOT_GUEST_AGENT"),
        dbus="Reboot",
    )
    async def reboot(self, flags: U32 = 0) -> None:
        """Ask the guest to reboot (VIR_DOMAIN_REBOOT_*: by which way); returns once it was asked."""

    @call("virDomainReset", rpc=245, acl="domain:reset", dbus="Reset")
    async def reset(self, flags: U32 = 0) -> None:
        """Reset it at once, as by its reset button."""

    @call("virDomainSuspend", rpc=34, acl="domain:suspend", dbus="Suspend")
    async def suspend(self) -> None:
        """Pause its processors; its memory stays."""

    @call("virDomainResume", rpc=28, acl="domain:suspend", dbus="Resume")
    async def resume(self) -> None:
        """Let its processors run again."""

    @call("virDomainPMSuspendForDuration", rpc=261, acl="domain:pm_control")
    async def pm_suspend(self, target: U32, duration: U64 = 0, flags: U32 = 0) -> None:
        """Have the guest suspend itself (VIR_NODE_SUSPEND_TARGET_*), for `duration` seconds; 0: until woken."""

    @call("virDomainPMWakeup", rpc=267, acl="domain:pm_control", dbus="PMWakeup")
    async def pm_wakeup(self, flags: U32 = 0) -> None:
        """Wake a guest that suspended itself."""

    @call("virDomainInjectNMI", rpc=210, acl="domain:inject_nmi", dbus="InjectNMI")
    async def inject_nmi(self, flags: U32 = 0) -> None:
        """Send the guest a non-maskable interrupt."""

    @call(
        "virDomainUndefineFlags", rpc=231, acl="domain:delete", high=True, dbus="Undefine", older=[Older(35, flags=0)]
    )
    async def undefine(self, flags: U32 = 0) -> None:
        """Forget its configuration; VIR_DOMAIN_UNDEFINE_* says what goes with it. A running one becomes transient."""

    @call("virDomainRename", rpc=358, acl=("domain:write", "domain:save"), dbus="Rename", shape=Zero())
    async def rename(self, name: OptStr, flags: U32 = 0) -> None:
        """Give a stopped domain another name."""

    @call("virDomainGetAutostart", rpc=15, acl="domain:read", high=True, prop="Autostart")
    async def autostart(self) -> Bool:
        """Whether it starts with the host."""

    @call("virDomainSetAutostart", rpc=29, acl="domain:write", high=True, prop="Autostart")
    async def set_autostart(self, autostart: Bool) -> None:
        """Have it start with the host, or not."""

    @call("virDomainSetLifecycleAction", rpc=390, acl="domain:write")
    async def set_lifecycle_action(self, type: U32, action: U32, flags: U32 = 0) -> None:
        """What to do when the guest powers off, reboots or crashes (VIR_DOMAIN_LIFECYCLE_*)."""

    @call("virDomainGetJobInfo", rpc=163, acl="domain:read", dbus="GetJobInfo")
    async def job_info(self) -> JobInfo:
        """How far the running job is."""

    @call("virDomainGetJobStats", rpc=298, acl="domain:read", dbus="GetJobStats")
    async def job_stats(self, flags: U32 = 0) -> JobStats:
        """What the running job, or the completed one (VIR_DOMAIN_JOB_STATS_*), measured."""

    @call(
        "virDomainAbortJobFlags",
        rpc=442,
        acl="domain:write",
        dbus="AbortJob",
        off_bus=["flags"],
        older=[Older(164, flags=0)],
    )
    async def abort_job(self, flags: U32 = 0) -> None:
        """End the running job (VIR_DOMAIN_ABORT_JOB_*)."""


class Reading:
    """What a domain is."""

    @call(
        "virDomainGetXMLDesc",
        rpc=14,
        acl=("domain:read", "domain:read_secure:VIR_DOMAIN_XML_SECURE", "domain:read_secure:VIR_DOMAIN_XML_MIGRATABLE"),
        dbus="GetXMLDesc",
    )
    async def xml(self, flags: U32 = 0) -> Str:
        """Its configuration (VIR_DOMAIN_XML_*)."""

    @call("virDomainGetState", rpc=212, acl="domain:read", high=True, dbus="GetState")
    async def state(self, flags: U32 = 0) -> DomainState:
        """What it is doing, and why."""

    @call("virDomainGetInfo", rpc=16, acl="domain:read")
    async def info(self) -> DomainInfo:
        """Its state, memory in KiB, processors and processor time in nanoseconds."""

    @call("virDomainListGetStats", rpc=0, acl="domain:read", dbus="GetStats")
    async def stats(self, stats: U32 = 0, flags: U32 = 0) -> ParamsAll:
        """Its part of the bulk statistics (VIR_DOMAIN_STATS_*, 0: all)."""

    @call("virDomainGetControlInfo", rpc=229, acl="domain:read", high=True, dbus="GetControlInfo")
    async def control_info(self, flags: U32 = 0) -> ControlInfo:
        """Whether its control channel answers."""

    @call("virDomainGetOSType", rpc=19, acl="domain:read", high=True, prop="OSType")
    async def os_type(self) -> Str:
        """What runs in it: "hvm" for a machine, "exe" for a container."""

    @call("virDomainIsActive", rpc=150, acl="domain:read", high=True, prop="Active")
    async def is_active(self) -> Bool:
        """Whether it runs."""

    @call("virDomainIsPersistent", rpc=151, acl="domain:read", high=True, prop="Persistent")
    async def is_persistent(self) -> Bool:
        """Whether its configuration outlives it."""

    @call("virDomainIsUpdated", rpc=202, acl="domain:read", high=True, prop="Updated")
    async def is_updated(self) -> Bool:
        """Whether its configuration was changed while it runs."""

    @call("virDomainGetMetadata", rpc=265, acl="domain:read", dbus="GetMetadata")
    async def metadata(self, type: I32, uri: OptStr = None, flags: U32 = 0) -> Str:
        """Its title, description or metadata element (VIR_DOMAIN_METADATA_*). NoMetadata where it has none."""

    @call("virDomainSetMetadata", rpc=264, acl=CHANGE, dbus="SetMetadata")
    async def set_metadata(
        self, type: I32, metadata: OptStr, key: OptStr = None, uri: OptStr = None, flags: U32 = 0
    ) -> None:
        """Set its title, description or the metadata element of a namespace; None removes it."""

    @call("virDomainGetMessages", rpc=426, acl="domain:read")
    async def messages(self, types: U32 = 0) -> Names2048:
        """Warnings about it (VIR_DOMAIN_MESSAGE_*): deprecated devices, tainting."""

    @call("virDomainGetSecurityLabel", rpc=121, acl="domain:read", high=True)
    async def security_label(self) -> SecurityLabel:
        """Its first security label."""

    @call(
        "virDomainGetSecurityLabelList",
        rpc=278,
        acl="domain:read",
        high=True,
        dbus="GetSecurityLabelList",
        shape=Counted(),
    )
    async def security_labels(self) -> Annotated[list[SecurityLabel], Many(wire(SecurityLabel), 64)]:
        """Its security labels, one a model."""

    @call("virDomainGetLaunchSecurityInfo", rpc=396, acl="domain:read")
    async def launch_security_info(self, flags: U32 = 0) -> Params64:
        """What its launch security measured."""

    @call("virDomainSetLaunchSecurityState", rpc=439, acl="domain:write")
    async def set_launch_security_state(self, params: Params64, flags: U32 = 0) -> None:
        """Hand a guest that waits for it its secret."""
