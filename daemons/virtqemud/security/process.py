"""Becoming a guest's user: who that is, by qemu.conf and by the guest's own `<seclabel model='dac'>`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from splitvirt.api.constants import VIR_FROM_QEMU
from splitvirt.api.errors import InvalidArg
from splitvirt.host.users import known_group, known_user

USUAL = "libvirt-qemu"
"""Debian's name of the user and of the group that QEMU processes run as, where qemu.conf names none."""


class Identity(NamedTuple):
    """A user as the kernel knows it; `groups` are the supplementary ones."""

    uid: int
    gid: int
    groups: tuple[int, ...]

    @property
    def label(self) -> str:
        """As a label of the model "dac": "+64055:+64055"."""
        return f"+{self.uid}:+{self.gid}"

    @property
    def powerful(self) -> bool:
        """Whether the host itself is in its hands."""
        return self.uid == 0 or self.gid == 0


def identity(uid: int, gid: int) -> Identity:
    """A user with all the groups that the host's files give it; one that they do not know has `gid` alone."""
    import pwd

    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return Identity(uid, gid, (gid,))
    groups = set(os.getgrouplist(entry.pw_name, entry.pw_gid))
    return Identity(uid, gid, tuple(sorted(groups | {gid})))


def configured(config: Mapping[str, Any]) -> Identity | None:
    """Who qemu.conf has QEMU run as: `user` and `group`, else the usual one; None where nobody says.

    Raises InvalidArg for a name that the host does not know.
    """
    user, group = str(config.get("user") or ""), str(config.get("group") or "")
    if not user and not known_user(USUAL):
        return None if not group else identity(0, group_id(group))
    uid = user_id(user or USUAL)
    return identity(uid, group_id(group) if group else _usual_group(uid, user or USUAL))


def _usual_group(uid: int, user: str) -> int:
    """The group where none is configured: the usual one for the usual user, else the user's own."""
    import grp
    import pwd

    try:
        return grp.getgrnam(USUAL).gr_gid if user == USUAL else pwd.getpwuid(uid).pw_gid
    except KeyError:
        return uid


def of_label(label: str) -> tuple[int, int]:
    """User and group of a label "user:group", each a name, a number, or "+number". Raises InvalidArg."""
    user, colon, group = label.partition(":")
    if not colon:
        raise InvalidArg(f"Failed to parse uid and gid from '{label}'", domain=VIR_FROM_QEMU)
    return user_id(user), group_id(group)


def user_id(name: str) -> int:
    """The number of a user: "+number", a name, or a number that is nobody's name. Raises InvalidArg."""
    found = known_user(name)
    if found is None:
        raise InvalidArg(f"Failed to parse user '{name}'", domain=VIR_FROM_QEMU)
    return found


def group_id(name: str) -> int:
    """The number of a group, as `user_id`."""
    found = known_group(name)
    if found is None:
        raise InvalidArg(f"Failed to parse group '{name}'", domain=VIR_FROM_QEMU)
    return found


def environment(folder: str) -> dict[str, str]:
    """The variables of a QEMU that runs as another user: nothing of the daemon's own but where programs are."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR", "LD_LIBRARY_PATH") if name in os.environ}
    return {
        "LC_ALL": "C",
        **kept,
        "HOME": folder,
        "XDG_DATA_HOME": f"{folder}/.local/share",
        "XDG_CACHE_HOME": f"{folder}/.cache",
        "XDG_CONFIG_HOME": f"{folder}/.config",
    }
