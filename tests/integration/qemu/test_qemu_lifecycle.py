"""States, reasons, events and refusals of a guest's life, as libvirt has them."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.qemu import PAUSED, Heard, alive, linux, needs_qemu, qemus, tiny

import splitvirt
from splitvirt.api import constants as c
from splitvirt.api.errors import (
    DomainExists,
    InternalError,
    InvalidArg,
    NoDomain,
    OperationInvalid,
    Timeout,
    VirtError,
)
from splitvirt.api.stream import pipe

pytestmark = needs_qemu

STARTED = (c.VIR_DOMAIN_EVENT_STARTED, c.VIR_DOMAIN_EVENT_STARTED_BOOTED)
DEFINED = (c.VIR_DOMAIN_EVENT_DEFINED, c.VIR_DOMAIN_EVENT_DEFINED_ADDED)
UNDEFINED = (c.VIR_DOMAIN_EVENT_UNDEFINED, c.VIR_DOMAIN_EVENT_UNDEFINED_REMOVED)
SUSPENDED = (c.VIR_DOMAIN_EVENT_SUSPENDED, c.VIR_DOMAIN_EVENT_SUSPENDED_PAUSED)
RESUMED = (c.VIR_DOMAIN_EVENT_RESUMED, c.VIR_DOMAIN_EVENT_RESUMED_UNPAUSED)
BY_GUEST = (c.VIR_DOMAIN_EVENT_SHUTDOWN, c.VIR_DOMAIN_EVENT_SHUTDOWN_GUEST)
BY_HOST = (c.VIR_DOMAIN_EVENT_SHUTDOWN, c.VIR_DOMAIN_EVENT_SHUTDOWN_HOST)
DESTROYED = (c.VIR_DOMAIN_EVENT_STOPPED, c.VIR_DOMAIN_EVENT_STOPPED_DESTROYED)
SHUT_OFF = (c.VIR_DOMAIN_EVENT_STOPPED, c.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN)


@pytest.fixture
async def hv(tmp_path: Path) -> AsyncIterator[Any]:
    async with splitvirt.embed(tmp_path) as driver:
        yield driver


async def state(vm: Any) -> tuple[int, int]:
    now = await vm.state()
    return now.state, now.reason


async def until_prompt(end: Any, seconds: float = 60.0) -> bytes:
    heard = b""
    async with asyncio.timeout(seconds):
        while b"guest# " not in heard:
            data = await end.read()
            assert data, heard.decode(errors="replace")
            heard += data
    return heard


async def test_the_main_job(hv: Any, tmp_path: Path) -> None:
    """Boot a real kernel, talk to it, let it power off by itself."""
    heard = Heard(hv)
    vm = await hv.create(linux(), PAUSED)
    ours, theirs = pipe()
    await vm.open_console(None, 0, theirs)
    await vm.resume()
    assert b"Hello from the guest" in await until_prompt(ours)
    await ours.write(b"echo $((6*7)); poweroff -f\n")
    said = b""
    async with asyncio.timeout(30):
        while data := await ours.read():
            said += data
    assert b"42" in said
    await heard.until(c.VIR_DOMAIN_EVENT_STOPPED)
    assert heard.lifecycle() == [STARTED, SUSPENDED, RESUMED, BY_GUEST, SHUT_OFF]
    assert await hv.domains() == []
    assert qemus(tmp_path) == []
    log = (tmp_path / "log/libvirt/qemu/linux.log").read_text()
    assert "shutting down, reason=shutdown" in log


async def test_states_reasons_and_events_in_order(hv: Any) -> None:
    heard = Heard(hv)
    vm = await hv.define(tiny())
    assert await state(vm) == (c.VIR_DOMAIN_SHUTOFF, c.VIR_DOMAIN_SHUTOFF_UNKNOWN)
    await vm.create()
    assert await state(vm) == (c.VIR_DOMAIN_RUNNING, c.VIR_DOMAIN_RUNNING_BOOTED)
    await vm.suspend()
    await vm.suspend()
    assert await state(vm) == (c.VIR_DOMAIN_PAUSED, c.VIR_DOMAIN_PAUSED_USER)
    await vm.resume()
    assert await state(vm) == (c.VIR_DOMAIN_RUNNING, c.VIR_DOMAIN_RUNNING_UNPAUSED)
    await vm.destroy()
    assert await state(vm) == (c.VIR_DOMAIN_SHUTOFF, c.VIR_DOMAIN_SHUTOFF_DESTROYED)
    await vm.create(PAUSED)
    assert vm.id == 2
    await vm.undefine()
    assert not vm.persistent
    await vm.destroy(c.VIR_DOMAIN_DESTROY_GRACEFUL)
    assert heard.lifecycle() == [
        *(DEFINED, STARTED, SUSPENDED, RESUMED, BY_HOST, DESTROYED),
        *(STARTED, SUSPENDED, UNDEFINED, BY_HOST, DESTROYED),
    ]
    assert await hv.domains() == []


async def test_reset_tells_of_a_reboot(hv: Any) -> None:
    heard = Heard(hv)
    vm = await hv.create(tiny())
    await vm.reset()
    await heard.when(lambda: any(name == "rebooted" for name, _, _ in heard.all))
    assert await state(vm) == (c.VIR_DOMAIN_RUNNING, c.VIR_DOMAIN_RUNNING_BOOTED)


async def test_acpi_shutdown_and_reboot(hv: Any) -> None:
    """The power button reaches the kernel; a reboot is a shutdown that does not end QEMU."""
    heard = Heard(hv)
    vm = await hv.create(linux(), PAUSED)
    pid = vm.process.pid
    ours, theirs = pipe()
    await vm.open_console(None, 0, theirs)
    await vm.resume()
    await until_prompt(ours)
    await vm.reboot(c.VIR_DOMAIN_REBOOT_ACPI_POWER_BTN)
    await ours.write(b"poweroff -f\n")  # busybox has no acpid: the shell does what the button asks for
    await until_prompt(ours)
    assert alive(pid)
    assert BY_GUEST in heard.lifecycle()
    assert await state(vm) == (c.VIR_DOMAIN_RUNNING, c.VIR_DOMAIN_RUNNING_UNPAUSED)
    await vm.shutdown()
    await ours.write(b"poweroff -f\n")
    await heard.until(c.VIR_DOMAIN_EVENT_STOPPED)
    assert heard.lifecycle()[-1] == SHUT_OFF


async def test_qemu_killed_from_outside(hv: Any) -> None:
    heard = Heard(hv)
    vm = await hv.define(tiny())
    await vm.create()
    os.kill(vm.process.pid, signal.SIGKILL)
    await heard.until(c.VIR_DOMAIN_EVENT_STOPPED)
    assert heard.lifecycle()[-1] == (c.VIR_DOMAIN_EVENT_STOPPED, c.VIR_DOMAIN_EVENT_STOPPED_FAILED)
    assert await state(vm) == (c.VIR_DOMAIN_SHUTOFF, c.VIR_DOMAIN_SHUTOFF_CRASHED)
    await vm.create(PAUSED)


@pytest.mark.parametrize(("action", "last"), [("destroy", "stopped"), ("restart", "running"), ("preserve", "crashed")])
async def test_what_becomes_of_a_panic(hv: Any, action: str, last: str) -> None:
    heard = Heard(hv)
    extra = f"<on_crash>{action}</on_crash>"
    vm = await hv.create(tiny(devices="<panic model='isa'/>", extra=extra))
    await vm.monitor_command("o /b 0x505 1", 1)  # what a panicking kernel writes to the device
    await heard.until(c.VIR_DOMAIN_EVENT_CRASHED)
    crashed = (c.VIR_DOMAIN_EVENT_CRASHED, c.VIR_DOMAIN_EVENT_CRASHED_PANICKED)
    if last == "stopped":
        await heard.until(c.VIR_DOMAIN_EVENT_STOPPED)
        stopped = (c.VIR_DOMAIN_EVENT_STOPPED, c.VIR_DOMAIN_EVENT_STOPPED_CRASHED)
        assert [e for e in heard.lifecycle() if e != BY_HOST] == [STARTED, crashed, stopped]
        return
    wanted = c.VIR_DOMAIN_RUNNING if last == "running" else c.VIR_DOMAIN_CRASHED
    await heard.when(lambda: vm.current_state == wanted)
    assert crashed in heard.lifecycle()


@pytest.mark.parametrize(
    ("action", "state_after", "told"),
    [
        ("pause", c.VIR_DOMAIN_PAUSED, c.VIR_DOMAIN_EVENT_WATCHDOG_PAUSE),
        ("none", c.VIR_DOMAIN_RUNNING, c.VIR_DOMAIN_EVENT_WATCHDOG_NONE),
        ("reset", c.VIR_DOMAIN_RUNNING, c.VIR_DOMAIN_EVENT_WATCHDOG_RESET),
        ("poweroff", c.VIR_DOMAIN_SHUTOFF, c.VIR_DOMAIN_EVENT_WATCHDOG_POWEROFF),
    ],
)
async def test_what_a_watchdog_does(hv: Any, action: str, state_after: int, told: int) -> None:
    heard = Heard(hv)
    vm = await hv.define(tiny(devices=f"<watchdog model='ib700' action='{action}'/>"))
    await vm.create()
    with contextlib.suppress(OperationInvalid):  # QEMU powers off without another word
        await vm.monitor_command("o /b 0x443 0x0f", 1)  # starts the timer, at zero seconds
    await heard.when(lambda: ("watchdog", "tiny", (told,)) in heard.all)
    if state_after == c.VIR_DOMAIN_SHUTOFF:
        await heard.until(c.VIR_DOMAIN_EVENT_STOPPED)
    elif state_after == c.VIR_DOMAIN_PAUSED:
        await heard.until(c.VIR_DOMAIN_EVENT_SUSPENDED)
        assert (await vm.state()).reason == c.VIR_DOMAIN_PAUSED_WATCHDOG
        assert heard.lifecycle()[-1] == (c.VIR_DOMAIN_EVENT_SUSPENDED, c.VIR_DOMAIN_EVENT_SUSPENDED_WATCHDOG)
    assert (await vm.state()).state == state_after


async def test_a_viewer_is_told_of(hv: Any) -> None:
    heard = Heard(hv)
    vm = await hv.create(tiny(devices="<graphics type='vnc' autoport='yes'/><video><model type='vga'/></video>"))
    port = (await vm.xml()).partition("type='vnc' port='")[2].partition("'")[0]
    _, viewer = await asyncio.open_connection("127.0.0.1", int(port))
    await heard.when(lambda: any(name == "graphics" for name, _, _ in heard.all))
    viewer.close()
    await viewer.wait_closed()
    phases = [c.VIR_DOMAIN_EVENT_GRAPHICS_CONNECT, c.VIR_DOMAIN_EVENT_GRAPHICS_DISCONNECT]
    await heard.when(lambda: [v[0] for name, _, v in heard.all if name == "graphics"] == phases)
    local = next(v[1] for name, _, v in heard.all if name == "graphics")
    assert (local.node, local.service) == ("127.0.0.1", port)


async def test_qemus_own_events_are_passed_on(hv: Any) -> None:
    heard = Heard(hv)
    vm = await hv.create(tiny(), PAUSED)
    await vm.resume()
    await heard.when(lambda: any(name == "monitor_event" and values[0] == "RESUME" for name, _, values in heard.all))
    (values,) = [v for name, _, v in heard.all if name == "monitor_event" and v[0] == "RESUME"]
    assert abs(values[1] - time.time()) < 60
    assert 0 <= values[2] < 1_000_000


OFF = "Requested operation is not valid: domain is not running"


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("destroy", ()), ("suspend", ()), ("resume", ()), ("shutdown", ()), ("reboot", ()), ("reset", ()),
        ("abort_job", ()), ("job_info", ()), ("set_memory", (1024, c.VIR_DOMAIN_AFFECT_LIVE)),
        ("send_key", (0, 0, [30])),
        ("monitor_command", ("query-status",)), ("agent_command", ("{}", -1)), ("memory_stats", ()),
        ("block_stats", ("vda",)), ("interface_stats", ("vnet0",)), ("cpu_stats", (-1, 1)), ("control_info", ()),
        ("fs_info", ()), ("guest_info", ()), ("hostname", ()), ("guest_vcpus", ()), ("time", ()),
        ("set_vcpus", (2, c.VIR_DOMAIN_AFFECT_LIVE)), ("pm_suspend", (0,)), ("pm_wakeup", ()), ("inject_nmi", ()),
    ],
)  # fmt: skip
async def test_calls_on_a_guest_that_is_off(hv: Any, call: str, arguments: tuple[Any, ...]) -> None:
    vm = await hv.define(tiny())
    with pytest.raises(OperationInvalid) as caught:
        await getattr(vm, call)(*arguments)
    assert (str(caught.value), caught.value.code, caught.value.domain) == (OFF, 55, 20)


async def test_refusals(hv: Any) -> None:
    vm = await hv.define(tiny("one"))
    with pytest.raises(DomainExists, match=rf"^operation failed: domain 'one' already exists with uuid {vm.uuid}$"):
        await hv.define(tiny("one"))
    with pytest.raises(DomainExists, match=rf"^operation failed: domain 'one' is already defined with uuid {vm.uuid}$"):
        await hv.define(tiny("two", uuid=vm.uuid))
    with pytest.raises(NoDomain, match=r"^Domain not found: no domain with matching name 'none'$"):
        await hv.domain_by_name("none")
    with pytest.raises(NoDomain, match=r"^Domain not found: no domain with matching id 77$"):
        await hv.domain_by_id(77)
    await vm.create(PAUSED)
    for call, words in (
        (vm.create(), "domain is already running"),
        (vm.rename("other"), "cannot rename active domain"),
        (hv.create(tiny("one", uuid=vm.uuid)), "domain 'one' is already active"),
    ):
        with pytest.raises(OperationInvalid, match=words):
            await call
    await vm.resume()
    with pytest.raises(OperationInvalid, match="domain is already running"):
        await vm.resume()
    with pytest.raises(OperationInvalid, match="no job is active on the domain"):
        await vm.abort_job()
    with pytest.raises(InvalidArg, match=r"unsupported flags \(0x400\) in function qemuDomainDestroyFlags"):
        await vm.destroy(0x400)
    await vm.undefine()
    for call, words in (
        (vm.undefine(), "cannot undefine transient domain"),
        (vm.set_autostart(True), "cannot set autostart for transient domain"),
        (vm.set_memory(1024, c.VIR_DOMAIN_AFFECT_CONFIG), "transient domains do not have any persistent config"),
    ):
        with pytest.raises(OperationInvalid, match=words):
            await call


async def test_a_start_that_fails_leaves_nothing_and_says_why(hv: Any, tmp_path: Path) -> None:
    broken = tiny().replace("<devices>", "<devices><serial type='file'><source path='/nonexistent/x/log'/></serial>")
    vm = await hv.define(broken)
    with pytest.raises(InternalError, match=r"process exited while connecting to monitor.*(?s:.*)/nonexistent/x/log"):
        await vm.create()
    assert await state(vm) == (c.VIR_DOMAIN_SHUTOFF, c.VIR_DOMAIN_SHUTOFF_FAILED)
    assert vm.id == -1
    with pytest.raises(InternalError):
        await hv.create(
            broken.replace(str(vm.uuid), "3f0a5ad1-3a31-4a11-9d25-6a5c1d0b2a01").replace(">tiny<", ">other<")
        )
    assert [d.name for d in await hv.domains()] == ["tiny"]
    assert qemus(tmp_path) == []
    assert not list((tmp_path / "run/libvirt/qemu").glob("*.status"))
    assert not list((tmp_path / "lib/libvirt/qemu").glob("domain-*"))


async def test_one_change_at_a_time_and_reads_do_not_wait(hv: Any) -> None:
    vm = await hv.create(tiny(), PAUSED)
    vm.job.deadline = 0.1
    async with vm.job.hold("migrate"):
        assert await state(vm) == (c.VIR_DOMAIN_PAUSED, c.VIR_DOMAIN_PAUSED_USER)
        await vm.xml()
        await hv.stats(flags=c.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT)
        with pytest.raises(Timeout, match=r"cannot acquire state change lock \(held by monitor=migrate\)"):
            await vm.resume()
    vm.job.deadline = 60
    await vm.resume()


async def test_destroy_ends_a_guest_that_hangs(hv: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("virtqemud.domain.lifecycle.TERM_GRACE", 0.3)
    vm = await hv.create(tiny(), PAUSED)
    os.kill(vm.process.pid, signal.SIGSTOP)
    async with asyncio.timeout(60):
        await vm.destroy()
    assert await hv.domains() == []


async def test_many_guests_at_once(hv: Any, tmp_path: Path) -> None:
    guests = await asyncio.gather(*(hv.create(tiny(f"g{n}"), PAUSED) for n in range(6)))
    assert sorted(g.id for g in guests) == [1, 2, 3, 4, 5, 6]
    told = await hv.stats()
    assert {s.domain.name for s in told} == {f"g{n}" for n in range(6)}
    await asyncio.gather(*(g.destroy() for g in guests))
    assert await hv.domains() == []


async def test_close_ends_everything_even_while_starting(tmp_path: Path) -> None:
    instance = splitvirt.embed(tmp_path)
    hv = await instance.open()
    starts = [asyncio.create_task(hv.create(tiny(f"g{n}"))) for n in range(3)]
    await asyncio.sleep(0.03)
    await instance.close()
    results = await asyncio.gather(*starts, return_exceptions=True)
    assert all(not isinstance(r, BaseException) or isinstance(r, VirtError | asyncio.CancelledError) for r in results)
    assert qemus(tmp_path) == []
