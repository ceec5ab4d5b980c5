"""Guests that end with their application, and guests that outlive it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from support.owners import open_folder
from support.qemu import PAUSED, Heard, alive, gone, needs_qemu, qemus, tiny

import splitvirt
from splitvirt.api import constants as c
from splitvirt.api.errors import OperationInvalid

pytestmark = needs_qemu

APPLICATION = """
import asyncio, sys, splitvirt, threading, time
root, lifetime, xml, how = sys.argv[1:]
async def main():
    hv = await splitvirt.embed(root, lifetime=lifetime).open()
    vm = await hv.create(xml, 1)
    print(vm.process.pid, flush=True)
    if how == "wait":
        await asyncio.sleep(60)
if how == "thread":
    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    thread.join()
    time.sleep(60)
else:
    asyncio.run(main())
"""


def application(root: Path, lifetime: str, how: str = "wait", name: str = "tiny") -> tuple[subprocess.Popen[str], int]:
    """A program that starts a guest; and the guest's pid."""
    argv = [sys.executable, "-c", APPLICATION, str(root), lifetime, tiny(name), how]
    program = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    assert program.stdout
    return program, int(program.stdout.readline())


def end(program: subprocess.Popen[str]) -> None:
    program.kill()
    program.wait()
    assert program.stdout
    program.stdout.close()


def test_guest_dies_with_a_killed_application(tmp_path: Path) -> None:
    program, pid = application(tmp_path, "app")
    assert alive(pid)
    end(program)
    assert gone(pid)
    assert qemus(tmp_path) == []


def test_guest_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    # The loop's thread is gone, the application is not: a parent-death signal of that thread would have fired.
    program, pid = application(tmp_path, "app", "thread")
    try:
        time.sleep(0.5)
        assert alive(pid)
    finally:
        end(program)
    assert gone(pid)


def test_guest_dies_when_the_application_ends_without_closing(tmp_path: Path) -> None:
    program, pid = application(tmp_path, "app", "leave")
    assert program.wait(20) == 0
    assert gone(pid)
    end(program)


async def test_reopening_after_a_kill_finds_the_guest_dead(tmp_path: Path) -> None:
    program, pid = await asyncio.to_thread(application, tmp_path, "app")
    end(program)
    assert gone(pid)
    async with splitvirt.embed(tmp_path) as hv:
        assert await hv.domains() == []
        await hv.create(tiny(), PAUSED)
    assert not list((tmp_path / "run/libvirt/qemu").glob("*.status"))


async def test_a_kept_guest_is_adopted_and_tells_its_events(tmp_path: Path) -> None:
    program, pid = await asyncio.to_thread(application, tmp_path, "keep")
    end(program)
    assert alive(pid)
    async with splitvirt.embed(tmp_path, lifetime="keep") as hv:
        heard = Heard(hv)
        (vm,) = await hv.domains(c.VIR_CONNECT_LIST_DOMAINS_ACTIVE)
        assert (vm.id, (await vm.state()).state) == (1, c.VIR_DOMAIN_PAUSED)
        await vm.resume()
        await vm.suspend()
        assert heard.lifecycle() == [(c.VIR_DOMAIN_EVENT_RESUMED, 0), (c.VIR_DOMAIN_EVENT_SUSPENDED, 0)]
        os.kill(pid, signal.SIGKILL)
        await heard.until(c.VIR_DOMAIN_EVENT_STOPPED)
        assert heard.lifecycle()[-1] == (c.VIR_DOMAIN_EVENT_STOPPED, c.VIR_DOMAIN_EVENT_STOPPED_FAILED)
        assert await hv.domains() == []


async def test_a_kept_guest_runs_on_after_close_and_is_adopted_in_the_same_process(tmp_path: Path) -> None:
    async with splitvirt.embed(tmp_path, lifetime="keep") as hv:
        vm = await hv.define(tiny())
        await vm.create(PAUSED)
        pid = vm.process.pid
    assert alive(pid)
    async with splitvirt.embed(tmp_path, lifetime="keep") as hv:
        vm = await hv.domain_by_name("tiny")
        assert vm.persistent
        assert vm.process.pid == pid
        await vm.destroy()
    assert gone(pid)


@pytest.mark.parametrize("later", [{"format": 99}, {"what_later_versions_know": 1}])
async def test_a_guest_recorded_in_a_form_of_later_is_let_be(tmp_path: Path, later: dict[str, int]) -> None:
    async with splitvirt.embed(tmp_path, lifetime="keep") as hv:
        vm = await hv.define(tiny())
        await vm.create(PAUSED)
        pid = vm.process.pid
    (record,) = (tmp_path / "run/libvirt/qemu").glob("*.status")
    kept = record.read_text()
    record.write_text(json.dumps({**json.loads(kept), **later}))
    async with splitvirt.embed(tmp_path, lifetime="keep") as hv:
        vm = await hv.domain_by_name("tiny")
        assert not await vm.is_active()
        with pytest.raises(OperationInvalid, match=r"domain 'tiny' may be running: its record .*tiny\.status"):
            await vm.create(PAUSED)
    assert alive(pid)
    assert json.loads(record.read_text()) == {**json.loads(kept), **later}
    record.write_text(kept)
    async with splitvirt.embed(tmp_path, lifetime="keep") as hv:
        vm = await hv.domain_by_name("tiny")
        assert vm.process.pid == pid
        await vm.destroy()
    assert gone(pid)


@pytest.mark.long
async def test_a_guest_that_does_not_answer_is_never_ended_for_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy host must not cost a guest: who comes back to it waits a little, serves the others, and asks again."""
    async with splitvirt.embed(tmp_path, lifetime="keep") as hv:
        pids = [(await hv.create(tiny(name), PAUSED)).process.pid for name in ("slow", "quick")]
    monkeypatch.setattr("virtqemud.adoption.ANSWER", 0.0)  # nobody answers at once
    monkeypatch.setattr("virtqemud.adoption.RETRY", 0.1)
    os.kill(pids[0], signal.SIGSTOP)
    try:
        for _ in range(3):  # more than may wait at a monitor
            async with splitvirt.embed(tmp_path, lifetime="keep") as hv:
                await asyncio.sleep(0.2)
                assert alive(pids[0])
        async with splitvirt.embed(tmp_path, lifetime="keep") as hv:
            slow, quick = [await hv.domain_by_name(name) for name in ("slow", "quick")]
            assert await slow.is_active()
            await known(quick)
            await quick.resume()
            with pytest.raises(OperationInvalid):
                await slow.resume()
            os.kill(pids[0], signal.SIGCONT)
            await known(slow)
            await slow.resume()
            assert (await slow.state()).state == c.VIR_DOMAIN_RUNNING
        os.kill(pids[0], signal.SIGSTOP)
        async with splitvirt.embed(tmp_path, lifetime="keep") as hv:
            await (await hv.domain_by_name("slow")).destroy()
            assert gone(pids[0])
            await (await hv.domain_by_name("quick")).destroy()
        assert not list((tmp_path / "run/libvirt/qemu").glob("*.status"))
    finally:
        for pid in pids:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)


async def known(vm: Any) -> None:
    """Wait until a guest that runs has been taken over."""
    async with asyncio.timeout(30):
        while vm.guest is None or not vm.guest.vcpus:  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(0.02)


async def test_a_recycled_pid_is_never_taken_for_the_guest(tmp_path: Path) -> None:
    program, pid = await asyncio.to_thread(application, tmp_path, "keep")
    end(program)
    (record,) = (tmp_path / "run/libvirt/qemu").glob("*.status")
    kept = json.loads(record.read_text())
    bystander = await asyncio.to_thread(subprocess.Popen, ["sleep", "60"])
    try:
        record.write_text(json.dumps({**kept, "pid": bystander.pid}))
        async with splitvirt.embed(tmp_path, lifetime="keep") as hv:
            assert await hv.domains() == []
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()
        os.kill(pid, signal.SIGKILL)


async def test_second_opener_is_told_who_holds_the_root(tmp_path: Path) -> None:
    async with splitvirt.embed(tmp_path):
        with pytest.raises(splitvirt.VirtError, match=f"in use by this very process .*pid {os.getpid()}"):
            await splitvirt.embed(tmp_path).open()
    program, _ = await asyncio.to_thread(application, tmp_path, "app")
    try:
        with pytest.raises(splitvirt.VirtError, match=f"in use by process {program.pid}"):
            await splitvirt.embed(tmp_path).open()
    finally:
        end(program)
    async with splitvirt.embed(tmp_path):
        pass


async def test_instances_in_one_process_do_not_know_each_other(tmp_path: Path) -> None:
    async with splitvirt.embed(tmp_path / "a") as one, splitvirt.embed(tmp_path / "b") as other:
        first, second = await asyncio.gather(one.create(tiny("same"), PAUSED), other.create(tiny("same"), PAUSED))
        assert first.process.pid != second.process.pid
        await first.destroy()
        assert (await second.state()).state == c.VIR_DOMAIN_PAUSED


def test_instances_in_several_threads(tmp_path: Path) -> None:
    states: list[int] = []

    async def one(name: str) -> None:
        async with splitvirt.embed(tmp_path / name) as hv:
            vm = await hv.create(tiny(name), PAUSED)
            states.append((await vm.state()).state)

    threads = [threading.Thread(target=lambda n=n: asyncio.run(one(n))) for n in ("x", "y", "z")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert states == [c.VIR_DOMAIN_PAUSED] * 3
    assert qemus(tmp_path) == []


async def test_opened_and_closed_many_times(tmp_path: Path) -> None:
    instance = splitvirt.embed(tmp_path)
    for _ in range(3):
        async with instance as hv:
            await hv.create(tiny(), PAUSED)
    assert qemus(tmp_path) == []


async def test_runs_in_the_callers_cgroup_session_and_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPLITVIRT_TEST_WORD", "from the caller")
    async with splitvirt.embed(tmp_path) as hv:
        vm = await hv.create(tiny(), PAUSED)
        proc = Path(f"/proc/{vm.process.pid}")
        assert (proc / "cgroup").read_text() == Path("/proc/self/cgroup").read_text()
        assert b"SPLITVIRT_TEST_WORD=from the caller" in (proc / "environ").read_bytes().split(b"\0")
        assert os.stat(proc).st_uid == os.getuid()


@pytest.mark.parametrize("length", [150, 600])
async def test_long_roots_work(tmp_path: Path, length: int) -> None:
    root = tmp_path
    while len(str(root)) < length:
        root /= "d" * 60
    async with splitvirt.embed(root) as hv:
        vm = await hv.create(tiny(devices="<serial type='pty'/>"), PAUSED)
        assert "paused" in await vm.monitor_command("info status", 1)
        await vm.resume()


async def test_too_long_a_root_is_refused_at_once(tmp_path: Path) -> None:
    root = tmp_path / "/".join(["d" * 200] * 20)
    with pytest.raises(splitvirt.VirtError, match="too long"):
        await splitvirt.embed(root).open()


async def test_a_temporary_root_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    async with splitvirt.embed() as hv:
        vm = await hv.create(tiny(), PAUSED)
        pid = vm.process.pid
        assert len(list(tmp_path.iterdir())) == 1
    assert not alive(pid)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_works_without_any_privilege() -> None:
    code = APPLICATION.replace("await asyncio.sleep(60)", "await vm.resume(); await hv.close(); print('done')")
    argv = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", sys.executable, "-c", code]
    with open_folder() as folder:  # pytest's own is closed to others as soon as another pytest starts
        root = folder / "root"
        root.mkdir(mode=0o700)
        os.chown(root, 65534, 65534)
        env = {"PATH": os.environ["PATH"], "HOME": str(root), "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(
            [*argv, str(root), "app", tiny(), "wait"], env=env, capture_output=True, text=True, timeout=60, check=False
        )
    assert (done.returncode, done.stderr) == (0, "")
    pid, word = done.stdout.split()
    assert word == "done"
    assert gone(int(pid))


@pytest.mark.long
async def test_fifty_roots_in_one_process(tmp_path: Path) -> None:
    instances = [splitvirt.embed(tmp_path / str(number)) for number in range(50)]
    drivers = [await instance.open() for instance in instances]
    try:
        for driver in drivers:
            await driver.create(tiny(), PAUSED)
        assert len(qemus(tmp_path)) == 50
    finally:
        await asyncio.gather(*(instance.close() for instance in instances))
    assert qemus(tmp_path) == []
