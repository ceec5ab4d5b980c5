"""What a guest's agent tells of its system, as libvirt's typed parameters."""

from collections.abc import Awaitable, Callable
from typing import Any

from splitvirt.api import constants as c
from splitvirt.api.errors import VirtError
from splitvirt.api.params import TypedParam

Ask = Callable[[str], Awaitable[Any]]


async def collect(ask: Ask, types: int) -> list[TypedParam]:
    """Everything asked for (VIR_DOMAIN_GUEST_INFO_*); with 0 everything that the agent knows."""
    params: list[TypedParam] = []
    for bit, command, tell in _PARTS:
        if types and not types & bit:
            continue
        try:
            params += tell(await ask(command))
        except VirtError:
            if types or (not params and bit == _PARTS[0][0]):
                raise  # asked for in so many words, or no agent at all
    return params


def _users(found: list[dict[str, Any]]) -> list[TypedParam]:
    params = [TypedParam.uint("user.count", len(found))]
    for at, user in enumerate(found):
        params.append(TypedParam.string(f"user.{at}.name", user["user"]))
        if "domain" in user:
            params.append(TypedParam.string(f"user.{at}.domain", user["domain"]))
        params.append(TypedParam.ullong(f"user.{at}.login-time", int(user["login-time"] * 1000)))
    return params


def _system(found: dict[str, Any]) -> list[TypedParam]:
    names = {
        "id": "os.id", "name": "os.name", "pretty-name": "os.pretty-name", "version": "os.version",
        "version-id": "os.version-id", "kernel-release": "os.kernel-release", "kernel-version": "os.kernel-version",
        "machine": "os.machine", "variant": "os.variant", "variant-id": "os.variant-id",
    }  # fmt: skip
    return [TypedParam.string(param, found[key]) for key, param in names.items() if key in found]


def _timezone(found: dict[str, Any]) -> list[TypedParam]:
    zone = [TypedParam.string("timezone.name", found["zone"])] if "zone" in found else []
    return [*zone, TypedParam.int_("timezone.offset", int(found["offset"]))]


def _hostname(found: dict[str, Any]) -> list[TypedParam]:
    return [TypedParam.string("hostname", found["host-name"])]


def _filesystems(found: list[dict[str, Any]]) -> list[TypedParam]:
    params = [TypedParam.uint("fs.count", len(found))]
    for at, fs in enumerate(found):
        params.append(TypedParam.string(f"fs.{at}.name", fs["name"]))
        params.append(TypedParam.string(f"fs.{at}.mountpoint", fs["mountpoint"]))
        params.append(TypedParam.string(f"fs.{at}.fstype", fs["type"]))
        for key in ("total-bytes", "used-bytes"):
            if key in fs:
                params.append(TypedParam.ullong(f"fs.{at}.{key}", fs[key]))
        disks = [disk for disk in fs.get("disk", ()) if disk.get("dev")]
        params.append(TypedParam.uint(f"fs.{at}.disk.count", len(disks)))
        for number, disk in enumerate(disks):
            params.append(TypedParam.string(f"fs.{at}.disk.{number}.device", disk["dev"]))
    return params


_PARTS: list[tuple[int, str, Callable[[Any], list[TypedParam]]]] = [
    (c.VIR_DOMAIN_GUEST_INFO_USERS, "guest-get-users", _users),
    (c.VIR_DOMAIN_GUEST_INFO_OS, "guest-get-osinfo", _system),
    (c.VIR_DOMAIN_GUEST_INFO_TIMEZONE, "guest-get-timezone", _timezone),
    (c.VIR_DOMAIN_GUEST_INFO_HOSTNAME, "guest-get-host-name", _hostname),
    (c.VIR_DOMAIN_GUEST_INFO_FILESYSTEM, "guest-get-fsinfo", _filesystems),
]
