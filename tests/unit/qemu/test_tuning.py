"""What a configuration asks of its unit and of groups of threads."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitvirt.api.errors import InvalidArg, SystemError_
from splitvirt.host.cgroup import Group
from splitvirt.xml.cputune import CpuTune
from splitvirt.xml.domain import Domain
from virtqemud.running import tuning
from virtqemud.running.tuning import NONE, Property, Threads

ALL = {"cpu", "memory", "io", "cpuset"}


def guest(inside: str) -> Domain:
    return Domain.from_xml(
        f"<domain type='qemu'><name>x</name><memory>1</memory>{inside}<os><type>hvm</type></os></domain>"
    )


@pytest.mark.parametrize(
    ("inside", "asked"),
    [
        ("<cputune><shares>300</shares></cputune>", {"CPUWeight": 300}),
        (
            "<cputune><global_period>50000</global_period><global_quota>25000</global_quota></cputune>",
            {"CPUQuotaPeriodUSec": 50_000, "CPUQuotaPerSecUSec": 500_000},
        ),
        (
            "<cputune><global_quota>-1</global_quota></cputune>",
            {"CPUQuotaPeriodUSec": 100_000, "CPUQuotaPerSecUSec": NONE},
        ),
        (
            "<memtune><hard_limit>4</hard_limit><soft_limit>3</soft_limit>"
            "<swap_hard_limit>5</swap_hard_limit></memtune>",
            {"MemoryMax": 4096, "MemoryHigh": 3072, "MemorySwapMax": 5120},
        ),
        ("<blkiotune><weight>200</weight></blkiotune>", {"IOWeight": 200}),
        (
            "<numatune><memory mode='strict' nodeset='0,9'/></numatune>",
            {"AllowedMemoryNodes": b"\x01\x02"},
        ),
        ("<numatune><memory mode='preferred' nodeset='0'/></numatune>", {}),
        ("<cputune><period>50000</period><emulator_quota>9000</emulator_quota></cputune>", {}),
    ],
)  # fmt: skip
def test_properties(inside: str, asked: dict[str, object]) -> None:
    assert {name: value for name, _, value in tuning.properties(guest(inside))} == asked


def test_disks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "stat", lambda path: os.stat_result((0o60660, *[0] * 9)))
    made = tuning.disk_limits("/dev/vdx", {"weight": 0, "read_bytes_sec": 5, "write_iops_sec": 0})
    assert list(made) == [
        Property("IODeviceWeight", "a(st)", [["/dev/vdx", 100]]),
        Property("IOReadBandwidthMax", "a(st)", [["/dev/vdx", 5]]),
        Property("IOWriteIOPSMax", "a(st)", [["/dev/vdx", NONE]]),
    ]


def test_what_is_no_disk(tmp_path: Path) -> None:
    with pytest.raises(SystemError_, match="Path '/dev/nope' is not accessible: No such file or directory"):
        list(tuning.disk_limits("/dev/nope", {"weight": 5}))
    with pytest.raises(InvalidArg, match="must be a block device"):
        list(tuning.disk_limits("/dev/null", {"weight": 5}))


@pytest.mark.parametrize(
    ("inside", "lacks", "words"),
    [
        ("<cputune><shares>300</shares></cputune>", "cpu", "CPU tuning is not available on this host"),
        ("<cputune><iothread_quota>3000</iothread_quota></cputune>", "cpu", "cgroup cpu is required"),
        ("<memtune><soft_limit>300</soft_limit></memtune>", "memory", "Memory cgroup is not available on this host"),
        ("<blkiotune><weight>300</weight></blkiotune>", "io", "Block I/O tuning is not available on this host"),
    ],
)
def test_what_the_host_lacks(inside: str, lacks: str, words: str) -> None:
    assert tuning.missing(guest(inside), ALL) is None
    refusal = tuning.missing(guest(inside), ALL - {lacks})
    assert refusal is not None
    assert words in str(refusal)


def test_pins_ask_for_no_controller() -> None:
    assert tuning.missing(guest("<cputune><emulatorpin cpuset='0'/></cputune>"), ()) is None


@given(period=st.integers(1000, 1_000_000), quota=st.integers(1000, 10**9))
def test_systemd_makes_the_same_quota_of_it(period: int, quota: int) -> None:
    """systemd keeps time by the second, and writes quota * period / 1 s, rounded down."""
    config = Domain(name="x", cputune=CpuTune(global_period=period, global_quota=quota))
    told = {name: value for name, _, value in tuning.processor(config)}
    by_second = told["CPUQuotaPerSecUSec"]
    assert isinstance(by_second, int)
    assert by_second * period // 1_000_000 == quota


def test_threads_are_divided(tmp_path: Path) -> None:
    threads = Threads(os.getpid(), {0: 11, 2: 12}, {1: 13})
    group = Group(tmp_path)
    for name in ("vcpu0", "vcpu2", "iothread1", "emulator"):  # the kernel makes their files
        (tmp_path / name).mkdir()
        (tmp_path / name / "cpu.max").write_text("max 100000")
    tuning.divide(group, CpuTune(quota=5000, iothread_period=20_000), threads)
    assert (tmp_path / "vcpu0/cgroup.threads").read_text() == "11"
    assert (tmp_path / "vcpu2/cpu.max").read_text() == "5000 100000"
    assert tuning.bandwidth(group, "vcpu") == (100_000, 5000)
    assert tuning.bandwidth(group, "iothread") == (20_000, None)
    assert not (tmp_path / "emulator/cgroup.threads").exists()
    assert os.getpid() in threads.of("emulator")["emulator"]
