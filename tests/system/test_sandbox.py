"""What the units shut out, and that guests and networks do not feel it."""

import os
import re
from collections.abc import Iterator

import pytest
from support.container import Container, container

pytestmark = pytest.mark.long

VIRSH = ("virsh", "-c", "qemu:///system")
PARTS = """<domain type='qemu'><name>parts</name><memory unit='MiB'>128</memory><vcpu>2</vcpu>
<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>
<os firmware='efi'><type arch='x86_64' machine='q35'>hvm</type>
<firmware><feature enabled='no' name='secure-boot'/></firmware></os>
<features><acpi/></features><devices>
<disk type='file'><driver name='qemu' type='qcow2'/><source file='/srv/disk.qcow2'/><target dev='vda'/></disk>
<disk type='file' device='cdrom'><source file='/srv/disc.iso'/><target dev='sda' bus='sata'/></disk>
<filesystem type='mount' accessmode='passthrough'><driver type='virtiofs'/><source dir='/srv/share'/><target dir='v'/>
</filesystem>
<filesystem type='mount'><source dir='/srv/share'/><target dir='p'/></filesystem>
<interface type='user'><backend type='passt'/><model type='virtio'/>
<portForward proto='tcp'><range start='2022' to='22'/></portForward></interface>
<interface type='network'><source network='default'/><model type='virtio'/></interface>
<interface type='user'><model type='e1000'/></interface>
<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
<serial type='pty'/><tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>
<graphics type='vnc' port='5999' listen='127.0.0.1'/>
<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
</devices></domain>
"""


@pytest.fixture(name="machine", scope="module")
def _machine() -> Iterator[Container]:
    with container(f"sandbox-{os.getpid()}") as host:
        yield host


def test_a_guest_of_many_parts_starts_in_it(machine: Container) -> None:
    """Firmware, disks, shared folders, passt, swtpm, taps, screens: with their helpers, stopped and adopted."""
    host = machine
    host.shell(  # passt wants a way out
        "ip link add out0 type veth peer name out1; ip link set out1 up; ip link set out0 up;"
        "ip address add 10.9.8.2/24 dev out0; ip route add default via 10.9.8.1"
    )
    host.shell("mkdir -p /srv/share; qemu-img create -q -f qcow2 /srv/disk.qcow2 8M; truncate -s 1M /srv/disc.iso")
    host.write("/srv/parts.xml", PARTS)
    host.ok(*VIRSH, "net-start", "default")
    host.ok(*VIRSH, "define", "/srv/parts.xml")
    host.ok(*VIRSH, "start", "parts")
    host.ok("systemctl", "restart", "virtqemud.service")
    assert host.ok(*VIRSH, "domstate", "parts").strip() == "running"
    helpers = host.ok("ps", "-e", "-o", "comm=").split()
    assert {"swtpm", "virtiofsd", "dnsmasq"} <= set(helpers)
    assert any(name.startswith("passt") for name in helpers)
    host.ok(*VIRSH, "vcpucount", "parts", "--current", "--live")
    host.ok(*VIRSH, "destroy", "parts")
    assert not {"swtpm", "virtiofsd"} & set(host.ok("ps", "-e", "-o", "comm=").split())


def test_threads_of_a_guest_may_have_real_time(machine: Container) -> None:
    """Within the sandbox as far as without it: where this kernel gives real time to nobody here, it says so."""
    host = machine
    assert host.ok("systemctl", "show", "-P", "RestrictRealtime", "virtqemud.service").strip() == "no"
    for scheduler, shown in (("scheduler='batch'", "B +0"), ("scheduler='fifo' priority='3'", "FF +3")):
        host.write(
            "/srv/real.xml",
            "<domain type='qemu'><name>real</name><memory unit='MiB'>32</memory><vcpu>1</vcpu>"
            f"<cputune><vcpusched vcpus='0' {scheduler}/></cputune>"
            "<os><type arch='x86_64' machine='pc'>hvm</type></os></domain>",
        )
        started = host.run(*VIRSH, "create", "--paused", "/srv/real.xml")
        if "fifo" in scheduler and host.run("chrt", "--fifo", "3", "true").returncode:
            assert "Cannot set scheduler parameters for pid" in started.stderr
            return
        assert not started.returncode, started.stderr
        threads = host.ok("ps", "-eL", "-o", "comm=,cls=,rtprio=")
        assert re.search(rf"^CPU 0/TCG +{shown}$", threads, re.MULTILINE), threads
        host.ok(*VIRSH, "destroy", "real")


def test_what_a_guest_has_no_use_for_is_shut_out(machine: Container) -> None:
    """Seen from within QEMU's place in the sandbox: capabilities, calls of the kernel, settings of the host."""
    host = machine
    host.ok(*VIRSH, "list")
    pid = host.ok("systemctl", "show", "-P", "MainPID", "virtqemud.service").strip()
    status = host.ok("cat", f"/proc/{pid}/status")
    bounding = int(re.search(r"CapBnd:\s+(\w+)", status)[1], 16)  # type: ignore[index]
    for name, number in (("sys_module", 16), ("sys_rawio", 17), ("sys_boot", 22), ("sys_time", 25), ("bpf", 39)):
        assert not bounding & 1 << number, name
    assert re.search(r"Seccomp:\s+2", status)
    within = ("nsenter", "-t", pid, "-m")
    assert host.run(*within, "sh", "-c", "echo x > /proc/sys/kernel/core_pattern").returncode
    options = host.ok(*within, "findmnt", "-n", "-o", "OPTIONS", "-T", "/proc/sys/kernel")
    assert options.startswith("ro,")


def test_a_network_on_a_host_interface_lends_macvtap(machine: Container) -> None:
    """The device list of virtnetworkd's unit lets it open what the kernel makes, whatever its number."""
    host = machine
    found = re.search(r"(\d+) macvtap", host.ok("cat", "/proc/devices"))
    if found is None:
        pytest.skip("this kernel has no macvtap")
    host.shell(
        "ip link add direct0 type veth peer name direct1; ip link set direct0 up; ip link set direct1 up;"
        # nobody makes device files here: all that it may be
        f"for n in $(seq 64); do mknod /dev/tap$n c {found[1]} 1; done"
    )
    host.write(
        "/srv/direct.xml",
        "<network><name>direct</name><forward mode='bridge'><interface dev='direct0'/></forward></network>",
    )
    host.ok("virsh", "-c", "network:///system", "net-create", "/srv/direct.xml")
    took = host.ok("busctl", "call", "org.splitvirt.virtnetworkd", "/org/libvirt/Network", "org.splitvirt.NetworkPort1",
                   "Take", "ssuu", "direct", "", "1", "0")  # fmt: skip
    assert "macvtap0" in took
    host.ok("virsh", "-c", "network:///system", "net-destroy", "direct")


@pytest.mark.parametrize(("unit", "most"), [("virtqemud.service", 6.6), ("virtnetworkd.service", 3.5)])
def test_exposure(machine: Container, unit: str, most: float) -> None:
    """What `systemd-analyze security` makes of the sandbox; a guest's host cannot do without much."""
    said = machine.run("systemd-analyze", "security", "--no-pager", unit).stdout
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)
    assert found, said
    assert float(found[1]) <= most, said
