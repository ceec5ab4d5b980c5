# mypy: disable-error-code="empty-body"
"""Calls that the guest answers, mostly by its agent, and commands passed through as they are."""

from typing import Annotated

from .call import call
from .record import Record, wire
from .shape import Counted, Zero
from .types import I32, I64, U32, U64, Count, Fds, Names256, Names2048, OptStr, Params2048, Seconds, Str
from .wire import Many


class GuestTime(Record):
    """The guest's clock: seconds since 1970 UTC, and nanoseconds."""

    seconds: Seconds
    nanoseconds: U32


class FSInfo(Record):
    """A file system mounted in the guest."""

    mountpoint: Str
    name: Str
    fstype: Str
    devices: Names256


class CommandReply(Record):
    """QEMU's answer, and the files that came with it."""

    result: Str
    files: Fds


class Guest:
    """What the guest's agent does."""

    @call("virDomainGetHostname", rpc=277, acl="domain:write", dbus="GetHostname")
    async def hostname(self, flags: U32 = 0) -> Str:
        """The guest's host name, by its lease or its agent."""

    @call("virDomainGetTime", rpc=337, acl="domain:write", dbus="GetTime")
    async def time(self, flags: U32 = 0) -> GuestTime:
        """What time it is in the guest."""

    @call("virDomainSetTime", rpc=338, acl="domain:set_time", dbus="SetTime")
    async def set_time(self, seconds: Seconds, nanoseconds: U32 = 0, flags: U32 = 0) -> None:
        """Set the guest's clock; with VIR_DOMAIN_TIME_SYNC from its own real-time clock."""

    @call("virDomainGetFSInfo", rpc=349, acl="domain:fs_freeze", dbus="GetFSInfo", shape=Counted())
    async def fs_info(self, flags: U32 = 0) -> Annotated[list[FSInfo], Many(wire(FSInfo), 256)]:
        """The file systems mounted in the guest."""

    @call("virDomainFSFreeze", rpc=335, acl="domain:fs_freeze", dbus="FSFreeze")
    async def fs_freeze(self, mountpoints: Names256, flags: U32 = 0) -> Count:
        """Freeze file systems (none given: all); how many."""

    @call("virDomainFSThaw", rpc=336, acl="domain:fs_freeze", dbus="FSThaw")
    async def fs_thaw(self, mountpoints: Names256, flags: U32 = 0) -> Count:
        """Thaw file systems (none given: all); how many."""

    @call("virDomainFSTrim", rpc=294, acl="domain:fs_trim", dbus="FSTrim")
    async def fs_trim(self, mountpoint: OptStr = None, minimum: U64 = 0, flags: U32 = 0) -> None:
        """Have the guest discard unused blocks, in runs of at least `minimum` bytes."""

    @call("virDomainSetUserPassword", rpc=357, acl="domain:set_password", dbus="SetUserPassword")
    async def set_user_password(self, user: OptStr, password: OptStr, flags: U32 = 0) -> None:
        """Set the password of a user of the guest."""

    @call("virDomainGetGuestInfo", rpc=418, acl="domain:write")
    async def guest_info(self, types: U32 = 0, flags: U32 = 0) -> Params2048:
        """What the agent tells of users, system, time zone, host name, file systems, disks, interfaces."""

    @call("virDomainAgentSetResponseTimeout", rpc=420, acl="domain:write", shape=Zero())
    async def set_agent_timeout(self, timeout: I32, flags: U32 = 0) -> None:
        """How many seconds the agent may take to answer (VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_*)."""

    @call("virDomainAuthorizedSSHKeysGet", rpc=424, acl="domain:write")
    async def ssh_keys(self, user: Str, flags: U32 = 0) -> Names2048:
        """The keys that may log in as a user of the guest."""

    @call("virDomainAuthorizedSSHKeysSet", rpc=425, acl="domain:write")
    async def set_ssh_keys(self, user: Str, keys: Names2048, flags: U32 = 0) -> None:
        """Set, add or remove keys that may log in as a user of the guest (VIR_DOMAIN_AUTHORIZED_SSH_KEYS_*)."""

    @call("virDomainSendProcessSignal", rpc=295, acl="domain:send_signal", dbus="SendProcessSignal")
    async def send_process_signal(self, pid: I64, signal: U32, flags: U32 = 0) -> None:
        """Send a signal (VIR_DOMAIN_PROCESS_SIGNAL_*) to a process of a container, numbered as it sees it."""


class Passthrough:
    """What is passed to the emulator, the agent or the kernel as it is."""

    @call("virDomainQemuMonitorCommand", rpc=1, acl="domain:write", program="qemu")
    async def monitor_command(self, command: Str, flags: U32 = 0) -> Str:
        """Send a QMP command, or a human one by flag 1, to QEMU; its answer."""

    @call("virDomainQemuMonitorCommandWithFiles", rpc=7, acl="domain:write", program="qemu")
    async def monitor_command_with_files(self, command: Str, files: Fds, flags: U32 = 0) -> CommandReply:
        """Send a QMP command and open files to QEMU; its answer, and the files that came with it."""

    @call("virDomainQemuAgentCommand", rpc=3, acl="domain:write", program="qemu")
    async def agent_command(self, command: Str, timeout: I32, flags: U32 = 0) -> OptStr:
        """Send a command to the guest's agent; its answer within `timeout` seconds (-2: no limit, -1: the usual, 0: no
        answer is waited for).
        """

    @call("virDomainLxcOpenNamespace", rpc=1, acl="domain:open_namespace", program="lxc")
    async def open_namespace(self, flags: U32 = 0) -> Fds:
        """The namespaces of a container, as open files."""
