"""Signals in the event loop. The loop's own `add_signal_handler` loads `inspect` and with it 1 MiB for good."""

import asyncio
import signal
import socket
from collections.abc import Callable, Mapping
from contextlib import ExitStack

Then = Mapping[int, Callable[[], object]]


def catch(then: Then) -> ExitStack:
    """Have the running loop call `then[number]` for each signal of that number, until the answer is closed.

    Python writes the number of each signal that comes into a socket, so that none is missed while the loop sleeps.
    """
    held = ExitStack()
    arrived, wakeup = (held.enter_context(end) for end in socket.socketpair())
    for end in (arrived, wakeup):
        end.setblocking(False)
    held.callback(signal.set_wakeup_fd, signal.set_wakeup_fd(wakeup.fileno(), warn_on_full_buffer=False))
    for number in then:
        held.callback(signal.signal, number, signal.signal(number, _noted))
        signal.siginterrupt(number, False)
    loop = asyncio.get_running_loop()
    loop.add_reader(arrived, _take, arrived, then)
    held.callback(loop.remove_reader, arrived)
    return held


def _noted(number: int, frame: object) -> None:
    """The number is in the socket."""


def _take(arrived: socket.socket, then: Then) -> None:
    for number in arrived.recv(4096):
        if number in then:
            then[number]()
