"""Keepalive: either side asks an idle other one for a sign of life, and drops it when none comes.

Program 0x6b656570, frames of type MESSAGE with serial 0: procedure 1 asks, 2 answers. Anything received counts.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from splitvirt.api.program import KEEPALIVE

from .channel import Channel
from .message import MESSAGE, Message, frame

PING: Final = 1
PONG: Final = 2
_PING_FRAME: Final = frame(KEEPALIVE, PING, MESSAGE, 0)
_PONG_FRAME: Final = frame(KEEPALIVE, PONG, MESSAGE, 0)
INTERVAL: Final = 5
COUNT: Final = 5


def answer(message: Message, channel: Channel) -> None:
    """Answer the other side's question; its answers need nothing, being read was enough."""
    if message.procedure == PING:
        channel.send(_PONG_FRAME)


class Keepalive:
    """Asks after `interval` seconds of silence, `count` times at most, and then calls `dead`.

    An interval of 0 or less asks nothing. While the channel is held silence is ours, not the peer's.
    """

    def __init__(self, channel: Channel, interval: float, count: int, dead: Callable[[], None]) -> None:
        self.interval, self.count = interval, count
        self._channel, self._dead = channel, dead
        self._asked = 0
        self._heard = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    @property
    def running(self) -> bool:
        """Whether it watches the peer."""
        return self._timer is not None

    def start(self) -> None:
        """Begin to watch; harmless when it does already."""
        if self.interval > 0 and self._timer is None:
            self._timer = self._loop.call_later(self.interval, self._tick)

    def stop(self) -> None:
        """Watch no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        if self._channel.last_read != self._heard:
            self._asked, self._heard = 0, self._channel.last_read
        wait = self._heard + self.interval - self._loop.time()
        if wait > 0:
            pass
        elif self._channel.held:
            wait = self.interval
        elif self._asked >= self.count:
            self._timer = None
            self._dead()
            return
        else:
            self._asked, wait = self._asked + 1, self.interval
            self._channel.send(_PING_FRAME)
        if not self._channel.closed:
            self._timer = self._loop.call_later(wait, self._tick)
