"""The agent in the guest: commands over its channel's socket (QEMU's docs/interop/qemu-ga-ref)."""

import asyncio
import contextlib
import json
import random
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from splitvirt.api.constants import VIR_FROM_QEMU
from splitvirt.api.errors import AgentUnresponsive, InternalError
from splitvirt.host.unix import connect

SYNC_TIMEOUT = 5.0
"""Seconds that the agent has to show that it listens."""

LEAVING = 10.0
"""Seconds from an agent's leaving to the event of what it was asked for."""

_DOWN = "QEMU guest agent is not connected"

LONGEST_ANSWER = 10 << 20
"""Bytes of one answer: the guest is not trusted to be brief."""


class AgentError(InternalError):
    """The agent refused a command."""

    def __init__(self, command: str, error: Mapping[str, Any]) -> None:
        super().__init__(f"unable to execute QEMU agent command '{command}': {error.get('desc')}", domain=VIR_FROM_QEMU)
        self.unknown = error.get("class") in ("CommandNotFound", "CommandDisabled")
        """Whether this agent has no such command, as against one that failed."""


class Agent:
    """One guest's agent. Commands go one at a time, each after a sync that clears what older ones left."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turn = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._ends: Collection[str] = ()
        self._asked = self._gone = self._ended = False
        self._patience: asyncio.TimerHandle | None = None

    async def execute(
        self,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = SYNC_TIMEOUT,
        ends: Collection[str] = (),
    ) -> Any:
        """The agent's answer, waited for at most `timeout` seconds (None: for ever).

        What takes the agent itself away may have no answer: it is done at one of QEMU's events `ends`, or when the
        agent has left for a while. Raises AgentUnresponsive when no answer comes, AgentError when the agent refuses.
        """
        message: dict[str, Any] = {"execute": command}
        if arguments:
            message["arguments"] = dict(arguments)
        reply = await self.raw(message, timeout=timeout, ends=ends)
        if "error" in reply:
            raise AgentError(command, reply["error"])
        return reply.get("return")

    async def raw(
        self, message: Mapping[str, Any], *, timeout: float | None = SYNC_TIMEOUT, ends: Collection[str] = ()
    ) -> dict[str, Any]:
        """The agent's whole answer to a whole command; see `execute`."""
        async with self._turn:
            self._ends, self._asked, self._gone, self._ended = ends, False, False, False
            try:
                async with asyncio.timeout(SYNC_TIMEOUT):
                    await self._sync()
                async with asyncio.timeout(timeout):
                    return await self._ask(message)
            except TimeoutError:
                await self.close()
                raise AgentUnresponsive("Guest agent not available for now", domain=VIR_FROM_QEMU) from None
            except (OSError, EOFError, ValueError) as error:
                await self.close()
                if self._ended:
                    return {"return": {}}
                words = "Guest agent disappeared while executing command" if self._gone else f"{_DOWN}: {error}"
                raise AgentUnresponsive(words, domain=VIR_FROM_QEMU) from error
            except asyncio.CancelledError:
                await self.close()
                raise
            finally:
                if self._patience is not None:
                    self._patience.cancel()
                    self._patience = None

    def heard(self, event: str) -> None:
        """One of QEMU's events has happened."""
        if event in self._ends:
            self._give_up()

    def left(self) -> None:
        """The agent is not there any more: nobody waits for it, but a while for the event that it may have caused."""
        if not self._ends:
            self._give_up()
        elif self._turn.locked() and self._patience is None:
            self._patience = asyncio.get_running_loop().call_later(LEAVING, self._give_up)

    def _give_up(self) -> None:
        if self._turn.locked() and self._streams:
            self._gone, self._ended = True, self._asked and bool(self._ends)
            self._streams[1].transport.abort()

    async def close(self) -> None:
        """Hang up; the next command connects again."""
        if self._streams:
            _, writer = self._streams
            self._streams = None
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _sync(self) -> None:
        if self._streams is None:
            connection = connect(self._path, follow=False)
            self._streams = await asyncio.open_unix_connection(sock=connection, limit=LONGEST_ANSWER)
        number = random.getrandbits(31)
        self._send({"execute": "guest-sync-delimited", "arguments": {"id": number}}, lead=b"\xff")
        while True:
            line = (await self._line()).rpartition(b"\xff")[2]
            with contextlib.suppress(ValueError):
                if json.loads(line).get("return") == number:
                    return

    async def _ask(self, message: Mapping[str, Any]) -> dict[str, Any]:
        self._send(message)
        self._asked = True
        while True:
            answer = json.loads(await self._line())
            if isinstance(answer, dict) and ("return" in answer or "error" in answer):
                return answer

    def _send(self, message: Mapping[str, Any], *, lead: bytes = b"") -> None:
        assert self._streams
        self._streams[1].write(lead + json.dumps(message).encode() + b"\n")

    async def _line(self) -> bytes:
        assert self._streams
        line = await self._streams[0].readline()
        if not line.endswith(b"\n"):
            raise EOFError("the channel was closed")
        return line
