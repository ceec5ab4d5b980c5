"""What a daemon has loaded after its first answer: a list of what must not be there, for memory and a quick start."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.bus import private_bus

from splitvirt.api.constants import VIR_CONNECT_LIST_DOMAINS_ACTIVE, VIR_CONNECT_LIST_NETWORKS_ACTIVE
from splitvirt.api.errors import VirtError
from splitvirt.api.hypervisor import Hypervisor
from splitvirt.api.network import Networks
from splitvirt.rpc.client import connect_rpc

RUN = """
import sys
from {name}.__main__ import main
main(sys.argv[1:])
from splitvirt.daemon.lean import Late
print(*(name for name, made in sys.modules.items() if made is not None and not isinstance(made, Late)))
"""
NEVER = {
    "argparse", "ast", "ctypes", "dataclasses", "dis", "gettext", "hashlib", "inspect", "ipaddress", "json", "locale",
    "platform", "random", "shutil", "ssl", "subprocess", "tokenize", "xml.etree.ElementTree", "asyncio.sslproto",
    "dbus_fast.aio", "dbus_fast.introspection", "dbus_fast.message_bus", "dbus_fast.proxy_object", "dbus_fast.service",
    "dbus_next", "qemu", "splitvirt.connect", "splitvirt.dbus.proxy", "splitvirt.embed", "splitvirt.rpc.client",
    "virtnetworkd.update", "virtqemud.security",
}  # fmt: skip
OF_GUESTS = {"splitvirt.xml.domain", "virtqemud.domain.domain", "virtqemud.argv", "virtqemud.prepare"}
GUEST = """<domain type='qemu'><name>one</name><uuid>8e3f4f62-6e34-4a44-9d0f-1d8d3a1d0001</uuid><memory>1024</memory>
<os><type arch='x86_64' machine='pc'>hvm</type></os></domain>"""


def loaded(name: str, root: Path, bus: str) -> set[str]:
    """Run a daemon, have it list what runs, and end it; the modules that it had then."""
    argv = [sys.executable, "-c", RUN.format(name=name), "--root", str(root), "--bus", bus]
    # an environment of its own: coverage and debuggers load what they like
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env={"PATH": os.environ["PATH"]}) as process:
        try:
            assert asyncio.run(asyncio.wait_for(_running(name, root / f"run/libvirt/{name}-sock"), 60)) == []
        finally:
            process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=60)
    return set(said.split())


async def _running(name: str, socket: Path) -> list[Any]:
    """What a daemon says that runs, as soon as it answers."""
    contract: type = Hypervisor if name == "virtqemud" else Networks
    uri = f"{name.removeprefix('virt').removesuffix('d')}:///system"
    of: Any = None
    while of is None:
        with contextlib.suppress(VirtError, OSError):
            of = await connect_rpc(contract, socket, uri)
        await asyncio.sleep(0.01)
    try:
        if name == "virtqemud":
            return list(await of.domains(VIR_CONNECT_LIST_DOMAINS_ACTIVE))
        return list(await of.networks(VIR_CONNECT_LIST_NETWORKS_ACTIVE))
    finally:
        await of.close()


@pytest.mark.parametrize("name", ["virtqemud", "virtnetworkd"])
@pytest.mark.parametrize("on_bus", [False, True])
def test_an_idle_daemon_has_loaded_little(tmp_path: Path, name: str, on_bus: bool) -> None:
    definitions = tmp_path / "root/etc/libvirt/qemu"
    definitions.mkdir(parents=True)
    (definitions / "one.xml").write_text(GUEST)
    with private_bus(tmp_path) as address:
        there = loaded(name, tmp_path / "root", address if on_bus else "none")
    assert "asyncio" in there
    assert ("splitvirt.dbus.export" in there) == on_bus
    assert sorted(there & (NEVER | (OF_GUESTS if name == "virtqemud" else set()))) == []
