"""A client that speaks frames and knows nothing else, for tests that must say what no library would."""

import asyncio
import socket
import struct
from pathlib import Path
from typing import NamedTuple, Self

from splitvirt.api.errors import VirtError
from splitvirt.api.program import REMOTE
from splitvirt.rpc.fault import unpack_error
from splitvirt.rpc.message import CALL, HEADER, frame


class Frame(NamedTuple):
    """A frame as it came."""

    program: int
    version: int
    procedure: int
    type: int
    serial: int
    status: int
    payload: bytes

    @property
    def error(self) -> VirtError:
        """The error that it carries."""
        assert self.status == 1, self
        return unpack_error(self.payload)


class RawClient:
    """A connection without manners."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.fds: list[int] = []

    @classmethod
    async def connect(cls, path: Path | str, *, open: bool = True, uri: str = "") -> Self:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, str(path))
        made = cls(sock)
        if open:
            assert (await made.ask(1, open_payload(uri))).status == 0
        return made

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = await asyncio.get_running_loop().sock_recv(self.sock, size - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    async def frame(self, seconds: float = 30) -> Frame:
        async with asyncio.timeout(seconds):
            size = struct.unpack(">I", await self.read(4))[0]
            body = await self.read(size - 4)
        return Frame._make([*HEADER.unpack(struct.pack(">I", size) + body[:24])[1:], body[24:]])

    async def ask(
        self, procedure: int, payload: bytes = b"", *, program: int = REMOTE, serial: int = 1, seconds: float = 30
    ) -> Frame:
        """Call, and the next frame that comes."""
        await self.send(frame(program, procedure, CALL, serial, 0, payload))
        return await self.frame(seconds)

    async def at_end(self, seconds: float = 30) -> bool:
        """Whether the server closes the connection, whatever it sends before."""
        try:
            async with asyncio.timeout(seconds):
                while await asyncio.get_running_loop().sock_recv(self.sock, 65536):
                    pass
        except ConnectionError:
            pass
        self.close()  # the error's traceback holds us, and the socket would be found unclosed
        return True

    def close(self) -> None:
        self.sock.close()

    def __del__(self) -> None:
        self.sock.close()


def xdr_string(text: str) -> bytes:
    raw = text.encode()
    return struct.pack(">I", len(raw)) + raw + bytes(-len(raw) % 4)


def open_payload(uri: str = "", flags: int = 0) -> bytes:
    return struct.pack(">I", 1) + xdr_string(uri) + struct.pack(">I", flags)
