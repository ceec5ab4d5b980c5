"""The blocking face: one thread an instance, everything wrapped, nothing left behind."""

import asyncio
import subprocess
import sys
import threading
import time
from typing import Any
from uuid import UUID

import pytest

import splitvirt
from splitvirt import sync
from splitvirt.api.domain import Domain, DomainStats
from splitvirt.api.domain_life import DomainState
from splitvirt.api.errors import InvalidConnection, NoSupport
from splitvirt.api.event import Hub
from splitvirt.api.hypervisor import Hypervisor
from splitvirt.api.stream import Stream


class House(Domain):
    """A domain of the test's."""

    def __init__(self, street: "Street", name: str, number: int) -> None:
        self.street, self.name, self.uuid, self.id = street, name, UUID(int=number), number

    async def state(self, flags: int = 0) -> DomainState:
        await asyncio.sleep(0)
        return DomainState(self.id, flags)

    async def create(self, flags: int = 0) -> None:
        self.street.events.emit(Domain.lifecycle, self, 2, flags)

    async def open_console(self, device: str | None, flags: int, stream: Stream) -> None:
        self.street.echo = asyncio.ensure_future(self._echo(stream))

    async def _echo(self, stream: Stream) -> None:
        while data := await stream.read():
            await stream.write(data.upper())
        await stream.finish()


class Street(Hypervisor):
    """A hypervisor of the test's."""

    def __init__(self) -> None:
        self.events, self.closed = Hub(), 0
        self.echo: Any = None
        self.houses = [House(self, "red", 1), House(self, "blue", 2)]

    async def domains(self, flags: int = 0) -> list[Domain]:
        return list(self.houses)

    async def stats(self, domains: list[Domain] = [], stats: int = 0, flags: int = 0) -> list[DomainStats]:  # noqa: B006
        assert all(isinstance(house, House) for house in domains)
        return [DomainStats(house, []) for house in domains]

    async def hostname(self) -> str:
        await asyncio.sleep(600)
        return ""

    def quick(self) -> str:
        return threading.current_thread().name

    async def close(self) -> None:
        self.closed += 1


def test_calls_block_and_results_are_wrapped() -> None:
    street = Street()
    with sync.serve(street) as instance:
        red, blue = instance.domains()
        assert (red.name, red.state(), blue.state(flags=5)) == ("red", DomainState(1, 0), DomainState(2, 5))
        assert instance.stats([blue])[0].domain == blue != red
        assert len({red, red}) == 1
        assert instance.quick() == "splitvirt Street" != threading.current_thread().name
        with pytest.raises(NoSupport):
            instance.capabilities()
        assert "state" in dir(red)
        assert "House" in repr(red)
    assert street.closed == 1
    instance.close()
    with pytest.raises(InvalidConnection):
        instance.domains()
    assert not [thread for thread in threading.enumerate() if thread.name == "splitvirt Street"]


def test_events_come_on_the_thread_of_the_instance() -> None:
    heard, arrived = list[Any](), threading.Event()
    with sync.serve(Street()) as instance:
        red, _ = instance.domains()

        def listener(event: Any, subject: Any, values: Any) -> None:
            heard.append((event.name, subject.name, values, threading.current_thread().name))
            with pytest.raises(InvalidConnection):
                subject.state()
            arrived.set()

        stop = instance.listen(listener, Domain.lifecycle, red)
        red.create(7)
        assert arrived.wait(60)
        stop()
        red.create(8)
    assert heard == [("lifecycle", "red", (2, 7), "splitvirt Street")]


def test_streams() -> None:
    with sync.serve(Street()) as instance:
        red, _ = instance.domains()
        near, far = instance.stream()
        red.open_console(None, 0, far)
        near.write(b"hello")
        assert near.read() == b"HELLO"
        near.finish()
        assert near.read() == b""


def test_many_instances_and_many_threads() -> None:
    with sync.serve(Street()) as one, sync.serve(Street()) as other:
        results: list[Any] = []

        def work(instance: Any) -> None:
            results.extend(house.state(number) for number in range(20) for house in instance.domains())

        threads = [threading.Thread(target=work, args=(instance,)) for instance in (one, other) * 4]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(results) == 8 * 40


def test_closing_ends_calls_that_wait() -> None:
    instance = sync.serve(Street())
    outcome: list[BaseException] = []

    def wait() -> None:
        try:
            instance.hostname()
        except InvalidConnection as error:
            outcome.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.05)
    instance.close()
    thread.join(60)
    assert not thread.is_alive()
    assert len(outcome) == 1


def test_nobody_there() -> None:
    with pytest.raises(splitvirt.VirtError):
        sync.connect("qemu:///system?socket=/nonexistent/sock")
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("splitvirt")]


def test_the_package_is_lazy() -> None:
    code = "import sys, splitvirt; print(*(name for name in sys.modules if name.startswith('splitvirt')))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert loaded.stdout.split() == ["splitvirt"]
    assert splitvirt.connect.__module__ == "splitvirt.connect"
    import splitvirt.connect as module

    assert callable(splitvirt.connect)
    assert callable(module)
    with pytest.raises(AttributeError):
        splitvirt.nothing  # noqa: B018
    assert set(dir(splitvirt)) >= {"connect", "embed", "sync"}
    assert splitvirt.__version__
