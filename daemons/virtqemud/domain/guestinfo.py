"""What a guest's agent tells of its system, as libvirt's typed parameters."""

from collections.abc import Awaitable, Callable
from typing import Any

from splitvirt.api import constants as c
from splitvirt.api.params import TypedParam
from virtqemud.running.agent import AgentError

from .guestdisks import Targets, target

Ask = Callable[[str], Awaitable[Any]]


async def collect(ask: Ask, types: int, disks: Targets) -> list[TypedParam]:
    """Everything asked for (VIR_DOMAIN_GUEST_INFO_*); with 0 everything that the agent knows. `disks` are the guest's.

    Raises what asking raises; with 0, an agent that does not know a command is no error.
    """
    params: list[TypedParam] = []
    for bit, command, tell in _PARTS:
        if types and not types & bit:
            continue
        try:
            found = await ask(command)
        except AgentError as error:
            if types or not error.unknown:
                raise
            continue
        params += tell(found, disks)
    return params


def _users(found: list[dict[str, Any]], disks: Targets) -> list[TypedParam]:
    params = [TypedParam.uint("user.count", len(found))]
    for at, user in enumerate(found):
        params.append(TypedParam.string(f"user.{at}.name", user["user"]))
        if "domain" in user:
            params.append(TypedParam.string(f"user.{at}.domain", user["domain"]))
        params.append(TypedParam.ullong(f"user.{at}.login-time", int(user["login-time"] * 1000)))
    return params


def _system(found: dict[str, Any], disks: Targets) -> list[TypedParam]:
    names = {
        "id": "os.id", "name": "os.name", "pretty-name": "os.pretty-name", "version": "os.version",
        "version-id": "os.version-id", "machine": "os.machine",
        "kernel-release": "os.kernel-release", "kernel-version": "os.kernel-version",
        "variant": "os.variant", "variant-id": "os.variant-id",
    }  # fmt: skip
    return [TypedParam.string(param, found[key]) for key, param in names.items() if key in found]


def _timezone(found: dict[str, Any], disks: Targets) -> list[TypedParam]:
    zone = [TypedParam.string("timezone.name", found["zone"])] if "zone" in found else []
    return [*zone, TypedParam.int_("timezone.offset", int(found["offset"]))]


def _hostname(found: dict[str, Any], disks: Targets) -> list[TypedParam]:
    return [TypedParam.string("hostname", found["host-name"])]


def _filesystems(found: list[dict[str, Any]], disks: Targets) -> list[TypedParam]:
    params = [TypedParam.uint("fs.count", len(found))]
    for at, fs in enumerate(found):
        params.append(TypedParam.string(f"fs.{at}.name", fs["name"]))
        params.append(TypedParam.string(f"fs.{at}.mountpoint", fs["mountpoint"]))
        params.append(TypedParam.string(f"fs.{at}.fstype", fs["type"]))
        for key in ("total-bytes", "used-bytes"):
            if key in fs:
                params.append(TypedParam.ullong(f"fs.{at}.{key}", fs[key]))
        params.append(TypedParam.uint(f"fs.{at}.disk.count", len(fs.get("disk", ()))))
        for number, disk in enumerate(fs.get("disk", ())):
            about = {"alias": target(disks, disk), "serial": disk.get("serial"), "device": disk.get("dev")}
            params += _said(f"fs.{at}.disk.{number}", about)
    return params


def _disks(found: list[dict[str, Any]], disks: Targets) -> list[TypedParam]:
    params = [TypedParam.uint("disk.count", len(found))]
    for at, disk in enumerate(found):
        params.append(TypedParam.string(f"disk.{at}.name", disk["name"]))
        params.append(TypedParam.boolean(f"disk.{at}.partition", disk["partition"]))
        below = disk.get("dependencies", ())
        if below:
            params.append(TypedParam.uint(f"disk.{at}.dependency.count", len(below)))
        params += [TypedParam.string(f"disk.{at}.dependency.{n}.name", name) for n, name in enumerate(below)]
        place = disk.get("address", {})
        about = {"serial": place.get("serial"), "alias": target(disks, place), "guest_alias": disk.get("alias")}
        params += _said(f"disk.{at}", about)
    return params


def _interfaces(found: list[dict[str, Any]], disks: Targets) -> list[TypedParam]:
    params = [TypedParam.uint("if.count", len(found))]
    for at, card in enumerate(found):
        params.append(TypedParam.string(f"if.{at}.name", card["name"]))
        params += _said(f"if.{at}", {"hwaddr": card.get("hardware-address")})
        addresses = card.get("ip-addresses", ())
        params.append(TypedParam.uint(f"if.{at}.addr.count", len(addresses)))
        for number, address in enumerate(addresses):
            about = {"type": address["ip-address-type"], "addr": address["ip-address"]}
            params += _said(f"if.{at}.addr.{number}", about)
            params.append(TypedParam.uint(f"if.{at}.addr.{number}.prefix", address["prefix"]))
    return params


def _said(lead: str, about: dict[str, str | None]) -> list[TypedParam]:
    return [TypedParam.string(f"{lead}.{key}", value) for key, value in about.items() if value]


_PARTS: list[tuple[int, str, Callable[[Any, Targets], list[TypedParam]]]] = [
    (c.VIR_DOMAIN_GUEST_INFO_USERS, "guest-get-users", _users),
    (c.VIR_DOMAIN_GUEST_INFO_OS, "guest-get-osinfo", _system),
    (c.VIR_DOMAIN_GUEST_INFO_TIMEZONE, "guest-get-timezone", _timezone),
    (c.VIR_DOMAIN_GUEST_INFO_HOSTNAME, "guest-get-host-name", _hostname),
    (c.VIR_DOMAIN_GUEST_INFO_FILESYSTEM, "guest-get-fsinfo", _filesystems),
    (c.VIR_DOMAIN_GUEST_INFO_DISKS, "guest-get-disks", _disks),
    (c.VIR_DOMAIN_GUEST_INFO_INTERFACES, "guest-network-get-interfaces", _interfaces),
]
