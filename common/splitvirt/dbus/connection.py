"""One connection to a message bus: authentication, messages out and in, answers to their calls."""

import array
import asyncio
import contextlib
import os
import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import unquote

from .library import Message, MessageFlag, MessageType, Unmarshaller
from .names import BUS, BUS_PATH, PEER

_LINE_MAX = 16 << 10
_UNKNOWN_METHOD = "org.freedesktop.DBus.Error.UnknownMethod"


class Connection:
    """Messages over a socket that has been authenticated. Made by `connect`; belongs to the running loop.

    `received` is given every message that answers no call of ours; whether it took it, and its descriptors. `gone` is
    done when the connection has ended, with whatever ended it.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.unique_name = ""
        self.received: Callable[[Message], bool] = lambda message: False
        self._socket = sock
        self._loop = asyncio.get_running_loop()
        self.gone: asyncio.Future[None] = self._loop.create_future()
        self._serial = 0
        self._calls: dict[int, asyncio.Future[Message]] = {}
        self._waiting: deque[tuple[memoryview, list[int]]] = deque()
        self._reader = _reader(sock)
        self._loop.add_reader(sock, self._readable)

    @classmethod
    async def connect(cls, address: str) -> "Connection":
        """Connect to the first of a D-Bus address's places that answers. OSError, EOFError or ValueError: why none."""
        failed: Exception = ValueError(f"there is no unix: address in {address!r}")
        for place in places(address):
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
            try:
                await asyncio.get_running_loop().sock_connect(sock, place)
                await _authenticate(sock)
                return await cls(sock)._greet()
            except (OSError, EOFError) as error:
                sock.close()
                failed = error
            except BaseException:
                sock.close()
                raise
        raise failed

    async def _greet(self) -> "Connection":
        try:
            hello = await self.call(Message(destination=BUS, path=BUS_PATH, interface=BUS, member="Hello"))
        except BaseException:
            self.disconnect()
            raise
        if hello.message_type is not MessageType.METHOD_RETURN:
            self.disconnect()
            raise ConnectionRefusedError(f"the bus does not want us: {hello.error_name} {hello.body}")
        self.unique_name = hello.body[0]
        return self

    @property
    def connected(self) -> bool:
        """Whether messages can still be sent."""
        return not self.gone.done()

    # -- out ---------------------------------------------------------------------------------------------------------

    async def call(self, message: Message) -> Message:
        """Send a method call and wait for what answers it, an error too. OSError or EOFError when the bus is gone."""
        answer: asyncio.Future[Message] = self._loop.create_future()
        serial = self._number(message)
        self._calls[serial] = answer
        try:
            self.send(message)
            return await answer
        finally:
            del self._calls[serial]

    def send(self, message: Message) -> None:
        """Send a message, at once or after those that wait. Its descriptors stay the caller's, who may close them."""
        self._number(message)
        data, fds = memoryview(message._marshall(True)), list(message.unix_fds or ())
        if not self.connected:
            raise ConnectionResetError("the connection to the bus has ended")
        if not self._waiting:
            sent = self._write(data, fds)
            if sent == len(data) or not self.connected:
                return
            data, fds = data[sent:], [] if sent else fds
            self._loop.add_writer(self._socket, self._writable)
        self._waiting.append((data, [os.dup(fd) for fd in fds]))

    def _number(self, message: Message) -> int:
        if not message.serial:
            self._serial = self._serial % 0xFFFFFFFF + 1
            message.serial = self._serial
        return message.serial

    def _write(self, data: memoryview, fds: Sequence[int]) -> int:
        """How many bytes the kernel took: 0 when it is full. Descriptors go with the first of them."""
        try:
            return socket.send_fds(self._socket, [data], list(fds)) if fds else self._socket.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            self._end(error)
            return 0

    def _writable(self) -> None:
        while self._waiting:
            data, fds = self._waiting[0]
            sent = self._write(data, fds)
            if not sent:
                return
            _close(fds)
            if sent < len(data):
                self._waiting[0] = data[sent:], []
                return
            self._waiting.popleft()
        if self.connected:
            self._loop.remove_writer(self._socket)

    # -- in ----------------------------------------------------------------------------------------------------------

    def _readable(self) -> None:
        try:
            for message in self._reader:
                if message is None:
                    return
                self._take(message)
                if not self.connected:
                    return
        except Exception as error:  # it ended, or what came is no D-Bus
            self._end(error)

    def _take(self, message: Message) -> None:
        call = self._calls.get(message.reply_serial or 0)
        if call is not None and message.message_type in (MessageType.METHOD_RETURN, MessageType.ERROR):
            if not call.done():
                call.set_result(message)
                return
        elif self.received(message):
            return
        elif message.message_type is MessageType.METHOD_CALL and not message.flags & MessageFlag.NO_REPLY_EXPECTED:
            self.send(_answer(message))
        _close(message.unix_fds or ())

    # -- the end -----------------------------------------------------------------------------------------------------

    def disconnect(self) -> None:
        """End the connection now; what waits to be sent is dropped."""
        self._end(None)

    def _end(self, why: Exception | None) -> None:
        if self.gone.done():
            return
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()
        for _, fds in self._waiting:
            _close(fds)
        self._waiting.clear()
        for call in self._calls.values():
            if not call.done():
                call.set_exception(why or ConnectionResetError("the connection to the bus has ended"))
        self.gone.set_result(None)


def places(address: str) -> Iterator[str]:
    """The sockets that an address names, each as Python writes it; what is not unix: is left out."""
    for one in address.split(";"):
        transport, _, rest = one.partition(":")
        keys = dict(pair.partition("=")[::2] for pair in rest.split(",") if pair)
        if transport == "unix" and "path" in keys:
            yield unquote(keys["path"])
        elif transport == "unix" and "abstract" in keys:
            yield "\0" + unquote(keys["abstract"])


async def _authenticate(sock: socket.socket) -> None:
    """Be who the kernel says we are (EXTERNAL without a name holds in user namespaces too), and pass descriptors."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, b"\0AUTH EXTERNAL\r\nDATA\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n")
    said = b""
    while said.count(b"\r\n") < 3 and len(said) < _LINE_MAX and not said.startswith((b"REJECTED", b"ERROR")):
        more = await loop.sock_recv(sock, _LINE_MAX)
        if not more:
            raise EOFError("the bus hung up")
        said += more
    data, ok, fds = (*said.split(b"\r\n"), b"", b"")[:3]
    if not (data.startswith(b"DATA") and ok.startswith(b"OK") and fds.startswith(b"AGREE_UNIX_FD")):
        raise ConnectionRefusedError(f"the bus does not let us in: {said.decode(errors='replace').strip()}")


def _reader(sock: socket.socket) -> "Iterator[Message | None]":
    """Every message that comes; None where the next one is not there yet. EOFError at the end."""
    while True:
        unmarshaller: Any = Unmarshaller(None, sock)
        while (message := unmarshaller.unmarshall()) is None:
            yield None
        yield message


def _answer(call: Message) -> Message:
    """What any connection answers by itself (D-Bus specification, org.freedesktop.DBus.Peer)."""
    if call.interface == PEER and call.member == "Ping":
        return Message.new_method_return(call)
    if call.interface == PEER and call.member == "GetMachineId":
        with contextlib.suppress(OSError), open("/etc/machine-id") as file:
            return Message.new_method_return(call, "s", [file.read().strip()])
    return Message.new_error(call, _UNKNOWN_METHOD, f"{call.path} has no method {call.interface}.{call.member}")


def _close(fds: "Sequence[int] | array.array[int]") -> None:
    for fd in fds:
        os.close(fd)
