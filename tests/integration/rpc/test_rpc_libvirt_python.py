"""Debian's libvirt-python against our server: events with callbacks, streams, descriptors, the end."""

import asyncio
import os
import subprocess
import sys
import textwrap
from typing import Any

import pytest
from support.rpc_house import until

PYTHON = "/usr/bin/python3"


@pytest.fixture(autouse=True)
def _libvirt_python() -> None:
    if subprocess.run([PYTHON, "-c", "import libvirt"], capture_output=True, check=False).returncode:
        pytest.skip("python3-libvirt is not installed")


async def start(host: Any, script: str) -> asyncio.subprocess.Process:
    head = (
        "import libvirt, sys, threading, time, os\n"
        "libvirt.registerErrorHandler(lambda *a: None, None)\n"
        "def say(*words): os.write(1, (' '.join(map(str, words)) + '\\n').encode())\n"
    )
    process: asyncio.subprocess.Process = await host.spawn(PYTHON, "-c", head + textwrap.dedent(script), host.uri)
    return process


async def run(host: Any, script: str) -> str:
    process = await start(host, script)
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, out.decode()
    return out.decode()


async def test_objects_and_errors(host: Any) -> None:
    told = await run(
        host,
        """
        conn = libvirt.open(sys.argv[1])
        print(conn.getType(), conn.getURI(), conn.getLibVersion(), conn.isAlive(), conn.isSecure(), conn.getHostname())
        print(sorted(d.name() for d in conn.listAllDomains()), conn.numOfDomains(), conn.listDefinedDomains())
        dom = conn.defineXML("<domain><name>three</name></domain>")
        print(dom.name(), dom.isActive(), dom.create(), dom.ID(), dom.info()[0], dom.state())
        for bad in (lambda: dom.create(), lambda: conn.lookupByName("no"), lambda: dom.managedSave()):
            try:
                bad()
            except libvirt.libvirtError as error:
                print(error.get_error_code(), error.get_error_domain(), error.get_error_message())
        conn.close()
        """,
    )
    assert told.splitlines() == [
        f"QEMU {host.uri} 9000000 1 1 memory.example",
        "['one', 'two'] 1 ['one']",
        "three 0 0 2 1 [1, 1]",
        "55 10 Requested operation is not valid: domain is already running",
        "42 10 Domain not found: no domain with matching name 'no'",
        "3 0 this function is not supported by the connection driver: virDomainManagedSave",
    ]


async def test_descriptor_from_the_server(host: Any) -> None:
    told = await run(
        host,
        """
        conn = libvirt.open(sys.argv[1])
        fd = conn.lookupByName("two").openGraphicsFD(0)
        print(os.read(fd, 100))
        """,
    )
    assert told.strip() == "b'graphics'"


async def test_stream_both_ways(host: Any) -> None:
    told = await run(
        host,
        """
        conn = libvirt.open(sys.argv[1])
        dom = conn.lookupByName("two")
        stream = conn.newStream()
        dom.openConsole(None, stream)
        got = stream.recv(9)
        big = b"x" * 700000
        threading.Thread(target=lambda: stream.send(big[:200000])).start()
        while len(got) < 9 + 200000:
            got += stream.recv(262120)
        print(len(got), got[9:12])
        stream.finish()
        stream = conn.newStream()
        dom.openConsole(None, stream)
        stream.abort()
        print(conn.getHostname())
        """,
    )
    assert told.splitlines() == ["200009 b'XXX'", "memory.example"]


async def test_events(host: Any) -> None:
    process = await start(
        host,
        """
        libvirt.virEventRegisterDefaultImpl()
        def loop():
            while True:
                libvirt.virEventRunDefaultImpl()
        threading.Thread(target=loop, daemon=True).start()
        conn = libvirt.open(sys.argv[1])
        conn.setKeepAlive(5, 3)
        conn.registerCloseCallback(lambda c, reason, o: (say("closed", reason), os._exit(0)), None)
        dom = conn.lookupByName("one")
        def life(c, d, event, detail, o):
            say("life", d.name(), event, detail)
        conn.domainEventRegisterAny(dom, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, life, None)
        rebooted = threading.Event()
        def reboot(c, d, o):
            say("reboot", d.name())
            rebooted.set()
        other = conn.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_REBOOT, reboot, None)
        conn.lookupByName("two").reboot()
        conn.lookupByName("two").destroy()
        dom.create()
        rebooted.wait(60)  # libvirt drops what it has not yet told to a callback that is taken away
        conn.domainEventDeregisterAny(other)
        dom.reboot()
        dom.destroy()
        say("ready")
        time.sleep(300)
        """,
    )
    assert process.stdout is not None
    lines: list[str] = []
    while len(lines) < 4:
        lines.append((await asyncio.wait_for(process.stdout.readline(), 60)).decode().strip())
    assert sorted(lines) == sorted(["reboot two", "life one 2 0", "life one 5 1", "ready"])
    for peer in list(host.server.peers.values()):
        peer.disconnect("the test says so")
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    assert b"closed" in out
    await until(lambda: not host.driver.events.subscriptions)


async def test_many_threads_on_one_connection(host: Any) -> None:
    told = await run(
        host,
        """
        conn = libvirt.open(sys.argv[1])
        counts = []
        def work():
            counts.append(sum(conn.lookupByName("two").info()[4] > 0 for _ in range(100)))
        threads = [threading.Thread(target=work) for _ in range(8)]
        [t.start() for t in threads]; [t.join() for t in threads]
        print(sum(counts))
        """,
    )
    assert told.strip() == "800"


async def test_server_closes_in_good_order(host: Any) -> None:
    process = await start(
        host,
        """
        conn = libvirt.open(sys.argv[1])
        print(libvirt.__name__, flush=True)
        sys.stdin.readline()
        try:
            conn.getHostname()
        except libvirt.libvirtError as error:
            print(error.get_error_code(), conn.isAlive())
        """,
    )
    assert process.stdout is not None
    await asyncio.wait_for(process.stdout.readline(), 60)
    await host.server.close(drain=1)
    assert host.path.name not in os.listdir(host.path.parent)
    out, _ = await asyncio.wait_for(process.communicate(b"\n"), 60)
    assert out.split()[0] in (b"38", b"1"), out
    assert out.split()[1] == b"0"
    assert sys.version_info >= (3, 11)
