"""QEMU's monitor: commands, their answers and events over one QMP connection (QEMU's docs/interop/qmp-spec)."""

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping
from typing import Any

from splitvirt.api.constants import VIR_FROM_QEMU
from splitvirt.api.errors import InternalError, OperationInvalid, Timeout

from .qmp import EventListener, ExecInterruptedError, Message, QMPClient, QMPError, Runstate

log = logging.getLogger(__name__)

OnEvent = Callable[[str, dict[str, Any], float], None]
"""An event's name, its data, and when QEMU sent it (seconds since 1970)."""


class CommandError(InternalError):
    """QEMU refused a command: its error class and its words."""

    def __init__(self, command: str, klass: str, words: str) -> None:
        super().__init__(f"unable to execute QEMU command '{command}': {words}", domain=VIR_FROM_QEMU)
        self.klass, self.words = klass, words


class _Client(QMPClient):
    # The library's own logging would print every message, secrets included, and costs more than sending it.
    # The library names one logger per connection, and they stay for ever; nothing is logged through this one.
    logger = logging.getLogger("virtqemud.qmp")

    def __init__(self) -> None:
        super().__init__()
        self.logger = _Client.logger

    def _get_exec_id(self) -> str:
        self._execute_id += 1
        return f"libvirt-{self._execute_id}"

    def _cb_outbound(self, msg: Message) -> Message:
        return msg

    def _cb_inbound(self, msg: Message) -> Message:
        return msg

    async def _bh_disconnect(self) -> None:
        await super()._bh_disconnect()
        # Interrupted calls take themselves off the list when they run next; the library asserts that it is empty.
        for _ in range(3):
            await asyncio.sleep(0)


_Client.logger.setLevel(logging.CRITICAL)


class _Events(EventListener):
    def __init__(self, callback: OnEvent) -> None:
        super().__init__()
        self._callback = callback

    async def put(self, event: Message) -> None:
        stamp = event.get("timestamp")
        at = stamp["seconds"] + stamp["microseconds"] / 1e6 if isinstance(stamp, Mapping) else 0.0
        data = event.get("data")
        try:
            self._callback(str(event["event"]), dict(data) if isinstance(data, Mapping) else {}, at)
        except Exception:  # it would end the connection, and with it the guest for us
            log.exception("hearing of %s", event["event"])


class Monitor:
    """One connection to one QEMU. Commands are answered in order; events go to `on_event` as they come.

    Errors: CommandError when QEMU refuses, OperationInvalid when the connection is or gets closed, Timeout when no
    answer comes in time.
    """

    def __init__(self, on_event: OnEvent) -> None:
        self._client = _Client()
        self._client.register_listener(_Events(on_event))
        self._open = False
        self._turn = asyncio.Lock()  # the library's connect and disconnect do not bear each other

    async def connect(self, connection: socket.socket, *, timeout: float | None) -> None:
        """Take over a connected socket, and wait for QEMU's greeting at most `timeout` seconds (None: till it ends).

        Raises InternalError when QEMU hangs up or says something else, Timeout.
        """
        try:
            async with self._turn, asyncio.timeout(timeout):
                await self._client.connect(connection)
        except TimeoutError:
            raise Timeout("cannot connect to monitor: no greeting", domain=VIR_FROM_QEMU) from None
        except (QMPError, EOFError, OSError) as error:
            raise InternalError(f"qemu unexpectedly closed the monitor: {error}", domain=VIR_FROM_QEMU) from error
        self._open = True

    async def execute(self, command: str, arguments: Mapping[str, Any] | None = None, *, timeout: float = 30.0) -> Any:
        """The answer to one command, waited for at most `timeout` seconds."""
        message = _Client.make_execute_msg(command, arguments)
        reply = await self.raw(message, timeout=timeout)
        error = reply.get("error")
        if isinstance(error, Mapping):
            raise CommandError(command, str(error.get("class")), str(error.get("desc")))
        return reply.get("return")

    async def raw(self, message: Mapping[str, Any], *, timeout: float = 30.0) -> dict[str, Any]:
        """QEMU's whole answer to a whole command, be it an error."""
        if not self._open:
            raise OperationInvalid("domain is not running", domain=VIR_FROM_QEMU)
        try:
            async with asyncio.timeout(timeout):
                return dict(await self._client._raw(message))
        except TimeoutError:
            name = message.get("execute", "")
            raise Timeout(f"QEMU did not answer '{name}' within {timeout:g} s", domain=VIR_FROM_QEMU) from None
        except (ExecInterruptedError, QMPError, EOFError, OSError):
            raise OperationInvalid("domain is not running", domain=VIR_FROM_QEMU) from None

    async def batch(self, *commands: tuple[str, Mapping[str, Any] | None], timeout: float = 30.0) -> list[Any]:
        """Send several commands at once and give their answers in order; a refused one gives its CommandError."""
        calls = (self.execute(command, arguments, timeout=timeout) for command, arguments in commands)
        answers = await asyncio.gather(*calls, return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, CommandError):
                raise answer
        return answers

    async def hmp(self, line: str, *, timeout: float = 30.0) -> str:
        """What the human monitor says to a line."""
        return str(await self.execute("human-monitor-command", {"command-line": line}, timeout=timeout))

    def send_fd(self, fd: int) -> None:
        """Pass a descriptor along with the next command (`getfd`, `add-fd`)."""
        self._client.send_fd_scm(fd)

    @property
    def version(self) -> tuple[int, int, int]:
        """QEMU's version, from its greeting."""
        greeting = self._client.greeting
        version: Any = greeting.QMP.version["qemu"] if greeting else {}
        return version.get("major", 0), version.get("minor", 0), version.get("micro", 0)

    async def drained(self, timeout: float) -> None:
        """Wait until QEMU has hung up and every event that it sent before is delivered, at most `timeout` seconds."""

        async def hung_up() -> None:
            while self._client.runstate in (Runstate.CONNECTING, Runstate.RUNNING):
                await self._client.runstate_changed()

        try:
            async with asyncio.timeout(timeout):
                await hung_up()
        except TimeoutError:
            pass

    async def close(self) -> None:
        """Hang up, after a `connect` that is under way; calls in flight fail. Closing twice is no error."""
        self._open = False
        try:
            async with self._turn:
                await self._client.disconnect()
        except (QMPError, EOFError, OSError):
            pass
