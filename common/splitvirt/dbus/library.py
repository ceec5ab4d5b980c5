"""The D-Bus library: dbus-fast, or dbus-next where only that is installed or $SPLITVIRT_DBUS names it.

Both drop the connection when a write meets a full socket (EAGAIN): `Patient` mends it (seen in dbus-fast 5.2.0 and
dbus-next 0.2.3; they are pinned in pyproject.toml).
"""

import os
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dbus_fast import Message, MessageFlag, MessageType, Variant
    from dbus_fast.aio import MessageBus
else:
    try:
        if os.environ.get("SPLITVIRT_DBUS") == "dbus-next":
            raise ModuleNotFoundError
        from dbus_fast import Message, MessageFlag, MessageType, Variant
        from dbus_fast.aio import MessageBus
    except ModuleNotFoundError:
        from dbus_next import Message, MessageFlag, MessageType, Variant
        from dbus_next.aio import MessageBus

__all__ = ["Message", "MessageBus", "MessageFlag", "MessageType", "Patient", "Variant", "mend"]


class Patient:
    """A socket for the library's writer: one that is full took no bytes, which the writer knows how to wait out.

    The writer believes descriptors gone after its first try, so they are kept here until some bytes take them along.
    """

    def __init__(self, sock: socket.socket):
        self.socket = sock
        self.unsent: list[int] = []

    def send(self, data: memoryview) -> int:
        """The bytes that the kernel took, 0 when it is full."""
        try:
            if not self.unsent:
                return self.socket.send(data)
            sent = socket.send_fds(self.socket, [data], self.unsent)
        except BlockingIOError:
            return 0
        self.close()
        return sent

    def sendmsg(self, buffers: list[memoryview], ancillary: Iterable[tuple[int, int, Iterable[int]]]) -> int:
        """The same with file descriptors, of which copies go, so that the caller may close its own at once."""
        self.unsent = [os.dup(fd) for _, _, fds in ancillary for fd in fds]
        return self.send(buffers[0])

    def close(self) -> None:
        """Close what is held."""
        held, self.unsent = self.unsent, []
        for fd in held:
            os.close(fd)


def mend(bus: MessageBus) -> Patient:
    """Make a connected bus wait where it would drop the connection. Called once, right after `connect`."""
    writer: Any = bus._writer
    patient = Patient(writer.sock)
    writer.sock = patient
    return patient
