"""`splitvirt run`: one guest, from its XML to its end."""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import termios
import tty
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Literal

import splitvirt
from splitvirt.api import constants as c
from splitvirt.api.domain import Domain
from splitvirt.api.stream import Stream, pipe

ESCAPE = b"\x1d"  # Ctrl-], as virsh console has it
SHUTDOWN_GRACE = 10.0  # seconds that a guest has to power off after Ctrl-C, before it is destroyed
VERDICTS = {
    c.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN: (0, "shut down"),
    c.VIR_DOMAIN_EVENT_STOPPED_DESTROYED: (3, "was destroyed"),
    c.VIR_DOMAIN_EVENT_STOPPED_CRASHED: (4, "crashed"),
    c.VIR_DOMAIN_EVENT_STOPPED_FAILED: (5, "failed"),
}


EXITS = {
    0: "the guest shut down",
    3: "it was destroyed",
    4: "it crashed",
    5: "it failed",
    130: "it was stopped by Ctrl-C",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the subcommand takes."""
    parser.add_argument("xml", metavar="FILE", type=Path, help="the guest's domain XML")
    root = "keep everything below this directory (default: a temporary one)"
    parser.add_argument("--root", metavar="DIR", type=Path, help=root)
    parser.add_argument("--console", action="store_true", help="connect the terminal to the guest's first console")
    parser.add_argument("--expose", action="store_true", help="let virsh look inside; prints the URI")
    parser.add_argument("--virt-type", choices=("qemu", "kvm"), help="emulation or KVM, instead of what the XML says")


def run(options: argparse.Namespace) -> int:
    """Run the guest. 0 when it shut down by itself, 3 destroyed, 4 crashed, 5 failed, 130 after Ctrl-C."""
    return asyncio.run(_run(options))


async def _run(options: argparse.Namespace) -> int:
    xml = options.xml.read_text()
    if options.virt_type:
        xml = _with_type(xml, options.virt_type)
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[int] = loop.create_future()
    interrupted: asyncio.Future[int] = loop.create_future()
    async with splitvirt.embed(options.root) as hypervisor:
        hypervisor.events.subscribe(lambda _, __, values: _ending(ended, *values), Domain.lifecycle)
        with _signals(interrupted):
            if options.expose:
                print(f"splitvirt: {await hypervisor.expose()}", file=sys.stderr)
            guest = await hypervisor.create(xml, c.VIR_DOMAIN_START_AUTODESTROY)
            async with _console(guest) if options.console else contextlib.nullcontext():
                await asyncio.wait((ended, interrupted), return_when=asyncio.FIRST_COMPLETED)
                if not ended.done():
                    await _stop(guest, ended)
    if interrupted.done():
        return 128 + interrupted.result()
    status, words = VERDICTS.get(ended.result(), (5, "ended"))
    print(f"splitvirt: the guest {words}", file=sys.stderr)
    return status


def _with_type(xml: str, kind: Literal["qemu", "kvm"]) -> str:
    from splitvirt.xml.domain import Domain as DomainXML

    model = DomainXML.from_xml(xml)
    model.type = kind
    return model.to_xml(inactive=True, secure=True)


def _ending(ended: "asyncio.Future[int]", event: int, detail: int) -> None:
    if event == c.VIR_DOMAIN_EVENT_STOPPED:
        _settle(ended, detail)


def _settle(future: "asyncio.Future[int]", value: int) -> None:
    if not future.done():
        future.set_result(value)


@contextlib.contextmanager
def _signals(interrupted: "asyncio.Future[int]") -> Iterator[None]:
    """A signal ends the wait; its number is the result."""
    loop = asyncio.get_running_loop()
    wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in wanted:
        loop.add_signal_handler(number, _settle, interrupted, int(number))
    try:
        yield
    finally:
        for number in wanted:
            loop.remove_signal_handler(number)


async def _stop(guest: Any, ended: "asyncio.Future[int]") -> None:
    """Ask the guest to power off, then end it."""
    with contextlib.suppress(splitvirt.VirtError, TimeoutError):
        await guest.shutdown()
        await asyncio.wait_for(asyncio.shield(ended), SHUTDOWN_GRACE)
    if not ended.done():
        await guest.destroy()


@contextlib.asynccontextmanager
async def _console(guest: Any) -> AsyncIterator[None]:
    """The terminal on the guest's first console until the guest ends."""
    ours, theirs = pipe()
    await guest.open_console(None, 0, theirs)
    output = asyncio.create_task(_copy_out(ours))
    try:
        with _raw_terminal(), _input(ours):
            yield
    finally:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(output, 1.0)


async def _copy_out(stream: Stream) -> None:
    while data := await stream.read():
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


@contextlib.contextmanager
def _raw_terminal() -> Iterator[None]:
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    print("splitvirt: connected to the console; ^] ends the guest", file=sys.stderr)
    tty.setraw(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


@contextlib.contextmanager
def _input(stream: Stream) -> Iterator[None]:
    """What is typed goes to the guest; the escape character is Ctrl-C to us."""
    loop = asyncio.get_running_loop()
    pending: set[asyncio.Task[None]] = set()

    def typed() -> None:
        data = os.read(0, 4096)
        if not data:
            loop.remove_reader(0)
        elif ESCAPE in data:
            os.kill(os.getpid(), signal.SIGINT)
        else:
            task = loop.create_task(stream.write(data))
            pending.add(task)
            task.add_done_callback(pending.discard)

    try:
        loop.add_reader(0, typed)
    except PermissionError:  # a regular file or /dev/null cannot be waited for
        yield
        return
    try:
        yield
    finally:
        loop.remove_reader(0)
