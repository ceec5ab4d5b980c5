"""Guests that are put into scopes, by what stands for systemd on a bus of the test's own; real ones: tests/system."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.bus import private_bus
from support.qemu import PAUSED, needs_qemu, tiny

import splitvirt
from splitvirt.api.errors import ConfigUnsupported, ServiceError
from splitvirt.dbus.bus import Bus
from splitvirt.dbus.library import Message, MessageType
from splitvirt.host import cgroup
from splitvirt.host.paths import Layout
from virtqemud.driver import QemuDriver
from virtqemud.running.scope import Scopes
from virtqemud.running.tuning import Property

pytestmark = needs_qemu
MANAGER = ("/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")
LIMITED = "<memtune><hard_limit unit='MiB'>500</hard_limit></memtune>"


class Systemd:
    """Answers as systemd would: `refusals` first, then each job ends as `result` says."""

    def __init__(self, bus: Bus) -> None:
        self.bus, self.result, self.refusals = bus, "done", list[str]()
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.programs: list[str] = []
        bus.on_method(self._take)

    def _take(self, call: Message) -> bool:
        if call.interface != MANAGER[1]:
            return False
        if self.refusals:
            self.bus.send(Message.new_error(call, self.refusals.pop(0), "no"))
            return True
        listed = call.body[2]
        properties = {name: value.value for name, value in listed}
        self.asked.append((str(call.member), call.body[0], properties))
        if call.member == "SetUnitProperties":
            self.bus.send(Message.new_method_return(call))
            return True
        self.programs = [Path(f"/proc/{pid}/comm").read_text().strip() for pid in properties["PIDs"]]
        job = "/org/freedesktop/systemd1/job/1"
        self.bus.send(Message.new_method_return(call, "o", [job]))
        body: list[object] = [1, job, call.body[0], self.result]
        self.bus.send(Message(message_type=MessageType.SIGNAL, path=MANAGER[0], interface=MANAGER[1], member="JobRemoved", signature="uoss", body=body))  # fmt: skip  # noqa: E501
        return True


@pytest.fixture(name="systemd")
async def _systemd(tmp_path: Path) -> AsyncIterator[Systemd]:
    with private_bus(tmp_path) as address:
        bus = await Bus.connect(address)
        await bus.request_name("org.freedesktop.systemd1")
        yield Systemd(bus)
        bus.close()


@pytest.fixture(name="hv")
async def _hv(systemd: Systemd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[QemuDriver]:
    """A driver whose guests are put into scopes, on a host with every controller."""
    controllers = tmp_path / "cgroup"
    controllers.mkdir()
    (controllers / "cgroup.controllers").write_text("cpu cpuset io memory pids")
    monkeypatch.setattr(cgroup, "MOUNTS", (controllers,))
    monkeypatch.setattr(Scopes, "there", staticmethod(lambda: True))
    driver = QemuDriver(Layout.under(tmp_path / "root"))
    vars(driver)["scopes"] = Scopes(f"unix:path={tmp_path}/bus")
    await driver.open()
    yield driver
    for vm in driver.guests.active():
        await vm.destroy()
    await driver.close()


async def test_what_systemd_is_asked_for(hv: QemuDriver, systemd: Systemd) -> None:
    vm = await hv.create(tiny("a-b", extra="<cputune><shares>300</shares></cputune>"), PAUSED)
    ((call, unit, asked),) = systemd.asked
    assert (call, unit) == ("StartTransientUnit", r"machine-qemu\x2d1\x2da\x2db.scope")
    assert vm.process is not None
    assert asked["PIDs"] == [vm.process.pid]
    assert asked["Slice"] == "machine.slice"
    assert asked["Delegate"] is True
    assert asked["CPUWeight"] == 300
    assert asked["CollectMode"] == "inactive-or-failed"
    assert "<partition>/machine</partition>" in await vm.xml()


async def test_one_whose_memory_is_limited_begins_in_its_scope(hv: QemuDriver, systemd: Systemd) -> None:
    await hv.create(tiny("plain"), PAUSED)
    assert systemd.programs[0] != "sh"
    vm = await hv.create(tiny("limited", extra=LIMITED), PAUSED)
    assert systemd.programs == ["sh"]
    assert systemd.asked[-1][2]["MemoryMax"] == 500 << 20
    assert vm.process is not None
    assert Path(f"/proc/{vm.process.pid}/comm").read_text().startswith("qemu-system")
    assert Path(f"/proc/{vm.process.pid}/fd/0").resolve() == Path("/dev/null")


async def test_a_name_that_is_just_being_given_up_is_waited_for(hv: QemuDriver, systemd: Systemd) -> None:
    systemd.refusals = ["org.freedesktop.systemd1.UnitExists"] * 2
    await hv.create(tiny(), PAUSED)
    assert len(systemd.asked) == 1


@pytest.mark.parametrize("result", ["failed", "refused", "gone"])
async def test_without_a_scope_it_runs_where_the_daemon_does(
    hv: QemuDriver, systemd: Systemd, result: str, caplog: pytest.LogCaptureFixture
) -> None:
    systemd.result = result
    if result == "refused":
        systemd.refusals = ["org.freedesktop.DBus.Error.AccessDenied"]
    elif result == "gone":
        systemd.bus.close()
    with caplog.at_level(logging.WARNING):
        vm = await hv.create(tiny(), PAUSED)
    assert [
        record.getMessage() for record in caplog.records if "runs in the daemon's own cgroup" in record.getMessage()
    ]
    assert vm.group is None
    assert "<partition>" not in await vm.xml()
    assert len(await vm.scheduler_params()) == 9


async def test_limits_that_cannot_be_set_are_refused(hv: QemuDriver, systemd: Systemd) -> None:
    systemd.result = "failed"
    with pytest.raises(ConfigUnsupported, match=r"Memory cgroup is not available on this host .*: failed"):
        await hv.create(tiny(extra=LIMITED), PAUSED)
    systemd.refusals = ["org.freedesktop.DBus.Error.InvalidArgs"]
    with pytest.raises(ServiceError, match="InvalidArgs"):
        await hv.create(tiny(extra=LIMITED), PAUSED)
    assert not hv.guests.active()


async def test_limits_are_changed_through_systemd(hv: QemuDriver, systemd: Systemd) -> None:
    assert hv.scopes is not None
    await hv.scopes.change("x.scope", [Property("CPUWeight", "t", 7)])
    assert systemd.asked == [("SetUnitProperties", "x.scope", {"CPUWeight": 7})]


async def test_systemd_that_comes_back_is_found_again(hv: QemuDriver, systemd: Systemd, tmp_path: Path) -> None:
    await hv.create(tiny("one"), PAUSED)
    assert hv.scopes is not None
    hv.scopes.close()
    await hv.create(tiny("two"), PAUSED)
    assert len(systemd.asked) == 2


@pytest.mark.parametrize("mode", ["embed", "session", "system"])
def test_only_the_hosts_own_daemon_does_so(mode: Any, tmp_path: Path) -> None:
    assert QemuDriver(Layout.under(tmp_path, mode)).scopes is None
    assert QemuDriver(Layout.session()).scopes is None
    assert QemuDriver(Layout.system()).scopes is not None


async def test_elsewhere_limits_of_the_configuration_are_left(tmp_path: Path) -> None:
    async with splitvirt.embed(tmp_path) as hv:
        vm = await hv.create(tiny(extra=LIMITED), PAUSED)
        proc = Path(f"/proc/{vm.process.pid}")
        assert (proc / "cgroup").read_text() == Path("/proc/self/cgroup").read_text()
        assert "<partition>" not in await vm.xml()
