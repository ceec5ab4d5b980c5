"""Processes by pidfd, their start and their end; sockets at long paths; what /proc and /sys say."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitvirt.host import paths, topology, unix, usage
from splitvirt.host.paths import Layout
from splitvirt.host.pidfd import Held, command_name, start_time
from splitvirt.host.process import Launcher


async def spawn(code: str, lifetime: str = "app", **more: object) -> tuple[Launcher, Held]:
    launcher = Launcher(lifetime)  # type: ignore[arg-type]
    return launcher, await launcher.spawn([sys.executable, "-c", code], **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("lifetime", ["app", "keep"])
async def test_status_of_what_ended(lifetime: str) -> None:
    launcher, held = await spawn("raise SystemExit(7)", lifetime)
    assert await held.wait(60)
    assert held.status == 7
    assert held.ended
    assert not held.signal(signal.SIGTERM)
    held.close()
    launcher.close()


async def test_stop_is_gentle_then_hard() -> None:
    launcher, held = await spawn("import time; time.sleep(60)")
    assert await held.stop(60)
    assert held.status == -signal.SIGTERM
    read, write = os.pipe()
    stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
    launcher2, deaf = await spawn(stubborn, output=write)
    assert await asyncio.to_thread(os.read, read, 10)
    assert await deaf.stop(0.1)
    assert deaf.status == -signal.SIGKILL
    for fd in (read, write):
        os.close(fd)
    for one in (launcher, launcher2):
        one.close()


async def test_every_waiter_and_callback_is_told_once() -> None:
    launcher, held = await spawn("import time; time.sleep(0.05)")
    told: list[int] = []
    held.on_end(lambda: told.append(1))
    assert all(await asyncio.gather(held.wait(60), held.wait(60)))
    await asyncio.sleep(0)
    assert told == [1]
    launcher.close()


async def test_identity_is_number_and_start_time() -> None:
    child = await asyncio.to_thread(subprocess.Popen, ["sleep", "60"])
    try:
        started = start_time(child.pid)
        assert started is not None
        held = Held.open(child.pid, started)
        assert held is not None
        assert Held.open(child.pid, started + 1) is None
        assert Held.open(2**22 - 1) is None
        assert command_name(child.pid) == "sleep"
        held.signal(signal.SIGKILL)
        assert await held.wait(60)
        held.close()
    finally:
        child.kill()
        child.wait()
    assert (start_time(child.pid), command_name(child.pid)) == (None, "")


async def test_what_a_process_inherits(tmp_path: Path) -> None:
    given, other = os.open("/dev/null", os.O_RDONLY), os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(other, True)  # a careless library's
    code = "import os; print(os.listdir('/proc/self/fd'), os.environ.get('A'), os.getsid(0) == os.getpid())"
    with (tmp_path / "out").open("wb") as output:
        launcher, held = await spawn(code, fds=[given], env={"A": "b"}, output=output)
        assert await held.wait(60)
    listed, word, leads = (tmp_path / "out").read_text().rsplit(" ", 2)
    assert f"'{given}'" in listed
    assert f"'{other}'" not in listed
    assert (word, leads.strip()) == ("b", "True")
    launcher.close()
    for fd in (given, other):
        os.close(fd)


async def test_a_program_that_is_not_there() -> None:
    with pytest.raises(FileNotFoundError, match="no-such-program"):
        await Launcher("app").spawn(["no-such-program"])


async def test_an_ignored_sigchld_does_no_harm() -> None:
    old = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        launcher, held = await spawn("import time; time.sleep(0.1)")
        assert await held.wait(60)
        assert held.status is None
        launcher.close()
    finally:
        signal.signal(signal.SIGCHLD, old)


def test_closing_the_launcher_ends_what_it_started() -> None:
    async def start() -> tuple[Launcher, int]:
        launcher, held = await spawn("import time; time.sleep(60)")
        held.close()
        return launcher, held.pid

    launcher, pid = asyncio.run(start())
    assert start_time(pid) is not None
    launcher.close()
    os.waitpid(pid, 0)


def test_the_loops_thread_may_end_first() -> None:
    found: list[tuple[Launcher, Held]] = []

    async def start() -> None:
        found.append(await spawn("import time; time.sleep(60)"))

    thread = threading.Thread(target=lambda: asyncio.run(start()))
    thread.start()
    thread.join()
    launcher, held = found[0]
    assert not held.ended
    launcher.close()
    os.waitpid(held.pid, 0)


@pytest.mark.parametrize("length", [20, 107, 108, 200])
def test_sockets_at_paths_of_any_length(tmp_path: Path, length: int) -> None:
    folder = tmp_path
    while len(str(folder)) < length:
        folder /= "d" * 40
    folder.mkdir(parents=True, exist_ok=True)
    with unix.listen(folder / "socket") as server, unix.connect(folder / "socket") as client:
        peer, _ = server.accept()
        with peer:
            client.send(b"x")
            assert peer.recv(1) == b"x"
    with unix.listen(folder / "socket"):
        pass
    with pytest.raises(OSError, match="refused"):
        unix.connect(folder / "socket")


def test_a_name_too_long_for_any_spelling(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="too long"):
        unix.listen(tmp_path / ("n" * 120))


def test_layouts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/c")
    monkeypatch.setenv("XDG_CACHE_HOME", "/k")
    assert str(Layout.system().socket("virtqemud", "ro")) == "/run/libvirt/virtqemud-sock-ro"
    session = Layout.session()
    assert str(session.socket("virtqemud")) == "/run/user/7/libvirt/virtqemud-sock"
    assert (str(session.etc), str(session.logs("qemu"))) == ("/c/libvirt", "/k/libvirt/qemu/log")
    under = Layout.under("/r")
    assert str(under.state("qemu")) == "/r/run/libvirt/qemu"
    assert str(paths.user_cache()) == "/k/splitvirt"
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert str(Layout.session().run) == "/k/libvirt"


@given(st.sets(st.integers(0, 300)))
def test_kernel_lists(numbers: set[int]) -> None:
    assert topology.parse_list(topology.format_list(sorted(numbers))) == sorted(numbers)


def test_this_host() -> None:
    info = topology.node_info()
    assert info.cpus == len(topology.online_cpus()) >= 1
    assert info.nodes * info.sockets * info.cores * info.threads >= len(topology.present_cpus())
    assert sum(cell.memory for cell in topology.cells()) == info.memory
    times = topology.cpu_times()
    assert times is not None
    assert times["user"] > 0
    assert topology.cpu_times(99999) is None
    own = usage.cpu_nanoseconds(os.getpid())
    assert own is not None
    assert usage.resident_kib(os.getpid()) > 1000
    assert usage.cpu_nanoseconds(2**22 - 1) is None
    counters = usage.interface_counters("lo")
    assert counters is None or counters["rx_bytes"] == counters["tx_bytes"]
    assert usage.interface_counters("nope0") is None


def test_sockets_are_private(tmp_path: Path) -> None:
    with unix.listen(tmp_path / "s"):
        assert (tmp_path / "s").stat().st_mode & 0o777 == 0o600
