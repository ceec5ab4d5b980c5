"""I/O threads and the emulator's own: where they run, and I/O threads that come and go."""

from __future__ import annotations

from splitvirt.api import constants as c
from splitvirt.api.domain_tune import IOThread
from splitvirt.api.errors import InvalidArg, OperationUnsupported
from splitvirt.api.params import TypedParam
from splitvirt.xml.cputune import CpuTune, EmulatorPin, IoThreadPin
from splitvirt.xml.cputune import IoThread as Thread
from splitvirt.xml.domain import Domain as DomainXML
from virtqemud import devicelist
from virtqemud.flags import only
from virtqemud.running.monitor import CommandError
from virtqemud.running.tuning import Threads as QemuThreads
from virtqemud.running.tuning import divide

from .base import CONFIG, LIVE, DomainBase
from .limits import known
from .pins import (
    affinity,
    as_map,
    as_set,
    bind,
    bind_emulator,
    place_emulator,
    place_iothread,
    place_vcpu,
)

QEMU = c.VIR_FROM_QEMU
POLLING = {"poll_max_ns": "poll-max-ns", "poll_grow": "poll-grow", "poll_shrink": "poll-shrink"}
POOLS = {"thread_pool_min": "thread-pool-min", "thread_pool_max": "thread-pool-max"}


def numbers(shown: DomainXML) -> list[int]:
    """The I/O threads of a configuration: those that it names, then the lowest free numbers up to how many it wants."""
    found = [thread.id for thread in shown.iothreadids]
    number = 1
    while len(found) < (shown.iothreads or 0):
        if number not in found:
            found.append(number)
        number += 1
    return sorted(found)


class Threads(DomainBase):
    """I/O threads and the emulator's own."""

    async def emulator_pin(self, flags: int = 0) -> list[bool]:
        """Where the emulator may run."""
        only(flags, LIVE | CONFIG, "qemuDomainGetEmulatorPinInfo")
        shown = self.pick(flags)
        pin = shown.cputune.emulatorpin if shown.cputune else None
        return as_map((pin.cpuset if pin else None) or shown.vcpu_cpuset)

    async def pin_emulator(self, cpumap: list[bool], flags: int = 0) -> None:
        """Say where the emulator may run: every thread that is neither a processor's nor one for I/O."""
        only(flags, LIVE | CONFIG, "qemuDomainPinEmulator")
        async with self.job.hold("pin_emulator"):
            live, config = self.impact(flags)
            wanted = as_set(cpumap)
            if live is not None:
                guest = self.running()
                others = [*guest.vcpus.values(), *(await self._running_threads()).values()]
                bind_emulator(guest.process.pid, others, wanted)
            self.note(live, config, lambda on: _note_emulator(on, wanted))
        if live is not None:
            self.tell_pinned("cputune.emulatorpin", wanted)

    async def place_threads(self, live: DomainXML) -> None:
        guest, threads = self.running(), await self._running_threads() if numbers(live) else {}
        await self.divide_time(live)
        for number, tid in guest.vcpus.items():
            place_vcpu(live, number, tid)
        for number, tid in threads.items():
            place_iothread(live, number, tid)
        place_emulator(live, guest.process.pid, [*guest.vcpus.values(), *threads.values()])

    async def divide_time(self, live: DomainXML) -> None:
        if self.group is not None and live.cputune is not None:
            divide(self.group, live.cputune, await self.qemu_threads())

    async def qemu_threads(self) -> QemuThreads:
        guest = self.running()
        return QemuThreads(guest.process.pid, guest.vcpus, await self._running_threads())

    async def iothreads(self, flags: int = 0) -> list[IOThread]:
        """I/O threads, and where they may run."""
        only(flags, LIVE | CONFIG, "qemuDomainGetIOThreadInfo")
        live, config = self.impact(flags)
        if live is not None:
            return [IOThread(number, affinity(tid)) for number, tid in sorted((await self._running_threads()).items())]
        assert config
        pins = {pin.iothread: pin.cpuset for pin in config.cputune.iothreadpins} if config.cputune else {}
        return [IOThread(number, as_map(pins.get(number) or config.vcpu_cpuset)) for number in numbers(config)]

    async def _running_threads(self) -> dict[int, int]:
        """Thread ids by number."""
        found = await self.running().monitor.execute("query-iothreads")
        return {int(str(t["id"]).removeprefix("iothread")): int(t["thread-id"]) for t in found}

    async def pin_iothread(self, id: int, cpumap: list[bool], flags: int = 0) -> None:
        """Say where an I/O thread may run."""
        only(flags, LIVE | CONFIG, "qemuDomainPinIOThread")
        async with self.job.hold("pin_iothread"):
            live, config = self.impact(flags)
            wanted = as_set(cpumap)
            for shown in (live, config):
                if shown is not None and id not in numbers(shown):
                    raise InvalidArg(f"iothreadid {id} not found", domain=QEMU)
            if live is not None:
                bind((await self._running_threads())[id], wanted)
            self.note(live, config, lambda on: _note_thread(on, id, wanted))
        if live is not None:
            self.tell_pinned(f"cputune.iothreadpin{id}", wanted)

    async def add_iothread(self, id: int, flags: int = 0) -> None:
        """Add an I/O thread."""
        only(flags, LIVE | CONFIG, "qemuDomainAddIOThread")
        if not id:
            raise InvalidArg("invalid value of 0 for iothread_id", domain=QEMU)
        async with self.job.hold("add_iothread"):
            live, config = self.impact(flags)
            for shown in (live, config):
                if shown is not None and id in numbers(shown):
                    raise InvalidArg(f"an IOThread is already using iothread_id '{id}'", domain=QEMU)
            if live is not None:
                await self._plug_iothread(live, id)
            self.note(live, config, lambda on: _add(on, id))

    async def _plug_iothread(self, live: DomainXML, id: int) -> None:
        monitor = self.running().monitor
        await monitor.execute("object-add", {"qom-type": "iothread", "id": f"iothread{id}"})
        try:
            place_iothread(live, id, (await self._running_threads())[id])
            await self.divide_time(live)
        except BaseException:
            await monitor.execute("object-del", {"id": f"iothread{id}"})
            raise

    async def del_iothread(self, id: int, flags: int = 0) -> None:
        """Remove an I/O thread that no device uses."""
        only(flags, LIVE | CONFIG, "qemuDomainDelIOThread")
        async with self.job.hold("del_iothread"):
            live, config = self.impact(flags)
            for shown in (live, config):
                if shown is not None:
                    _may_go(shown, id)
            if live is not None:
                await self.running().monitor.execute("object-del", {"id": f"iothread{id}"})
                _remove(live, id)
                if all(
                    thread.thread_pool_min is None and thread.thread_pool_max is None for thread in live.iothreadids
                ):
                    live.iothreadids = (
                        [] if numbers(live) == list(range(1, 1 + (live.iothreads or 0))) else live.iothreadids
                    )
                self.record()
            if config is not None:
                changed = config.copy()
                _remove(changed, id)
                self.keep(changed)

    async def set_iothread_params(self, id: int, params: list[TypedParam], flags: int = 0) -> None:
        """How an I/O thread of a running guest polls, and how many helpers it has."""
        only(flags, LIVE | CONFIG, "qemuDomainSetIOThreadParams")
        wanted = known(params, (*POLLING, *POOLS))
        async with self.job.hold("set_iothread_params"):
            live, config = self.impact(flags)
            if config is not None and POLLING.keys() & wanted.keys():
                raise OperationUnsupported("configuring persistent polling values is not supported", domain=QEMU)
            for shown in (live, config):
                if shown is not None and id not in numbers(shown):
                    raise InvalidArg(f"cannot find IOThread '{id}' in iothreadids list", domain=QEMU)
            if live is not None:
                await self._set_properties(id, {(POLLING | POOLS)[name]: value for name, value in wanted.items()})
            if config is not None:
                changed = config.copy()
                thread = _named(changed, id)
                for name, value in wanted.items():
                    setattr(thread, name, value if value >= 0 else None)
                self.keep(changed)

    async def _set_properties(self, id: int, wanted: dict[str, int]) -> None:
        """QEMU wants a maximum raised before the minimum, and lowered after it: so try one order, then the other."""
        monitor, path = self.running().monitor, f"/objects/iothread{id}"
        again = []
        for name, value in wanted.items():
            arguments = {"path": path, "property": name, "value": value}
            try:
                await monitor.execute("qom-set", arguments)
            except CommandError:
                again.append(arguments)
        for arguments in again:
            await monitor.execute("qom-set", arguments)


def _note_emulator(on: DomainXML, wanted: set[int]) -> None:
    tune = on.cputune = on.cputune or CpuTune()
    tune.emulatorpin = EmulatorPin(cpuset=frozenset(wanted))


def _note_thread(on: DomainXML, id: int, wanted: set[int]) -> None:
    tune = on.cputune = on.cputune or CpuTune()
    pins = [pin for pin in tune.iothreadpins if pin.iothread != id]
    tune.iothreadpins = sorted([*pins, IoThreadPin(iothread=id, cpuset=frozenset(wanted))], key=lambda p: p.iothread)


def _named(on: DomainXML, id: int) -> Thread:
    """The entry of a thread; all threads have one from then on."""
    known_ = {thread.id: thread for thread in on.iothreadids}
    on.iothreadids = [known_.get(number) or Thread(id=number) for number in numbers(on)]
    return next(thread for thread in on.iothreadids if thread.id == id)


def _add(on: DomainXML, id: int) -> None:
    all_ = [*numbers(on), id]
    known_ = {thread.id: thread for thread in on.iothreadids}
    on.iothreadids = [known_.get(number) or Thread(id=number) for number in all_]
    on.iothreads = len(all_)


def _remove(on: DomainXML, id: int) -> None:
    left = [number for number in numbers(on) if number != id]
    known_ = {thread.id: thread for thread in on.iothreadids}
    on.iothreadids = [known_.get(number) or Thread(id=number) for number in left]
    on.iothreads = len(left) or None
    if on.cputune is not None:
        on.cputune.iothreadpins = [pin for pin in on.cputune.iothreadpins if pin.iothread != id]
        # one by one since the guest was read
        on.cputune.iothreadscheds = [sched for sched in on.cputune.iothreadscheds if id not in sched.iothreads]


def _may_go(shown: DomainXML, id: int) -> None:
    if id not in numbers(shown):
        raise InvalidArg(f"cannot find IOThread '{id}' in iothreadids list", domain=QEMU)
    for device in devicelist.every(shown):
        driver = getattr(device, "driver", None)
        if getattr(driver, "iothread", None) == id:
            words = f"cannot remove IOThread {id} since it is being used by disk '{getattr(device, 'target', '')}'"
            raise InvalidArg(words, domain=QEMU)
