"""The point of it: a program that embeds only the QEMU driver has a guest on a network of the shared daemon."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.bus import private_bus
from support.guest import REPOSITORY, guest_files
from support.netdaemon import daemon
from support.nethost import Space, rules, run, until

NET = """<network><name>shared</name><forward mode='nat'/><bridge name='br-s' stp='off'/><domain name='lan.test'/>
<ip address='192.168.150.1' prefix='24'><dhcp><range start='192.168.150.10' end='192.168.150.99'/></dhcp></ip>
</network>"""
NOBODY = 65534


@pytest.fixture(name="guest", scope="module")
def _guest() -> tuple[Path, Path]:
    """Its kernel and initrd, made while this process has the machine's own network still: the one is downloaded."""
    return guest_files()


@pytest.fixture(name="bus")
def _bus(box: Space) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="bus-") as folder:
        Path(folder).chmod(0o755)
        with private_bus(Path(folder)) as address:
            yield address


@pytest.fixture(name="home")
def _home() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="app-"))
    os.chown(made, NOBODY, NOBODY)
    yield made
    shutil.rmtree(made, ignore_errors=True)


def taps() -> list[str]:
    return [line.split()[1] for line in run("ip", "-o", "link", "show", "master", "br-s").splitlines()]


def application(guest: tuple[Path, Path], bus: str, home: Path, user: int) -> "subprocess.Popen[bytes]":
    """docs/examples/network.py, as a user, told to stay for a while once its guest is up."""
    env = {
        **os.environ, "DBUS_SYSTEM_BUS_ADDRESS": bus, "HOME": str(home), "TMPDIR": str(home),
        "XDG_CACHE_HOME": str(home / "cache"), "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
    }  # fmt: skip
    program = str(REPOSITORY / "docs/examples/network.py")
    with (home / "said").open("wb") as said:
        return subprocess.Popen(
            [sys.executable, program, *map(str, guest), "shared", "60"],
            stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=env, cwd=home, user=user, group=user,
            extra_groups=[],
        )  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("user", [0, NOBODY], ids=["root", "nobody"])
async def test_an_embedded_guest_on_the_shared_network(
    guest: tuple[Path, Path], box: Space, root: Path, bus: str, home: Path, user: int
) -> None:
    if shutil.which("qemu-system-x86_64") is None:
        pytest.skip("qemu-system-x86_64 is not installed")
    config = root / "etc/libvirt/virtnetworkd.conf"
    config.parent.mkdir(parents=True)
    config.write_text('unix_sock_rw_perms = "0777"\n')  # the admin lets everybody manage networks
    with daemon(root, "--bus", bus) as served:
        (root / "net.xml").write_text(NET)
        run("virsh", "-q", "-c", served.uri, "net-create", str(root / "net.xml"))
        process = application(guest, bus, home, user)
        try:
            said = home / "said"
            await until(lambda: process.poll() is not None or b"lease 192.168.150." in said.read_bytes(), 120)
            text = said.read_text(errors="replace")
            assert process.poll() is None, text
            address = re.findall(r"lease (192[0-9.]+)", text)[0]
            assert await box.resolve("192.168.150.1", "web.lan.test") == [address]
            assert await box.ping(address)
            assert len(taps()) == 1
            listed = run("virsh", "-q", "-c", served.uri, "net-dhcp-leases", "shared")
            assert f"{address}/24" in listed
            assert "web" in listed
            process.send_signal(signal.SIGKILL)
            await until(lambda: not taps())
            assert run("virsh", "-q", "-c", served.uri, "net-port-list", "shared").strip() == ""
            assert "table bridge" not in rules()
        finally:
            process.kill()
            await asyncio.to_thread(process.wait, 10)
        run("virsh", "-q", "-c", served.uri, "net-destroy", "shared")
