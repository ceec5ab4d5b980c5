"""libvirt's RPC frames: a length, six header words, a payload, and file descriptors that follow.

A frame is at most 32 MiB. A frame of a `*_WITH_FDS` type begins its payload with a count of descriptors; each of them
then follows the frame on one byte of its own, as SCM_RIGHTS.
"""

import os
import struct
from typing import Final

VERSION: Final = 1  # of every program

CALL: Final = 0
REPLY: Final = 1
MESSAGE: Final = 2
STREAM: Final = 3
CALL_WITH_FDS: Final = 4
REPLY_WITH_FDS: Final = 5
STREAM_HOLE: Final = 6

CALLS: Final = (CALL, CALL_WITH_FDS)
WITH_FDS: Final = (CALL_WITH_FDS, REPLY_WITH_FDS)

OK: Final = 0
ERROR: Final = 1
CONTINUE: Final = 2

MAX_FRAME: Final = 32 << 20
MAX_FRAME_BEFORE_AUTH: Final = 64 << 10
MAX_FDS: Final = 32
MAX_STREAM_PAYLOAD: Final = 262120  # what clients older than 1.2 accept, and what libvirt itself sends

HEADER: Final = struct.Struct(">IIIiiIi")
HEADER_SIZE: Final = HEADER.size
COUNT: Final = struct.Struct(">I")


class ProtocolError(Exception):
    """The peer sent what no frame can be; the only way on is to drop the connection."""


class Message:
    """One frame, taken apart. It owns `fds` until somebody takes them."""

    __slots__ = ("fds", "payload", "procedure", "program", "serial", "status", "type", "version")

    def __init__(
        self,
        program: int,
        version: int,
        procedure: int,
        type: int,
        serial: int,
        status: int,
        payload: bytes = b"",
        fds: list[int] | None = None,
    ) -> None:
        self.program = program
        self.version = version
        self.procedure = procedure
        self.type = type
        self.serial = serial
        self.status = status
        self.payload = payload
        self.fds = fds

    def __repr__(self) -> str:
        head = f"program={self.program:#x} procedure={self.procedure} type={self.type} serial={self.serial}"
        return f"<Message {head} status={self.status} payload={len(self.payload)} fds={len(self.fds or ())}>"

    def take_fds(self) -> list[int]:
        """The descriptors that came with it, now the caller's to close."""
        fds, self.fds = self.fds or [], None
        return fds

    def close_fds(self) -> None:
        """Close the descriptors nobody took."""
        close_all(self.take_fds())


def frame(
    program: int,
    procedure: int,
    type: int,
    serial: int,
    status: int = OK,
    payload: bytes | bytearray = b"",
    version: int = VERSION,
) -> bytes:
    """The bytes of a frame without descriptors."""
    return HEADER.pack(HEADER_SIZE + len(payload), program, version, procedure, type, serial, status) + payload


def frame_with_fds(
    program: int, procedure: int, type: int, serial: int, payload: bytes, count: int, version: int = VERSION
) -> bytes:
    """The bytes of a frame that `count` descriptors follow; `type` is the plain CALL or REPLY."""
    with_fds = CALL_WITH_FDS if type == CALL else REPLY_WITH_FDS
    return frame(program, procedure, with_fds, serial, OK, COUNT.pack(count) + payload, version)


def close_all(fds: list[int]) -> None:
    """Close descriptors; one that is closed already is no error."""
    for fd in fds:
        try:
            os.close(fd)
        except OSError:
            pass
