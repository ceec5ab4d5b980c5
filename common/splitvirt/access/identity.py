"""Who is at the other end of a connection, as the kernel or the bus vouches for it."""

import errno
import os
import select
import socket
import struct
from collections.abc import Iterable, Mapping
from functools import cached_property

from splitvirt.host.value import value


def start_time(pid: int) -> int:
    """When a process started, in clock ticks since boot (field 22 of /proc/PID/stat); 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            return int(stat.read().rpartition(b")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return 0


_PEERPIDFD = 77  # SO_PEERPIDFD, from Linux 6.5 on


def peer_start_time(sock: socket.socket, pid: int) -> int:
    """When the process that connected started; 0 when it has ended, and its pid may be another's by now."""
    try:
        fd = sock.getsockopt(socket.SOL_SOCKET, _PEERPIDFD)
    except OSError as e:
        return start_time(pid) if e.errno in (errno.ENOPROTOOPT, errno.EINVAL) else 0
    try:
        began, ended = start_time(pid), select.poll()
        ended.register(fd, select.POLLIN)
        return 0 if ended.poll(0) else began  # it was there all the while: what was read is about it
    finally:
        os.close(fd)


@value
class Identity:
    """A caller: user, group, process, and on D-Bus the unique name of its connection.

    `start_time` tells the process from a later one of the same pid; 0 when it is not known.
    """

    uid: int
    gid: int
    pid: int = 0
    start_time: int = 0
    bus_name: str = ""
    groups: tuple[int, ...] | None = None  # None: not told, look the user up

    @classmethod
    def of_socket(cls, sock: socket.socket) -> "Identity":
        """The peer of a UNIX socket, by SO_PEERCRED: what it was when it connected."""
        size = struct.calcsize("3i")
        pid, uid, gid = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
        return cls(uid, gid, pid, peer_start_time(sock, pid))

    @classmethod
    def of_self(cls) -> "Identity":
        """This process: what a call from within runs as."""
        return cls(os.geteuid(), os.getegid(), os.getpid(), start_time(os.getpid()))

    @classmethod
    def of_parameters(cls, given: Mapping[str, object]) -> "Identity":
        """The identity that a sibling daemon passes on (libvirt's CONNECT_SET_IDENTITY parameters).

        What it does not say is unknown, never the sibling's own. KeyError when it names no user, or in another type.
        """

        def number(name: str) -> int:
            value = given[name]
            if not isinstance(value, int):
                raise KeyError(name)
            return value

        uid = number("unix-user-id")
        gid = number("unix-group-id") if "unix-group-id" in given else (1 << 32) - 1
        pid, began = (number(name) if name in given else 0 for name in ("process-id", "process-time"))
        return cls(uid, gid, pid, began)

    @cached_property
    def user(self) -> str:
        """The user's name, or the number where it has none."""
        import pwd

        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return str(self.uid)

    @cached_property
    def group(self) -> str:
        """The primary group's name, or the number where it has none."""
        import grp

        try:
            return grp.getgrgid(self.gid).gr_name
        except (KeyError, OverflowError):
            return str(self.gid)

    @cached_property
    def selinux(self) -> str:
        """The process's security label; empty where the host has no labels."""
        try:
            with open(f"/proc/{self.pid}/attr/current") as label:
                return label.read().rstrip("\n\0")
        except OSError:
            return ""

    def member_of(self, groups: Iterable[int]) -> bool:
        """Whether the user is in one of `groups`."""
        return not {self.gid, *(self._all_groups() if self.groups is None else self.groups)}.isdisjoint(groups)

    def _all_groups(self) -> Iterable[int]:
        """What the user database says; nothing about a number that it does not have, whoever is called so."""
        import pwd

        try:
            return os.getgrouplist(pwd.getpwuid(self.uid).pw_name, self.gid)
        except KeyError:
            return ()

    def alive(self) -> bool:
        """Whether the very process that connected is still there."""
        return self.start_time != 0 and start_time(self.pid) == self.start_time

    def __str__(self) -> str:
        process = f" in process {self.pid}" if self.pid else ""
        return f"user {self.user} ({self.uid}){process}"
