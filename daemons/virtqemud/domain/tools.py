"""The guest's agent, and commands passed through to QEMU and to the agent."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from splitvirt.api import constants as c
from splitvirt.api.domain import Domain
from splitvirt.api.domain_guest import CommandReply, FSInfo, GuestTime
from splitvirt.api.errors import (
    AgentUnresponsive,
    ArgumentUnsupported,
    InternalError,
    InvalidArg,
    OperationInvalid,
    VirtError,
)
from splitvirt.api.params import TypedParam
from splitvirt.xml.devices.channel import Channel
from splitvirt.xml.devices.interface import Interface
from virtqemud import devicelist
from virtqemud.flags import only
from virtqemud.running.agent import SYNC_TIMEOUT, Agent, AgentError
from virtqemud.running.guest import Guest

from .base import DomainBase

QEMU = c.VIR_FROM_QEMU
AGENT_PORT = "org.qemu.guest_agent.0"
HMP = 1  # VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP, of libvirt-qemu.h
_SUSPEND = {0: "guest-suspend-ram", 1: "guest-suspend-disk", 2: "guest-suspend-hybrid"}


class Tools(DomainBase):
    """What the agent does, and what is passed through."""

    # ---- the agent

    def agent(self) -> Agent:
        """The agent. ArgumentUnsupported where the guest has no channel for it, AgentUnresponsive when it is down."""
        self.running()
        if self.current_state != c.VIR_DOMAIN_RUNNING:
            raise OperationInvalid("domain is not running", domain=QEMU)
        assert self.live
        channel = next((ch for ch in devicelist.of(self.live, Channel) if ch.target_name == AGENT_PORT), None)
        path = channel.sources[0].path if channel is not None and channel.sources else None
        if channel is None or channel.type != "unix" or not path:
            raise ArgumentUnsupported("QEMU guest agent is not configured", domain=QEMU)
        if not self.agent_up:
            raise AgentUnresponsive("QEMU guest agent is not connected", domain=QEMU)
        if self.agent_link is None:
            self.agent_link = Agent(Path(path))
        return self.agent_link

    async def ask_agent(
        self, command: str, arguments: dict[str, Any] | None = None, *, ends: Collection[str] = ()
    ) -> Any:
        """The agent's answer to a command, within the time that was set for it; `ends` as for `Agent.execute`."""
        return await self.agent().execute(command, arguments, timeout=self.agent_timeout, ends=ends)

    def port_changed(self, alias: str, opened: bool, *, starting: bool = False) -> None:
        """The guest opened or closed its end of a channel."""
        if self.live is None:
            return
        for channel in devicelist.of(self.live, Channel):
            if channel.alias == alias and channel.target_type == "virtio":
                channel.target_state = "connected" if opened else "disconnected"
                if channel.target_name == AGENT_PORT and (starting or opened != self.agent_up):
                    self.agent_up = opened
                    if not opened and self.agent_link is not None:
                        self.agent_link.left()
                    state = (
                        c.VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_STATE_CONNECTED
                        if opened
                        else c.VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_STATE_DISCONNECTED
                    )
                    reason = (
                        c.VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_REASON_DOMAIN_STARTED
                        if starting
                        else c.VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_REASON_CHANNEL
                    )
                    self.driver.events.emit(Domain.agent_lifecycle, self, state, reason)
        if not starting:
            self.record()

    async def set_agent_timeout(self, timeout: int, flags: int = 0) -> None:
        """Seconds that the agent has to answer: -2 for ever, -1 the usual, 0 not at all."""
        only(flags, 0, "qemuDomainAgentSetResponseTimeout")
        if timeout < -2:
            raise InvalidArg(f"guest agent timeout '{timeout}' is less than the minimum '-2'", domain=QEMU)
        self.agent_timeout = None if timeout == -2 else SYNC_TIMEOUT if timeout == -1 else float(timeout)

    async def hostname(self, flags: int = 0) -> str:
        """The guest's host name, by its agent."""
        known = c.VIR_DOMAIN_GET_HOSTNAME_LEASE | c.VIR_DOMAIN_GET_HOSTNAME_AGENT
        only(flags, known, "qemuDomainGetHostname")
        if flags & c.VIR_DOMAIN_GET_HOSTNAME_LEASE:
            return await self._leased_hostname()
        return str((await self.ask_agent("guest-get-host-name"))["host-name"])

    async def _leased_hostname(self) -> str:
        self.running()
        networks = self.driver.networks
        for card in devicelist.of(self.current, Interface):
            if card.type == "network" and card.network and networks is not None:
                network = await networks.network_by_name(card.network)
                for lease in await network.leases(card.mac):
                    if lease.hostname:
                        return str(lease.hostname)
        words = f"no hostname found: no hostname found for domain {self.name}"
        raise VirtError.of(c.VIR_ERR_NO_HOSTNAME, QEMU, words)

    async def time(self, flags: int = 0) -> GuestTime:
        """The guest's clock."""
        only(flags, 0, "qemuDomainGetTime")
        now = int(await self.ask_agent("guest-get-time"))
        return GuestTime(now // 1_000_000_000, now % 1_000_000_000)

    async def set_time(self, seconds: int, nanoseconds: int = 0, flags: int = 0) -> None:
        """Set the guest's clock."""
        only(flags, c.VIR_DOMAIN_TIME_SYNC, "qemuDomainSetTime")
        arguments = None if flags else {"time": seconds * 1_000_000_000 + nanoseconds}
        await self.ask_agent("guest-set-time", arguments)

    async def fs_info(self, flags: int = 0) -> list[FSInfo]:
        """File systems mounted in the guest."""
        only(flags, 0, "qemuDomainGetFSInfo")
        found = await self.ask_agent("guest-get-fsinfo")
        return [FSInfo(fs["mountpoint"], fs["name"], fs["type"], self._targets(fs)) for fs in found]

    def _targets(self, fs: dict[str, Any]) -> list[str]:
        from .guestdisks import target, targets

        assert self.live
        known = targets(self.live)
        return [name for disk in fs.get("disk", ()) if (name := target(known, disk))]

    async def fs_freeze(self, mountpoints: list[str], flags: int = 0) -> int:
        """Freeze file systems; how many."""
        only(flags, 0, "qemuDomainFSFreeze")
        if mountpoints:
            return int(await self.ask_agent("guest-fsfreeze-freeze-list", {"mountpoints": mountpoints}))
        return int(await self.ask_agent("guest-fsfreeze-freeze"))

    async def fs_thaw(self, mountpoints: list[str], flags: int = 0) -> int:
        """Thaw file systems; how many."""
        only(flags, 0, "qemuDomainFSThaw")
        if mountpoints:
            raise ArgumentUnsupported("specifying mountpoints is not supported", domain=QEMU)
        return int(await self.ask_agent("guest-fsfreeze-thaw"))

    async def fs_trim(self, mountpoint: str | None = None, minimum: int = 0, flags: int = 0) -> None:
        """Discard unused blocks."""
        only(flags, 0, "qemuDomainFSTrim")
        if mountpoint is not None:
            raise ArgumentUnsupported("Specifying mount point is not supported for now", domain=QEMU)
        await self.ask_agent("guest-fstrim", {"minimum": minimum})

    async def set_user_password(self, user: str | None, password: str | None, flags: int = 0) -> None:
        """Set a password in the guest."""
        import base64

        only(flags, c.VIR_DOMAIN_PASSWORD_ENCRYPTED, "qemuDomainSetUserPassword")
        coded = base64.b64encode((password or "").encode()).decode()
        arguments = {"username": user or "", "password": coded, "crypted": bool(flags)}
        await self.ask_agent("guest-set-user-password", arguments)

    async def ssh_keys(self, user: str, flags: int = 0) -> list[str]:
        """Keys that may log in as a user."""
        only(flags, 0, "qemuDomainAuthorizedSSHKeysGet")
        return list((await self.ask_agent("guest-ssh-get-authorized-keys", {"username": user}))["keys"])

    async def set_ssh_keys(self, user: str, keys: list[str], flags: int = 0) -> None:
        """Set, add or remove them."""
        append = c.VIR_DOMAIN_AUTHORIZED_SSH_KEYS_SET_APPEND
        remove = c.VIR_DOMAIN_AUTHORIZED_SSH_KEYS_SET_REMOVE
        only(flags, append | remove, "qemuDomainAuthorizedSSHKeysSet")
        if flags & remove:
            await self.ask_agent("guest-ssh-remove-authorized-keys", {"username": user, "keys": keys})
        else:
            arguments = {"username": user, "keys": keys, "reset": not flags & append}
            await self.ask_agent("guest-ssh-add-authorized-keys", arguments)

    async def guest_vcpus(self, flags: int = 0) -> list[TypedParam]:
        """What the guest says of its processors."""
        from splitvirt.host.topology import format_list

        only(flags, 0, "qemuDomainGetGuestVcpus")
        cpus = await self.ask_agent("guest-get-vcpus")
        return [
            TypedParam.string("vcpus", format_list([cpu["logical-id"] for cpu in cpus])),
            TypedParam.string("online", format_list([cpu["logical-id"] for cpu in cpus if cpu["online"]])),
            TypedParam.string("offlinable", format_list([c_["logical-id"] for c_ in cpus if c_.get("can-offline")])),
        ]

    async def set_guest_vcpus(self, cpumap: str, state: int, flags: int = 0) -> None:
        """Have the guest use processors, or not."""
        from splitvirt.host.topology import format_list

        from .vcpustates import numbers

        only(flags, 0, "qemuDomainSetGuestVcpus")
        wanted = numbers(cpumap)
        if state not in (0, 1):
            raise InvalidArg("unsupported guest CPU state value", domain=QEMU)
        known = {cpu["logical-id"]: bool(cpu["online"]) for cpu in await self.ask_agent("guest-get-vcpus")}
        if missing := wanted - known.keys():
            raise InvalidArg(f"guest is missing vCPUs '{format_list(sorted(missing))}'", domain=QEMU)
        changed = [{"logical-id": number, "online": bool(state)} for number in sorted(wanted) if known[number] != state]
        if changed:
            await self.ask_agent("guest-set-vcpus", {"vcpus": changed})

    async def guest_info(self, types: int = 0, flags: int = 0) -> list[TypedParam]:
        """What the agent tells of users, system, time zone, host name, file systems, disks and interfaces."""
        from .guestdisks import targets
        from .guestinfo import collect

        only(flags, 0, "qemuDomainGetGuestInfo")
        self.running()
        assert self.live
        return await collect(self.ask_agent, types, targets(self.live))

    async def pm_suspend(self, target: int, duration: int = 0, flags: int = 0) -> None:
        """Have the guest suspend itself."""
        only(flags, 0, "qemuDomainPMSuspendForDuration")
        if duration:
            raise ArgumentUnsupported("Duration not supported. Use 0 for now", domain=QEMU)
        if target not in _SUSPEND:
            raise ArgumentUnsupported(f"Unknown suspend target: {target}", domain=QEMU)
        guest = self.running()
        await self._check_wakes(guest)
        assert self.live
        to_disk = target == c.VIR_NODE_SUSPEND_TARGET_DISK
        if (self.live.suspend_to_disk if to_disk else self.live.suspend_to_mem) is False:
            raise InternalError(f"{'S4' if to_disk else 'S3'} state is disabled for this domain", domain=QEMU)
        # Without the turn of calls: the guest may take its time, and is to be woken meanwhile.
        await self.ask_agent(_SUSPEND[target], ends=("SUSPEND", "SUSPEND_DISK", "SHUTDOWN"))

    async def _check_wakes(self, guest: Guest) -> None:
        machine = await guest.monitor.execute("query-current-machine")
        if not machine.get("wakeup-suspend-support"):
            raise VirtError.of(c.VIR_ERR_OPERATION_UNSUPPORTED, QEMU, "Domain does not have suspend support")

    async def pm_wakeup(self, flags: int = 0) -> None:
        """Wake a guest that suspended itself."""
        only(flags, 0, "qemuDomainPMWakeup")
        async with self.job.hold("pm_wakeup"):
            guest = self.running()
            await self._check_wakes(guest)
            await guest.monitor.execute("system_wakeup")

    async def inject_nmi(self, flags: int = 0) -> None:
        """Send a non-maskable interrupt."""
        only(flags, 0, "qemuDomainInjectNMI")
        async with self.job.hold("inject_nmi"):
            await self.running().monitor.execute("inject-nmi")

    # ---- passed through

    async def monitor_command(self, command: str, flags: int = 0) -> str:
        """QEMU's answer to a QMP command, or with flag 1 to a human one."""
        return (await self.monitor_command_with_files(command, [], flags)).result

    async def monitor_command_with_files(self, command: str, files: list[int], flags: int = 0) -> CommandReply:
        """As `monitor_command`, with descriptors handed to QEMU."""
        only(flags, HMP, "qemuDomainQemuMonitorCommandWithFiles")
        async with self.job.hold("monitor_command"):
            monitor = self.running().monitor
            if flags & HMP:
                return CommandReply(await monitor.hmp(command), [])
            message = _message(command)
            for fd in files[:1]:
                monitor.send_fd(fd)
            reply = await monitor.raw(message)
            return CommandReply(json.dumps(reply, separators=(",", ":")), [])

    async def agent_command(self, command: str, timeout: int, flags: int = 0) -> str | None:
        """The agent's answer to a command."""
        only(flags, 0, "qemuDomainQemuAgentCommand")
        agent = self.agent()
        limits = {-2: None, -1: SYNC_TIMEOUT, 0: 0.05}
        message = _agent_message(command)
        reply = await agent.raw(message, timeout=limits.get(timeout, float(timeout)))
        if "error" in reply:
            raise AgentError(str(message.get("execute")), reply["error"])
        return json.dumps(reply, separators=(",", ":"))


def _agent_message(command: str) -> dict[str, Any]:
    """A command for the agent, in JSON."""
    try:
        return _whole(json.loads(command))
    except ValueError as error:
        raise InternalError(f"cannot parse json {command}: {error}", domain=QEMU) from None


def _message(command: str) -> dict[str, Any]:
    """A command for QEMU in JSON; a bare word is taken for its name, as virsh lets people write it."""
    try:
        message = json.loads(command)
    except ValueError:
        message = {"execute": command.strip()}
    return _whole(message)


def _whole(message: Any) -> dict[str, Any]:
    if not isinstance(message, dict) or not ({"execute", "exec-oob"} & message.keys()):
        raise InvalidArg("a command is an object with the member 'execute'", domain=QEMU)
    message.pop("id", None)
    return message
